"""What a policy says about HTTP, as Envoy Gateway hands it to Envoy."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pyproxy.policy.release import Release
from pyproxy.settings import (
    Command,
    CustomHeaderDetection,
    EscapedSlashes,
    ForwardClientCert,
    HeaderAction,
    HeaderMutation,
    HttpOptions,
    StringMatch,
    StringMatchType,
    Underscores,
    XffDetection,
)
from tests.policy.resources import BASE, loaded, policy


def http(spec: str, *, base: str = BASE, release: Release = Release.V1_9) -> HttpOptions:
    (listener,) = loaded(base + "---\n" + policy(spec), release=release).settings.listeners
    return listener.http


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ("{xForwardedFor: {numTrustedHops: 0}}", XffDetection(0)),
        ("{xForwardedFor: {numTrustedHops: 1}}", XffDetection(0)),
        ("{xForwardedFor: {numTrustedHops: 3, disableXForwardedForAppend: true}}", XffDetection(2, None, True)),
        (
            "{xForwardedFor: {trustedCIDRs: [10.1.2.3/8, '2001:db8::/32']}}",
            XffDetection(trusted_cidrs=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))),
        ),
        ("{customHeader: {name: X-Client-IP}}", CustomHeaderDetection(b"x-client-ip")),
        ("{customHeader: {name: x, failClosed: true}}", CustomHeaderDetection(b"x", 403)),
        ("{directSourceIP: {}}", None),
    ],
)
@pytest.mark.parametrize("release", Release)
def test_client_ip_detection(detection: str, expected: object, release: Release) -> None:
    options = http(f"clientIPDetection: {detection}", release=release).client_address
    assert options.detection == expected
    assert options.use_remote_address is (expected is None)
    assert bool(options.internal_networks) is (release is Release.V0_6)


@pytest.mark.parametrize(
    ("spec", "changed"),
    [
        ("path: {}", {}),
        ("path: {escapedSlashesAction: KeepUnchanged}", {"escaped_slashes": EscapedSlashes.KEEP_UNCHANGED}),
        ("path: {escapedSlashesAction: RejectRequest}", {"escaped_slashes": EscapedSlashes.REJECT_REQUEST}),
        ("path: {escapedSlashesAction: UnescapeAndForward}", {"escaped_slashes": EscapedSlashes.UNESCAPE_AND_FORWARD}),
        ("path: {escapedSlashesAction: UnescapeAndRedirect}", {}),
        ("path: {disableMergeSlashes: true}", {"merge_slashes": False}),
        ("headers: {}", {}),
        ("headers: {disableRateLimitHeaders: true}", {}),
        ("headers: {withUnderscoresAction: Allow}", {"headers_with_underscores": Underscores.ALLOW}),
        ("headers: {withUnderscoresAction: DropHeader}", {"headers_with_underscores": Underscores.DROP_HEADER}),
        ("headers: {withUnderscoresAction: RejectRequest}", {}),
        ("headers: {preserveXRequestID: true}", {"preserve_external_request_id": True}),
        ("headers: {preserveXRequestID: false}", {}),
        ("headers: {requestID: PreserveOrGenerate}", {"preserve_external_request_id": True}),
        (
            "headers: {requestID: Preserve}",
            {"generate_request_id": False, "preserve_external_request_id": True},
        ),
        ("headers: {requestID: Generate}", {}),
        ("headers: {requestID: Disable}", {"generate_request_id": False}),
        ("headers: {host: {stripTrailingHostDot: true}}", {"strip_trailing_host_dot": True}),
        ("headers: {maxRequestHeaderLimit: 96Ki}", {"max_request_headers_bytes": 98_304}),
        ("headers: {maxRequestHeaderLimit: 1025}", {"max_request_headers_bytes": 2048}),
        ("headers: {xForwardedClientCert: {}}", {}),
        (
            "headers: {xForwardedClientCert: {mode: AlwaysForwardOnly}}",
            {"forward_client_cert": ForwardClientCert.ALWAYS_FORWARD_ONLY},
        ),
        (
            "headers: {xForwardedClientCert: {mode: SanitizeSet, certDetailsToAdd: [Subject, URI]}}",
            {"forward_client_cert": ForwardClientCert.SANITIZE_SET, "client_cert_details": ("subject", "uri")},
        ),
        ("http1: {enableTrailers: true}", {"enable_trailers": True}),
        ("http1: {preserveHeaderCase: true}", {"preserve_header_case": True}),
        ("http1: {http10: {}}", {"accept_http_10": True}),
        (
            "http1: {ignoredUpgradeTypes: [{value: a}, {type: Suffix, value: b}]}",
            {
                "ignored_upgrade_types": (
                    StringMatch(StringMatchType.EXACT, "a"),
                    StringMatch(StringMatchType.SUFFIX, "b"),
                )
            },
        ),
        ("scheme: Preserve", {}),
        ("scheme: MatchBackend", {"scheme_match_upstream": True}),
    ],
)
@pytest.mark.enforces("spec.scheme")
def test_each_field_alone(spec: str, changed: dict[str, Any]) -> None:
    """On the plain connections that pyproxy makes the scheme is http either way, and HTTP/1.1 does not send it."""
    assert http(spec) == HttpOptions(**changed)


FILTER = """\
headers:
  %s:
    set: [{name: X-Set, value: s}, {name: x-both, value: dropped}]
    add: [{name: X-Add, value: 100%%%%}, {name: X-Both, value: first}]
    addIfAbsent: [{name: X-Absent, value: a}, {name: X-SET, value: dropped}]
    remove: [X-Gone]
    removeOnMatch: [{value: e}, {type: Prefix, value: p}, {type: RegularExpression, value: r+}]
