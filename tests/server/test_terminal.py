"""What the person at the terminal reads after a reload; the lines at the start are in e2e/test_cli.py."""

from __future__ import annotations

from datetime import UTC, datetime

from pyproxy.policy.load import Loaded, load_texts
from pyproxy.policy.release import Release
from pyproxy.server.terminal import reload_lines
from tests.support.processes import gateway


def loaded(*arguments: object, name: str = "policy", **options: str) -> Loaded:
    text = gateway(*arguments, **options).replace("{name: policy}", f"{{name: {name}}}")  # type: ignore[arg-type]
    return load_texts([("file", text)], release=Release.V0_6, address="127.0.0.1", now=datetime.now(UTC))


def test_a_line_for_each_listener() -> None:
    before, after = loaded(80, 3000), loaded(80, 3000, "tcpKeepalive: {}")
    where = "http://127.0.0.1:10080 (the Gateway's port 80) for default/eg/http"
    assert reload_lines(before, after) == [f"pyproxy: reloaded: changed {where}; policies: default/policy"]
    assert reload_lines(before, loaded(80, 3001)) == [f"pyproxy: reloaded: new routes on {where}; policies: none"]
    assert reload_lines(before, loaded(8080, 3000)) == [
        "pyproxy: reloaded: listening on http://127.0.0.1:8080 for default/eg/http; policies: none",
        f"pyproxy: reloaded: closed {where}",
    ]


def test_another_policy_of_the_same_effect() -> None:
    before, after = (loaded(8080, 3000, "tcpKeepalive: {}", name=name) for name in ("one", "two"))
    where = "http://127.0.0.1:8080 for default/eg/http"
    assert reload_lines(before, after) == [f"pyproxy: reloaded: nothing new on {where}; policies: default/two"]


def test_nothing() -> None:
    nothing = ["pyproxy: reloaded: nothing that is served has changed"]
    assert reload_lines(loaded(80, 3000), loaded(80, 3000)) == nothing
