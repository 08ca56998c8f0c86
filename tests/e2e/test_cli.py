"""The command line as a person meets it: what is printed, what is returned, what signals do."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import PYPROXY, ROOT, curl, echo, free_port, gateway, run_pyproxy, running, serving

CONFIG = ROOT / "config"


def test_version_and_help() -> None:
    assert run_pyproxy("--version").stdout.startswith("pyproxy, version ")
    helped = run_pyproxy("--help").stdout
    for verb in ("serve", "validate", "status", "translate", "fields", "explain", "echo", "conformance"):
        assert verb in helped


def test_validate_says_what_is_fine() -> None:
    found = run_pyproxy("validate", "-f", CONFIG / "quickstart.yaml", "-f", CONFIG / "envoy-headers-policy.yaml")
    assert (found.returncode, found.stdout, found.stderr) == (0, "OK: 1 listener, 1 policy\n", "")


def test_validate_warns_of_what_is_old_and_of_what_leads_nowhere(tmp_path: Path) -> None:
    guide = CONFIG / "keepalive-policy.yaml"
    found = run_pyproxy("validate", "-f", CONFIG / "quickstart.yaml", "-f", guide)
    assert (found.returncode, found.stdout) == (0, "OK: 1 listener, 1 policy\n")
    assert found.stderr == f"{guide}:9:3: warning: spec.targetRef: deprecated, use spec.targetRefs instead\n"
    astray = tmp_path / "astray.yaml"
    astray.write_text(guide.read_text().replace("name: eg", "name: ge"))
    found = run_pyproxy("validate", "-f", CONFIG / "quickstart.yaml", "-f", astray)
    assert (found.returncode, found.stdout) == (0, "OK: 1 listener, 1 policy\n")
    assert "warning: spec.targetRef.name: there is no Gateway ge in namespace default; there is eg" in found.stderr


def test_a_policy_that_is_not_accepted_is_served_but_not_valid(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "gateway.yaml"
    policy = (CONFIG / "keepalive-policy.yaml").read_text().replace("name: eg", "name: eg\n    sectionName: https")
    file.write_text(f"{gateway(port, 1)}---\n{policy}")
    found = run_pyproxy("validate", "-f", file)
    assert (found.returncode, found.stdout) == (1, "")
    assert "spec.targetRef.sectionName: No section name https found for Gateway default/eg" in found.stderr
    with serving("-f", file) as server:
        server.wait_for("listening on")
        assert "spec.targetRef.sectionName: No section name https found for Gateway default/eg" in server.said
        assert "policies: none" in server.said


def test_a_policy_that_the_translator_refuses_answers_500(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1, "headers: {maxRequestHeaderLimit: 512}"))
    line = f"{file}:30:13: spec.headers.maxRequestHeaderLimit: MaxRequestHeaderLimit value 512 must be at least 1Ki\n"
    found = run_pyproxy("validate", "-f", file)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", line)
    with serving("-f", file) as server:
        server.wait_for("listening on")
        assert server.said.startswith(line)
        assert "policies: default/policy (invalid: every route answers 500)" in server.said
        assert curl("--write-out", "%{http_code}", f"http://127.0.0.1:{port}/").stdout == "500"


def test_a_status_is_there_also_when_other_documents_are_broken(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    parts = [
        gateway(8080, 1, "tcpKeepalive: {}"),
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: broken}\nspec: {rules: 5}\n",
        (
            "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nmetadata: {name: broken}\n"
            "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}], nonsense: 1}\n"
        ),
        "a: [\n",
    ]
    file.write_text("---\n".join(parts))
    found = run_pyproxy("status", "-f", file, "-o", "json")
    assert found.returncode == 1
    assert [(item["metadata"]["name"], summary(item)) for item in json.loads(found.stdout)["items"]] == [
        ("policy", ["Policy has been accepted."])
    ]
    for place in ("spec.rules: must be of type array", "spec.nonsense: unknown field", "not YAML"):
        assert place in found.stderr
    table = run_pyproxy("status", "-f", file)
    assert (table.returncode, table.stdout.splitlines()[1].split()[:2]) == (1, ["policy", "Accepted"])


def summary(item: dict[str, Any]) -> list[str]:
    return [condition["message"] for ancestor in item["status"]["ancestors"] for condition in ancestor["conditions"]]


def test_validate_names_five_mistakes_at_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "five.yaml"
    file.write_text(
        """\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata:
  name: five
spec:
  targetRef:
    group: gateway.networking.k8s.io
    kind: Gateway
    name: eg
  tcpKeepalife: {}
  tcpKeepalive:
    idleTime: 20 minutes
    probes: "3"
  enableProxyProtocol: maybe
  path:
    escapedSlashesAction: KeepUnchange
