"""Work that takes long, done while traffic goes on."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SHORT = 0.0005
"""Seconds that a thread has the interpreter for while another one wants it."""

_under_way = 0
_usual = 0.005


async def beside_traffic(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call ``function`` in a thread that leaves most of the interpreter to the loop's.

    Where two threads want the interpreter, Python lets each have it for 5 ms, and the loop asks for it anew with each
    event, which long files would make wait so long. Collecting garbage would stop both threads.
    """
    global _under_way, _usual
    if not _under_way:
        _usual = sys.getswitchinterval()
        sys.setswitchinterval(SHORT)
        gc.disable()
    _under_way += 1
    try:
        return await asyncio.to_thread(function, *arguments, **options)
    finally:
        _under_way -= 1
        if not _under_way:
            # What has been made counts as old: else the next collection would look at all of it, and stop both threads.
            gc.freeze()
            gc.unfreeze()
            gc.enable()
            sys.setswitchinterval(_usual)
