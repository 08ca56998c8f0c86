"""Changes to the headers of a message, one after the other.

Measured on 1.40: a header that is overwritten goes to the end. One that is appended to joins the line there is, with a
comma, where Envoy keeps a single entry for its name, and is one more line for any other name.

Source: envoy.config.common.mutation_rules.v3.HeaderMutation.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from pyproxy.proxy.command_operators import Expand
from pyproxy.proxy.string_match import compile_match
from pyproxy.settings import HeaderAction, HeaderMutation
from pyproxy.wire.messages import Headers


def apply(
    headers: Headers, mutations: Sequence[HeaderMutation], merged: Set[bytes], expand: Expand | None = None
) -> Headers:
    """What ``mutations`` make of ``headers``, as a list of its own.

    ``merged``: the names of which there is one line only, ``wire.head.MERGED_REQUEST_HEADERS`` or
    ``MERGED_RESPONSE_HEADERS``. ``expand`` must be there for mutations with a template.
    """
    headers = list(headers)
    for mutation in mutations:
        action, name, value = mutation.action, mutation.name, mutation.value
        if mutation.template:
            assert expand is not None, "there is somebody to ask for what a template stands for"
            value = expand(mutation.template, headers)
            if not value:
                continue
        if action is HeaderAction.REMOVE_ON_MATCH:
            assert mutation.name_match is not None, "a mutation that removes on a match has one"
            matches = compile_match(mutation.name_match)
            headers = [field for field in headers if not matches(field[0])]
        elif action is HeaderAction.REMOVE:
            headers = [field for field in headers if field[0] != name]
        elif action is HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD:
            headers = [field for field in headers if field[0] != name]
            headers.append((name, value))
        else:
            at = next((index for index, field in enumerate(headers) if field[0] == name), None)
            if at is None or (action is HeaderAction.APPEND_IF_EXISTS_OR_ADD and name not in merged):
                headers.append((name, value))
            elif action is HeaderAction.APPEND_IF_EXISTS_OR_ADD:
                first = headers[at][1]
                headers[at] = name, first + b"," + value if first else value
    return headers


def put(headers: Headers, name: bytes, value: bytes) -> None:
    """Set a header in its place, or at the end where there is none: what Envoy's own code does to its own headers."""
    at = next((index for index, field in enumerate(headers) if field[0] == name), len(headers))
    headers[at : at + 1] = [(name, value)]