"""
    )
    found = run_pyproxy("validate", "-f", file)
    assert found.returncode == 1
    assert found.stdout == ""
    lines = found.stderr.splitlines()
    assert [line.removeprefix(str(file)).split(": ")[0] for line in lines] == [
        ":10:3",
        ":12:5",
        ":13:5",
        ":14:3",
        ":16:5",
    ]
    assert lines[0].endswith("spec.tcpKeepalife: unknown field; did you mean tcpKeepalive?")
    assert "is not a duration" in lines[1]
    assert lines[4].endswith("did you mean KeepUnchanged?")


def test_status_looks_like_kubectls() -> None:
    files = ("-f", CONFIG / "quickstart.yaml", "-f", CONFIG / "keepalive-policy.yaml")
    table = run_pyproxy("status", *files).stdout.splitlines()
    assert table[0].split() == ["NAME", "STATUS", "AGE"]
    assert table[1].split()[:2] == ["enable-tcp-keepalive-policy", "Accepted"]
    listing = json.loads(run_pyproxy("status", *files, "-o", "json").stdout)
    conditions = listing["items"][0]["status"]["ancestors"][0]["conditions"]
    assert conditions[0]["message"] == "Policy has been accepted."
    nothing = run_pyproxy("status", "-f", CONFIG / "quickstart.yaml")
    assert (nothing.returncode, nothing.stderr) == (0, "there is no ClientTrafficPolicy in these files\n")


def test_kubectl_reads_a_status() -> None:
    listing = run_pyproxy("status", "-f", CONFIG / "every-field.yaml", "-o", "json").stdout
    command = [
        "kubectl",
        "label",
        "--local",
        "-f",
        "-",
        "a=b",
        "-o",
        "jsonpath={.status.ancestors[*].conditions[*].type} ",
    ]
    shown = subprocess.run(command, input=listing, capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.split() == ["Accepted", "Accepted", "Warning", "Accepted", "Overridden", "Accepted"]


def test_usage_errors() -> None:
    assert run_pyproxy("serve", "--nonsense").returncode == 2
    assert run_pyproxy("validate").returncode == 2
    assert run_pyproxy("serve", "--address", "example.com").returncode == 2
    assert "nonsense is no HOST:PORT or off" in run_pyproxy("serve", "--admin", "nonsense").stderr
    assert "off is no HOST:PORT\n" in run_pyproxy("top", "--admin", "off").stderr
    assert "is no HOST:PORT, but a URL" in run_pyproxy("top", "--admin", "http://127.0.0.1:1").stderr
    assert "is not an IP address" in run_pyproxy("echo", "--address", "x").stderr


def test_a_bad_file_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("kind: Gatewy\n")
    found = run_pyproxy("serve", "-f", file)
    assert found.returncode == 1
    assert found.stderr == f"{file}:1:1: kind: unknown kind Gatewy; did you mean Gateway?\n"


@pytest.mark.parametrize("what", ["listener", "admin", "access log", "echo"])
def test_what_can_not_be_had(what: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "gateway.yaml"
        file.write_text(gateway(port if what == "listener" else free_port(), 1))
        flags = {
            "listener": ("serve", "-f", file, "--admin", "off"),
            "admin": ("serve", "-f", file, "--admin", f"127.0.0.1:{port}"),
            "access log": ("serve", "-f", file, "--admin", "off", "--access-log", tmp_path / "no" / "log"),
            "echo": ("echo", "--port", str(port)),
        }
        found = run_pyproxy(*flags[what])
    assert found.returncode == 3
    assert "Traceback" not in found.stderr
    assert found.stderr.startswith("pyproxy: ")
    assert "while attempting" not in found.stderr


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(first: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(free_port(), 1))
    with serving("-f", file) as server:
        server.signal(first)
        assert server.process.wait(10) == 0
        assert "draining" in server.said


def test_a_drain_that_takes_too_long_and_one_that_is_forced(tmp_path: Path) -> None:
    for arguments, again in ((("--drain-time", "0.2"), False), ((), True)):
        port = free_port()
        file = tmp_path / "gateway.yaml"
        file.write_text(gateway(port, 1))
        with serving("-f", file, *arguments) as server, socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HT")
            time.sleep(0.2)
            server.signal(signal.SIGTERM)
            if again:
                server.wait_for("draining")
                server.signal(signal.SIGTERM)
            assert server.process.wait(10) == 4
            assert "connections were cut off" in server.said


def test_the_banner_the_admin_and_the_log(tmp_path: Path) -> None:
    port = free_port()
    with echo() as backend:
        file, log = tmp_path / "gateway.yaml", tmp_path / "access.log"
        file.write_text(gateway(port, backend, "proxyProtocol: {optional: true}", hostnames="[a.example]"))
        with serving("-f", file, "--admin", "127.0.0.1:0", "--access-log", log) as server:
            admin = int(server.wait_for(r"admin on http://127\.0\.0\.1:([1-9]\d*)")[1])
            assert f"listening on http://127.0.0.1:{port} for default/eg/http" in server.said
            assert "policies: default/policy" in server.said
            line = server.wait_for(r"try: (curl .*)")[1]
            assert line == f'curl --verbose --haproxy-protocol --header "Host: a.example" http://127.0.0.1:{port}/'
            assert subprocess.run(line + " --silent", shell=True, capture_output=True, check=True).stdout
            assert curl(f"http://127.0.0.1:{admin}/ready").stdout == "LIVE\n"
            dump = json.loads(curl(f"http://127.0.0.1:{admin}/config_dump").stdout)
            address = dump["configs"][0]["bootstrap"]["admin"]["address"]["socket_address"]
            assert address == {"address": "127.0.0.1", "port_value": admin}
            listing = json.loads(curl(f"http://127.0.0.1:{admin}/status").stdout)
            assert listing["items"][0]["metadata"]["name"] == "policy"
            server.signal(signal.SIGTERM)
            assert server.process.wait(10) == 0
        record = json.loads(log.read_text())
        assert (record["response_code"], record[":authority"]) == (200, "a.example")


@pytest.mark.parametrize(("address", "url"), [("::1", "[::1]"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1")])
def test_addresses(address: str, url: str, tmp_path: Path) -> None:
    port = free_port()
    with echo() as backend:
        file = tmp_path / "gateway.yaml"
        file.write_text(gateway(port, backend))
        with serving("-f", file, "--address", address):
            assert curl("--globoff", f"http://{url}:{port}/").returncode == 0


def test_both_loops_and_both_releases(tmp_path: Path, loop_name: str) -> None:
    port = free_port()
    with echo() as backend:
        file = tmp_path / "gateway.yaml"
        file.write_text(gateway(port, backend))
        for release, server_header in (("v0.6", True), ("v1.9", False)):
            with serving("-f", file, "--loop", loop_name, "--release", release):
                head = curl("--head", f"http://127.0.0.1:{port}/").stdout.lower()
                assert ("server: envoy" in head) is server_header


def test_translate_is_what_envoy_takes(tmp_path: Path) -> None:
    from pyproxy.envoy.process import find_envoy

    config = tmp_path / "envoy.json"
    config.write_text(run_pyproxy("translate", "-f", CONFIG / "two-listeners", "-o", "envoy").stdout)
    found = subprocess.run([find_envoy(), "--mode", "validate", "-c", config], capture_output=True, check=False)
    assert found.returncode == 0


def test_translate_says_where_each_setting_came_from() -> None:
    files = ("-f", CONFIG / "quickstart.yaml", "-f", CONFIG / "keepalive-policy.yaml")
    text = run_pyproxy("translate", *files, "-o", "settings").stdout
    assert re.search(r"keepalive\.idle +1200 +.*keepalive-policy\.yaml:15: spec\.tcpKeepalive\.idleTime\n", text)
    data = json.loads(run_pyproxy("translate", *files, "-o", "json").stdout)
    assert data["listeners"][0]["settings"]["keepalive.idle"]["value"] == 1200


def test_fields_are_listed_and_explained() -> None:
    listed = run_pyproxy("fields").stdout.splitlines()
    assert listed[-1].startswith(f"{len(listed) - 2} fields: ")
    assert len(run_pyproxy("fields", "--status", "refused").stdout.splitlines()) < len(listed)
    assert run_pyproxy("fields", "-o", "markdown").stdout == (ROOT / "docs/fields.md").read_text()
    explained = run_pyproxy("explain", "spec.path.escapedSlashesAction").stdout
    assert "path_with_escaped_slashes_action" in explained
    unknown = run_pyproxy("explain", "spec.path.escapedSlashAction")
    assert unknown.returncode == 2
    assert "there is no field spec.path.escapedSlashAction; did you mean" in unknown.stderr


def test_conformance_lists_its_cases() -> None:
    assert len(run_pyproxy("conformance", "--list").stdout.splitlines()) > 200


def test_echo_ends_on_a_signal() -> None:
    with running([*PYPROXY, "echo", "--port", "0"]) as process:
        process.wait_for("echo on")
        process.signal(signal.SIGTERM)
        assert process.process.wait(5) == 0


def test_the_first_answer_comes_without_a_traceback_when_interrupted_early() -> None:
    process = subprocess.Popen([*PYPROXY, "echo", "--port", "0"], stderr=subprocess.PIPE, cwd=ROOT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert b"Traceback" not in said
    assert sys.version_info >= (3, 11)