"""


@pytest.mark.enforces("spec.headers.earlyRequestHeaders.set[].name")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.set[].value")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.add[].name")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.add[].value")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.addIfAbsent[].name")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.addIfAbsent[].value")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.remove[]")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.removeOnMatch[].type")
@pytest.mark.enforces("spec.headers.earlyRequestHeaders.removeOnMatch[].value")
def test_header_filters_in_envoy_gateways_order_and_each_name_once() -> None:
    expected = (
        HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"x-add", b"100%"),
        HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"x-both", b"first"),
        HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"x-set", b"s"),
        HeaderMutation(HeaderAction.ADD_IF_ABSENT, b"x-absent", b"a"),
        HeaderMutation(HeaderAction.REMOVE, b"x-gone"),
        *(
            HeaderMutation(HeaderAction.REMOVE_ON_MATCH, name_match=StringMatch(kind, value))
            for kind, value in (
                (StringMatchType.EXACT, "e"),
                (StringMatchType.PREFIX, "p"),
                (StringMatchType.REGEX, "r+"),
            )
        ),
    )
    assert http(FILTER % "earlyRequestHeaders") == HttpOptions(early_request_headers=expected)
    assert http(FILTER % "lateResponseHeaders") == HttpOptions(late_response_headers=expected)


def test_a_value_with_commands() -> None:
    spec = "headers: {earlyRequestHeaders: {set: [{name: A, value: 'x%%-%REQ(B)%'}]}}"
    template = (b"x%-", Command("REQ", b"b"))
    mutation = HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"a", template=template)
    assert http(spec).early_request_headers == (mutation,)


USE_DEFAULT_HOST = "http1: {http10: {useDefaultHost: true}}"


def with_hostnames(listener: str, *route: str) -> str:
    base = BASE.replace("port: 80}", f"port: 80{f', hostname: {listener!r}' if listener else ''}}}")
    return base.replace("  rules:", f"  hostnames: [{', '.join(map(repr, route))}]\n  rules:") if route else base


@pytest.mark.parametrize(
    ("listener", "routes", "host"),
    [
        ("www.example.com", (), b"www.example.com"),
        ("www.example.com", ("*.example.com",), b"www.example.com"),
        ("*.example.com", ("a.example.com",), b"a.example.com"),
        ("", ("a.example.com",), b"a.example.com"),
        ("", ("a.example.com", "*.example.org"), b"a.example.com"),
    ],
)
def test_the_default_host_of_http_10(listener: str, routes: tuple[str, ...], host: bytes) -> None:
    options = http(USE_DEFAULT_HOST, base=with_hostnames(listener, *routes))
    assert options.accept_http_10
    assert options.default_host_for_http_10 == host
