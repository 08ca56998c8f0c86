"""Clients that send what no client should, many a second, in a process of their own.

Half of them send random bytes, half what ``pyproxy conformance --fuzz`` makes of good and bad requests. They read what
comes, for a moment, and leave, some by a reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from random import Random

from pyproxy.conformance.case import Group
from pyproxy.conformance.fuzz import generate
from pyproxy.net.sockets import reset_on_close
from tests.support.processes import ROOT

PATIENCE = 0.1
"""Seconds for an answer."""


async def noise(address: tuple[str, int], seconds: float, *, rate: int, seed: int = 1) -> float:
    """Run them; how many connections there were a second."""
    arguments = [address[0], str(address[1]), str(seconds), str(rate), str(seed)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.noise", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, "the noise failed"
    return float(said)


def _inputs(count: int, seed: int) -> Iterator[bytes]:
    dice = Random(seed)
    cases = generate(Group("noise"), count, seed)
    for number, case in enumerate(cases):
        yield case.sent if number % 2 else dice.randbytes(dice.randint(1, 4096))


async def _connect(address: tuple[str, int], data: bytes, *, reset: bool) -> bool:
    loop = asyncio.get_running_loop()
    with socket.socket() as sock, contextlib.suppress(OSError, TimeoutError):
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        async with asyncio.timeout(PATIENCE):
            await loop.sock_sendall(sock, data)
            await loop.sock_recv(sock, 65_536)
        if reset:
            reset_on_close(sock)
        return True
    return False


async def _main() -> None:
    host, port, seconds, rate, seed = sys.argv[1:]
    count = round(float(seconds) * int(rate))
    inputs = list(_inputs(count, int(seed)))
    loop = asyncio.get_running_loop()
    started, running = loop.time(), set()
    for number, data in enumerate(inputs):
        delay = started + number / int(rate) - loop.time()
        await asyncio.sleep(max(delay, 0))
        task = loop.create_task(_connect((host, int(port)), data, reset=number % 3 == 0))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    print(count / (loop.time() - started))  # noqa: T201


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
