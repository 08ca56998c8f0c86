"""What the filters of a route, and of the backend that it picks, make of a request and of its response.

Envoy's router applies them when all else about the message is settled: to a request after the route's conditions have
been looked at, to a response before the connection manager adds ``date`` and ``server``. Changes to headers come first,
then the host, then the path. The orders and the places in them were measured on 1.40.

Source: envoy.config.route.v3.RouteAction, RedirectAction, and "Custom request/response headers".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from pyproxy.proxy.command_operators import Expand
from pyproxy.proxy.header_mutation import apply, put
from pyproxy.proxy.string_match import compile_substitution
from pyproxy.settings import Cluster, HeaderAction, HeaderMutation, PathMatch, Redirect, RegexRewrite, Route
from pyproxy.wire.head import MERGED_REQUEST_HEADERS, MERGED_RESPONSE_HEADERS
from pyproxy.wire.messages import Headers

_Rewrite = Callable[[bytes], bytes]


class RouteFilters:
    """Those of one route and one of its clusters, whose own come before the route's."""

    __slots__ = ("_host", "_request", "_response", "_rewrite", "changes_request", "changes_response", "has_commands")

    def __init__(self, route: Route, cluster: Cluster | None = None) -> None:
        of_cluster = (cluster.request_headers, cluster.response_headers) if cluster is not None else ((), ())
        self._request = [level for level in (of_cluster[0], route.request_headers) if level]
        self._response = [level for level in (of_cluster[1], route.response_headers) if level]
        self._host = route.host_rewrite.encode() if route.host_rewrite is not None else None
        self._rewrite = compile_rewrite(route.match, route.prefix_rewrite, route.regex_rewrite)
        self.changes_request = bool(self._request or self._host is not None or self._rewrite is not None)
        self.changes_response = bool(self._response)
        self.has_commands = any(change.template for level in (*self._request, *self._response) for change in level)

    def request(
        self,
        path: bytes,
        authority: bytes,
        headers: Headers,
        expand: Expand | None = None,
        *,
        suppress_envoy_headers: bool,
    ) -> tuple[bytes, bytes, Headers]:
        """Path, authority and headers as they go to the backend. ``expand``: for ``has_commands``."""
        headers = _change(headers, self._request, MERGED_REQUEST_HEADERS, expand)
        if self._host is not None and authority:
            if not suppress_envoy_headers:
                put(headers, b"x-envoy-original-host", authority)
            _append_forwarded_host(headers, authority)
        if self._host is not None:
            authority = self._host
        if self._rewrite is not None:
            if not suppress_envoy_headers:
                put(headers, b"x-envoy-original-path", path)
            path = self._rewrite(path)
        return path, authority, headers

    def response(self, headers: Headers, expand: Expand | None = None) -> Headers:
        """Headers as they go to the client. ``expand``: for ``has_commands``."""
        return _change(headers, self._response, MERGED_RESPONSE_HEADERS, expand)


def _change(
    headers: Headers, levels: Sequence[Sequence[HeaderMutation]], merged: Set[bytes], expand: Expand | None
) -> Headers:
    """The changes of each level; what commands stand for is settled before the first of their level is written."""
    for level in levels:
        if expand is not None:
            left = apply(headers, [change for change in level if change.action is HeaderAction.REMOVE], merged)
            level = [settled for change in level if (settled := _settle(change, left, expand)) is not None]
        headers = apply(headers, level, merged)
    return headers


def _settle(change: HeaderMutation, headers: Headers, expand: Expand) -> HeaderMutation | None:
    """``change`` without commands; ``None`` for a value that is empty then, which Envoy does not write."""
    if not change.template:
        return change
    value = expand(change.template, headers)
    return replace(change, value=value, template=()) if value else None


_FORWARDED_HOST = b"x-forwarded-host"


def _append_forwarded_host(headers: Headers, authority: bytes) -> None:
    """``append_x_forwarded_host``; one that ends in ``authority`` already is left as it is."""
    mutation = HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, _FORWARDED_HOST, authority)
    sent = next((value for name, value in headers if name == _FORWARDED_HOST), b"")
    if [entry for entry in sent.split(b",") if entry][-1:] != [authority]:
        headers[:] = apply(headers, (mutation,), MERGED_REQUEST_HEADERS)


def compile_rewrite(match: PathMatch, prefix: str | None, regex: RegexRewrite | None) -> _Rewrite | None:
    """What makes another path, query included, of one; ``None`` where nothing is rewritten."""
    if prefix is not None:
        length, new = len(match.value), prefix.encode()
        return lambda path: new + path[length:]
    if regex is not None and regex.substitution:  # Envoy takes an empty one for none
        substitute = compile_substitution(regex.pattern, regex.substitution)

        def rewrite(path: bytes) -> bytes:
            plain, question, query = path.partition(b"?")
            return substitute(plain) + question + query

        return rewrite
    return None


class CompiledRedirect:
    """The ``location`` that a redirect sends clients to."""

    __slots__ = ("_has_query", "_host", "_path", "_port", "_rewrite", "_scheme", "status")

    def __init__(self, redirect: Redirect, match: PathMatch) -> None:
        self.status = redirect.status
        self._scheme = redirect.scheme.encode() if redirect.scheme is not None else None
        self._host = redirect.host.encode() if redirect.host is not None else None
        self._port = b":%d" % redirect.port if redirect.port is not None else b""
        self._path = (redirect.path or "").encode()
        self._has_query = b"?" in self._path
        self._rewrite = compile_rewrite(match, redirect.prefix_rewrite, redirect.regex_rewrite)

    def rewritten(self, path: bytes) -> bytes:
        """What becomes of the request's own path, which the access log shows: only a prefix that gives way."""
        return self._rewrite(path) if self._rewrite is not None else path

    def location(self, proto: bytes, authority: bytes, path: bytes) -> bytes:
        """``proto`` is the request's x-forwarded-proto, ``authority`` and ``path`` are its own."""
        scheme = self._scheme or (proto.lower() if proto.lower() in (b"http", b"https") else b"http")
        host = self._host or self._without_port(proto, scheme, authority)
        if self._path:
            _, question, query = path.partition(b"?")
            path = self._path if self._has_query else self._path + question + query
        path = self.rewritten(path)
        return scheme + b"://" + host + self._port + (b"" if path.startswith(b"/") else b"/") + path

    def _without_port(self, proto: bytes, scheme: bytes, authority: bytes) -> bytes:
        """The port goes where another takes its place, or where it was the default of a scheme that changes."""
        host, colon, port = authority.rpartition(b":")
        if not colon or b"]" in port:
            return authority
        is_default = (proto.lower(), port) in ((b"http", b"80"), (b"https", b"443"))
        return host if self._port or (scheme != proto and is_default) else authority
