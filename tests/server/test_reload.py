"""Where the resources come from, and what is watched for them. Reloading itself is in e2e/test_reload.py."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyproxy.errors import PolicyErrors
from pyproxy.policy.load import STDIN
from pyproxy.policy.release import Release
from pyproxy.server import reload
from pyproxy.server.reload import Reloader, Source, folders_of
from pyproxy.server.systemd import Notifier
from pyproxy.settings import Settings
from tests.support.processes import gateway
from tests.support.scenario import eventually, run

TEXT = gateway(8080, 3000)


def source(*paths: Path) -> Source:
    return Source(paths, release=Release.V0_6, address="127.0.0.1")


def test_a_source_knows_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(TEXT)
    files = source(tmp_path)
    files.load()
    assert not files.has_changed()
    os.utime(file, (1, 1))
    assert not files.has_changed()
    (tmp_path / "more.yaml").write_text("kind: Gatewy\n")
    assert files.has_changed()
    with pytest.raises(PolicyErrors):
        files.load()
    assert not files.has_changed()
    (tmp_path / "more.yaml").unlink()
    assert files.has_changed()
    file.unlink()
    with pytest.raises(PolicyErrors, match="the folder has no file"):
        files.load()
    assert not files.has_changed()


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(TEXT.encode())))
    files = source(STDIN)
    assert files.load().settings == files.load().settings
    assert files.paths == []


def test_folders_of_files_and_folders(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (two / "nested").mkdir()
    (two / "file.yaml").touch()
    assert folders_of([one / "file.yaml", two]) == {one, two}
    assert folders_of([tmp_path / "not" / "there" / "file.yaml"]) == {tmp_path}


def test_folders_of_links(tmp_path: Path) -> None:
    (tmp_path / "releases" / "1").mkdir(parents=True)
    (tmp_path / "releases" / "1" / "gateway.yaml").touch()
    (tmp_path / "current").symlink_to("releases/1")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "gateway.yaml").symlink_to(tmp_path / "current" / "gateway.yaml")
    every = {tmp_path / "etc", tmp_path, tmp_path / "releases" / "1"}
    assert folders_of([tmp_path / "etc" / "gateway.yaml"]) == every
    assert folders_of([tmp_path / "etc"]) == every
    (tmp_path / "etc" / "loop.yaml").symlink_to("loop.yaml")
    assert folders_of([tmp_path / "etc"]) == every


def test_what_can_not_be_watched_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_watcher(folders: set[Path]) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(reload, "_watcher", no_watcher)
    monkeypatch.setattr(reload, "LOOK_AGAIN", 10)
    file = tmp_path / "gateway.yaml"
    file.write_text(TEXT)
    applied: list[Settings] = []

    async def main() -> None:
        async def apply(settings: Settings) -> None:
            applied.append(settings)

        files = source(tmp_path)
        async with Reloader(files, files.load(), apply, Notifier({})).running(watch=True, stop=lambda: None):
            await asyncio.sleep(0.05)
            assert applied == []
            file.write_text(TEXT.replace("8080", "8081"))
            await eventually(lambda: bool(applied))
        assert [listener.port for listener in applied[0].listeners] == [8081]

    run(main, "asyncio")


def test_a_folder_that_comes_later(tmp_path: Path, loop_name: str) -> None:
    async def main() -> None:
        files = source(tmp_path / "later" / "gateway.yaml")
        with pytest.raises(PolicyErrors):
            files.load()
        looks = 0

        async def look() -> None:
            nonlocal looks
            async for _ in reload._look_at(files):
                looks += 1

        task = asyncio.ensure_future(look())
        await eventually(lambda: looks == 1)
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "gateway.yaml").write_text(TEXT)
        await eventually(files.has_changed)
        await eventually(lambda: looks > 2)
        task.cancel()
        await asyncio.wait([task])

    run(main, loop_name)
