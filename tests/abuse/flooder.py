"""A flood over a private Tor network: many circuits with many streams each, and what they got.

It runs in a process of its own and has no command line: it is given the SOCKS port of a
client of ``tornet.py``, which knows no other network.
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

from support.tor_reader import NoAnswerError, expected_size, greeting, request_for

PATIENCE = 20.0  # seconds for one request
PAUSE = 0.2  # seconds after one that failed, so that tor is not asked in a spin


@dataclass(frozen=True, slots=True)
class Flood:
    """How many circuits, streams on each, the paths asked for in turn, and whether it reads.

    One that does not ``read`` asks and then holds the connection open as long as it may.
    """

    circuits: int
    streams: int
    paths: tuple[str, ...]
    read: bool = True


async def _once(socks: int, host: str, circuit: str, path: str, flood: Flood) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", socks, limit=65536)
    try:
        answer = b""
        for sent, length in zip(greeting(host, circuit), (2, 2, 10), strict=True):
            writer.write(sent)
            answer = await reader.readexactly(length)
        if answer[1] != 0:
            return "not connected"
        writer.write(request_for(host, path))
        head = await reader.readuntil(b"\r\n\r\n")
        if not flood.read:
            await asyncio.sleep(PATIENCE * 10)
        left = expected_size(head[:-4])
        while left > 0 and (more := await reader.read(65536)):
            left -= len(more)
        return "cut short" if left > 0 else head[9:12].decode("latin-1")
    finally:
        writer.transport.abort()


async def _stream(
    socks: int, host: str, circuit: str, number: int, flood: Flood, counts: Counter[str]
) -> None:
    while True:
        path = flood.paths[number % len(flood.paths)]
        number += 1
        limit = PATIENCE if flood.read else None
        try:
            async with asyncio.timeout(limit):
                outcome = await _once(socks, host, circuit, path, flood)
        except TimeoutError:
            outcome = "took too long"
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, NoAnswerError):
            outcome = "hung up on"
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
    os.nice(5)  # the private network must still run on the same few cores
    counts: Counter[str] = Counter()
    asyncio.run(_all(socks, host, flood, seconds, counts))
    results.put(dict(counts))  # type: ignore[attr-defined]  # a multiprocessing queue


@contextlib.contextmanager
def flooding(
    socks: tuple[int, ...], host: str, flood: Flood, seconds: float
) -> Iterator[Counter[str]]:
    """Flood ``host`` for so many seconds; the counts are there at the end."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=_run, args=(socks, host, flood, seconds, results), daemon=True)
    counts: Counter[str] = Counter()
    process.start()
    end_at = time.monotonic() + seconds + 30
    try:
        yield counts
        while results.empty() and process.is_alive() and time.monotonic() < end_at:
            time.sleep(0.1)
        if not results.empty():
            counts.update(results.get())
    finally:
        process.kill()
        process.join()
