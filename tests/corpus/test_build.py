"""The corpora's files hold what the modules beside them make, and enough of it."""

from __future__ import annotations

import json

import pytest

from tests.corpus.build import FOLDER, corpora, inputs

AT_LEAST = {
    "http1_requests.jsonl": 400,
    "http1_responses.jsonl": 150,
    "proxy_protocol.jsonl": 200,
    "client_address.jsonl": 150,
}


@pytest.mark.parametrize("name", AT_LEAST)
def test_files_are_what_build_makes(name: str) -> None:
    rows = [json.loads(line) for line in (FOLDER / name).read_text().splitlines()]
    assert inputs(rows) == corpora()[name], "run: python -m tests.corpus.build"


@pytest.mark.parametrize("name", AT_LEAST)
def test_ids_and_inputs_are_unique(name: str) -> None:
    rows = corpora()[name]
    assert len({row["id"] for row in rows}) == len(rows) >= AT_LEAST[name]
