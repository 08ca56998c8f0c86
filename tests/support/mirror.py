"""A backend that shows what it gets: ``python -m tests.support.mirror PORT``.

It answers with the request's own bytes. ``/slow`` is never answered, ``/big`` has 100 MB, ``/trailers`` has trailers.
"""

from __future__ import annotations

import asyncio
import re
import sys

HEADERS = b"Content-Type: text/plain\r\nX-Powered-By: mirror\r\nX-Node-Internal: 7\r\n"
MEGABYTE = bytes(1_000_000)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path == b"/slow":
                await reader.read()
                return
            if path == b"/big":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
                for _ in range(100):
                    writer.write(MEGABYTE)
                    await writer.drain()
            elif path == b"/trailers":
                chunks = b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Checksum: 1234\r\n\r\n"
                writer.write(b"HTTP/1.1 200 OK\r\n" + chunks)
            else:
                shown = head.rstrip() + b"\r\n" + await body(head, reader)
                length = b"Content-Length: %d\r\n\r\n" % len(shown)
                writer.write(b"HTTP/1.1 200 OK\r\n" + HEADERS + length + shown)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """As it comes, chunks and all."""
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    if re.search(rb"(?i)\r\ntransfer-encoding: chunked", head) is None:
        return b""
    found = await reader.readuntil(b"0\r\n")
    while not found.endswith(b"\r\n\r\n"):
        found += await reader.readline()
    return found


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print(f"mirror on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
