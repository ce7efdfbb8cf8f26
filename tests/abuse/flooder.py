"""A flood over a private Tor network: many circuits with many streams each.

It runs in a subprocess and has no command line: it uses the SOCKS port of a client of
``tornet.py``, which cannot reach any other network.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from support.socks import REPLY_SIZES, greeting
from support.tor_reader import NoAnswerError, expected_size, request_for

REQUEST_TIMEOUT = 20.0  # seconds
PAUSE = 0.2  # seconds after a failed request, to avoid a busy loop


@dataclass(frozen=True, slots=True)
class Flood:
    """The number of circuits, of streams on each, and the paths to request in turn.

    Without ``read``, it sends the request and then holds the connection open.
    """

    circuits: int
    streams: int
    paths: tuple[str, ...]
    read: bool = True


async def _once(socks: int, host: str, circuit: str, path: str, flood: Flood) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", socks, limit=65536)
    try:
        answer = b""
        for sent, length in zip(greeting(host, circuit), REPLY_SIZES, strict=True):
            writer.write(sent)
            answer = await reader.readexactly(length)
        if answer[1] != 0:
            return "not connected"
        writer.write(request_for(host, path))
        head = await reader.readuntil(b"\r\n\r\n")
        if not flood.read:
            await asyncio.sleep(REQUEST_TIMEOUT * 10)
        left = expected_size(head[:-4])
        while left > 0 and (more := await reader.read(65536)):
            left -= len(more)
        return "truncated" if left > 0 else head[9:12].decode("latin-1")
    finally:
        writer.transport.abort()


async def _stream(
    socks: int, host: str, circuit: str, number: int, flood: Flood, counts: Counter[str]
) -> None:
    while True:
        path = flood.paths[number % len(flood.paths)]
        number += 1
        limit = REQUEST_TIMEOUT if flood.read else None
        try:
            async with asyncio.timeout(limit):
                outcome = await _once(socks, host, circuit, path, flood)
        except TimeoutError:
            outcome = "timed out"
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, NoAnswerError):
            outcome = "closed"
        counts[outcome] += 1
        if not outcome.isdecimal():
            await asyncio.sleep(PAUSE)


async def _all(
    socks: tuple[int, ...], host: str, flood: Flood, seconds: float, counts: Counter[str]
) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for number in range(flood.circuits * flood.streams):
                circuit = number % flood.circuits
                client = socks[circuit % len(socks)]
                name = f"flood{circuit}"
                group.create_task(_stream(client, host, name, number, flood, counts))


def _run(socks: tuple[int, ...], host: str, flood: Flood, seconds: float, results: object) -> None:
    os.nice(5)  # the private network needs the same few cores
    counts: Counter[str] = Counter()
    asyncio.run(_all(socks, host, flood, seconds, counts))
    results.put(dict(counts))  # type: ignore[attr-defined]  # a multiprocessing queue


@contextlib.contextmanager
def flooding(
    socks: tuple[int, ...], host: str, flood: Flood, seconds: float
) -> Iterator[Counter[str]]:
    """Flood ``host`` for ``seconds``; the counts are filled in at the end."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=_run, args=(socks, host, flood, seconds, results), daemon=True)
    counts: Counter[str] = Counter()
    process.start()
    deadline = time.monotonic() + seconds + 30
    try:
        yield counts
        while results.empty() and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        if not results.empty():
            counts.update(results.get())
    finally:
        process.kill()
        process.join()
