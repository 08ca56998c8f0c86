"""Files to settings, and every mistake at its line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproxy.errors import PolicyErrors
from pyproxy.policy.load import load, load_statuses, load_statuses_of_texts
from pyproxy.policy.release import Release
from tests.policy.resources import BASE, NOW, errors, loaded, policy

ROOT = Path(__file__).parents[2]


EXAMPLES = sorted(path for path in (ROOT / "config").iterdir() if path.suffix == ".yaml" or [*path.glob("*.yaml")])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads(path: Path) -> None:
    text = "".join(file.read_text() for file in (path.iterdir() if path.is_dir() else [path]))
    paths = [path] if "\nkind: Gateway\n" in text else [ROOT / "config/quickstart.yaml", path]
    for release in Release:
        result = load(paths, release=release, address="127.0.0.1", now=NOW)
        assert result.settings.listeners
        assert all(listener.virtual_hosts for listener in result.settings.listeners)
        assert '"reason": "Accepted"' in result.status("json", NOW) or not result.policies


def test_the_guides_policies_are_the_guides() -> None:
    quickstart = ROOT / "config/quickstart.yaml"
    keepalive = load(
        [quickstart, ROOT / "config/keepalive-policy.yaml"], release=Release.V0_6, address="127.0.0.1", now=NOW
    )
    listener = keepalive.settings.listeners[0]
    assert listener.keepalive is not None
    assert (listener.keepalive.idle, listener.keepalive.interval, listener.keepalive.probes) == (1200, 60, 3)
    assert keepalive.policies_of(listener) == ["default/enable-tcp-keepalive-policy"]
    proxy = load(
        [quickstart, ROOT / "config/proxy-protocol-policy.yaml"], release=Release.V0_6, address="127.0.0.1", now=NOW
    )
    assert proxy.settings.listeners[0].proxy_protocol is not None


def test_the_quickstart_is_the_packaged_one() -> None:
    assert (ROOT / "config/quickstart.yaml").read_text() == (ROOT / "pyproxy/quickstart.yaml").read_text()


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(policy("tcpKeepalive: {}"))
    (tmp_path / "a.yml").write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    (tmp_path / ".hidden.yaml").write_text("nonsense: [")
    (tmp_path / "readme.txt").write_text("nonsense: [")
    assert load([tmp_path], release=Release.V0_6, address="127.0.0.1", now=NOW).policies


def load_errors(*paths: Path) -> list[str]:
    with pytest.raises(PolicyErrors) as found:
        load(paths, release=Release.V0_6, address="127.0.0.1", now=NOW)
    return [str(error) for error in found.value.errors]


def test_what_can_not_be_read(tmp_path: Path) -> None:
    missing, binary, empty = tmp_path / "no.yaml", tmp_path / "bin.yaml", tmp_path / "empty"
    binary.write_bytes(b"a: \xff\n")
    empty.mkdir()
    assert load_errors(missing) == [f"{missing}:1:1: can't be read: No such file or directory"]
    assert load_errors(binary) == [f"{binary}:1:1: not UTF-8: invalid start byte at byte 3"]
    assert load_errors(empty) == [f"{empty}:1:1: the folder has no file with .yaml, .yml, .json"]


def test_a_file_that_can_not_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (tmp_path / "b.yaml").write_text("kind: Zebra\n")
    assert load_errors(tmp_path) == [
        f"{tmp_path}/a.yaml:2:1: not UTF-8: invalid start byte at byte 8",
        f"{tmp_path}/b.yaml:1:1: kind: unknown kind Zebra",
    ]


def test_a_folder_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert load_errors(tmp_path) == [f"{tmp_path}:1:1: can't be read: Permission denied"]


def test_a_link_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BASE)
    (tmp_path / "b.yaml").symlink_to("nowhere")
    with pytest.raises(PolicyErrors) as raised:
        load([tmp_path], release=Release.V1_9, address="127.0.0.1", now=NOW)
    assert [str(error) for error in raised.value.errors] == [
        f"{tmp_path}/b.yaml:1:1: can't be read: No such file or directory"
    ]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BASE)
    result = load([tmp_path, tmp_path / "a.yaml"], release=Release.V1_9, address="127.0.0.1", now=NOW)
    assert not result.problems


def test_what_attaching_finds_is_said_beside_other_mistakes() -> None:
    first = policy("connection: {bufferLimit: 5Gi}")
    second = policy("scheme: Foo", name="q")
    found = [str(error) for error in errors(BASE, first, second)]
    assert any("BufferLimit value 5Gi is out of range" in error for error in found), found
    assert any('Unsupported value: "Foo"' in error for error in found), found


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BASE.encode())))
    assert load([Path("-")], release=Release.V0_6, address="127.0.0.1", now=NOW).settings.listeners


def test_without_a_gateway_there_is_nothing_to_serve(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    message = "there is no Gateway, so there is nothing to listen on; add its file with another -f"
    assert load_errors(tmp_path) == [f"{tmp_path}/empty.yaml:1:1: {message}"]
    assert load_errors() == [f"no file:1:1: {message}"]


def test_the_policies_of_a_listener() -> None:
    result = loaded(BASE, policy("tcpKeepalive: {}"))
    assert result.policies_of(result.settings.listeners[0]) == ["default/p"]
    assert loaded(BASE).policies_of(result.settings.listeners[0]) == []


def test_errors_of_all_files_come_at_once_in_order() -> None:
    found = errors(BASE + "---\nkind: Gatewy\n", policy("tcpKeepalife: {}\ntcpKeepalive: {probes: x}"), "a: [")
    assert [(error.file, error.line) for error in found] == [
        ("a.yaml", 28),
        ("b.yaml", 6),
        ("b.yaml", 7),
        ("c.yaml", 2),
    ]


def test_a_policy_alone_says_what_is_missing() -> None:
    assert [str(error) for error in errors(policy("tcpKeepalive: {}"))] == [
        "a.yaml:1:1: there is no Gateway, so there is nothing to listen on; add its file with another -f",
        (
            "a.yaml:5:66: warning: spec.targetRefs[0].name: there is no Gateway eg in namespace default; "
            "add its file with another -f"
        ),
    ]


def statuses(*texts: str) -> tuple[list[str], bool]:
    """The names of the policies that have a status, and whether something was left out."""
    named = [(f"{chr(ord('a') + number)}.yaml", text) for number, text in enumerate(texts)]
    result = load_statuses_of_texts(named, now=NOW)
    return [one.metadata.name for one in result.policies if one.metadata.key in result.attachment.ancestors], (
        result.left_out
    )


@pytest.mark.parametrize(
    ("other", "is_left_out"),
    [
        ("", False),
        ("kind: Deployment\nanything: goes\n", False),
        (policy("tls: {minVersion: '1.2'}", name="refused"), False),
        (
            BASE.split("---\n")[2].replace("name: backend}]", "name: gone}]").replace("backend}\nspec", "r}\nspec"),
            False,
        ),
        (policy("nonsense: 1", name="broken"), True),
        (BASE.split("---\n")[2].replace("rules:", "rulse:").replace("{name: backend}\n", "{name: r}\n"), True),
        ("kind: Gatewy\n", True),
        ("a: [", True),
        (policy("tcpKeepalive: {probes: 3, probes: 4}", name="twice"), True),
        (policy("proxyProtocol: {}"), True),
    ],
)
def test_what_is_wrong_elsewhere_does_not_keep_a_policy_from_its_status(other: str, is_left_out: bool) -> None:
    names, left_out = statuses(BASE, policy("tcpKeepalive: {}"), other)
    assert names[0] == "p"
    assert "broken" not in names
    assert left_out is is_left_out


def test_statuses_need_no_gateway_class_and_no_gateway() -> None:
    gateway = BASE.split("---\n")[1]
    assert statuses(gateway, policy("tcpKeepalive: {}")) == (["p"], False)
    assert statuses(policy("tcpKeepalive: {}")) == ([], False)


def test_statuses_of_files_that_can_not_be_read(tmp_path: Path) -> None:
    result = load_statuses([tmp_path / "no.yaml"], now=NOW)
    assert result.left_out
    assert [str(problem) for problem in result.problems] == [
        f"{tmp_path}/no.yaml:1:1: can't be read: No such file or directory"
    ]


@settings(deadline=None)  # a busy machine is no mistake
@given(st.text(max_size=60), st.integers(0, len(BASE)))
def test_a_damaged_file_is_an_error_or_still_valid(text: str, at: int) -> None:
    damaged = BASE[:at] + text + BASE[at:]
    assert all(error.line >= 1 for error in errors(damaged))


KEYS = st.sampled_from(
    ["name", "namespace", "kind", "group", "spec", "port", "targetRefs", "tcpKeepalive", "x", "items"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["eg", "1s", "", "é", "a/b", "List"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_an_error_or_valid(data: st.DataObject) -> None:
    documents = list(yaml.safe_load_all(BASE + "---\n" + policy("tcpKeepalive: {idleTime: 20m}\nheaders: {}")))
    holder: Any = documents
    while True:
        place = data.draw(st.sampled_from(range(len(holder)) if isinstance(holder, list) else sorted(holder)))
        if not isinstance(holder[place], dict | list) or not holder[place] or data.draw(st.integers(0, 3)) == 0:
            break
        holder = holder[place]
    holder[place] = data.draw(VALUES)
    text = "---\n".join(json.dumps(document) + "\n" for document in documents)
    for error in errors(text):
        assert error.message
        assert 1 <= error.line <= len(documents) * 2
