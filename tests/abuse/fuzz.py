"""Send a running server a million malformed requests, and count its responses.

    python tests/abuse/fuzz.py PORT [--requests N] [--seed N] [--workers N]

One connection often mixes valid and malformed requests. Every response must be complete,
carry the policy's headers, and have the status and the bytes that belong to its request. The
script exits with 1 after a 500, a wrong page, a misplaced response or a hang.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

HOST = "localhost"
GOOD = ("/SHA256SUMS", "/en/index.html", "/RELEASE.json", "/zh-hans/who-we-are.html")
NEEDED = (b"content-security-policy", b"x-frame-options", b"x-content-type-options")
STATUSES = {200, 206, 301, 302, 304, 400, 403, 404, 405, 412, 413, 416, 421, 431, 501, 505}
MAX_PIPELINED = 20
LIMIT = 10.0  # seconds without a byte before it counts as a hang

MALFORMED_LINES = [
    *("Host: evil.example", "Host:", "Host: localhost, localhost", "host: localhost", "Host : x"),
    *("Content-Length: 5", "Content-Length: 0", "Content-Length: -1", "Content-Length: 0, 5"),
    *("Content-Length: +0", "Content-Length: 0x0", "Transfer-Encoding: chunked"),
    *("Transfer-Encoding : chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: identity"),
    *("Transfer-Encoding:\x0bchunked", "Transfer-Encoding: chunked, identity", "TE: trailers"),
    *("Connection: close", "Connection: keep-alive", "Connection: x, close", "Upgrade: h2c"),
    *(
        "Expect: 100-continue",
        "Expect: x",
        "Range: bytes=0-1",
        "Range: bytes=-",
        "If-None-Match: *",
    ),
    *("If-Match: *", 'If-Match: "x"', "If-Range: x", "Accept-Encoding: br;q=0, *", "Accept: \xff"),
    *("Accept-Encoding: gzip, br", "Accept-Language: zh;q=0.5", "X-Tor2web: 1", "Cookie: a=b"),
    *(
        " folded",
        "\tfolded",
        "no colon",
        ": empty",
        "X: a\rb",
        "X: a\nb",
        "X: \0",
        "X: " + "a" * 500,
    ),
    *("X_Y: z", "Forwarded: for=x", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http"),
]
MALFORMED_TARGETS = [
    *("/", "*", "", "//", "/%2e%2e/%2e%2e/etc/passwd", "/..%c0%af..", "/%00", "/%", "/%zz"),
    *("http://evil.example/en/", "http://localhost/en/", "http://", "/en/?%0d%0aX:y", "/en/#x"),
    *("/en/\x00", "/en/\t", "/\xe4\xb8\xad", "/en%2findex.html", "/en//", "/EN/", "/" + "a" * 3000),
    *(
        "http://[/",
        "http://[::1]/en/",
        "localhost:80",
        "/en/index.html/",
        "/en",
        "?x",
        "\\",
        "/en/;x",
        "/404.html",
    ),
]
MALFORMED_METHODS = [
    "HEAD",
    "POST",
    "PUT",
    "get",
    "G\0T",
    "PRI",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "",
    "X" * 40,
]
MALFORMED_VERSIONS = [
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/2.0",
    "HTTP/1.2",
    "http/1.1",
    "HTTP/1.1 ",
    "",
    "HTTP/11",
]


class FoundError(Exception):
    """The server gave a wrong response."""


@dataclass
class FuzzRequest:
    """The bytes to send, and the SHA-256 of the expected body if it is known."""

    sent: bytes
    method: str = "GET"
    expected: str | None = None


def valid(chance: random.Random, known: dict[str, str]) -> FuzzRequest:
    """Return a request such as a reader sends."""
    path = chance.choice(GOOD)
    return FuzzRequest(
        f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(), expected=known[path]
    )


def malformed(chance: random.Random) -> FuzzRequest:
    """Return a request that is malformed somewhere."""
    method = "GET" if chance.random() < 0.7 else chance.choice(MALFORMED_METHODS)
    target = chance.choice(MALFORMED_TARGETS if chance.random() < 0.5 else GOOD)
    version = "HTTP/1.1" if chance.random() < 0.85 else chance.choice(MALFORMED_VERSIONS)
    lines = [f"Host: {HOST}"] if chance.random() < 0.9 else []
    lines += chance.choices(MALFORMED_LINES, k=chance.choice((0, 1, 1, 2, 3)))
    chance.shuffle(lines)
    end = "\r\n" if chance.random() < 0.95 else chance.choice(("\n", "\r", ""))
    head = f"{method} {target} {version}\r\n" + "".join(f"{line}\r\n" for line in lines) + end
    data = bytearray(head.encode("latin-1", "replace"))
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.1:
        data += chance.choice((b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"0\r\n\r\n", b"\r\n" * 3))
    return FuzzRequest(bytes(data), "HEAD" if data.lstrip().startswith(b"HEAD ") else "GET")


def smuggling() -> list[tuple[str, list[FuzzRequest]]]:
    """Return the classic smuggling attempts: an ambiguous length, and a request in the body."""
    inside = f"GET /RELEASE.json HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    first = f"POST /en/ HTTP/1.1\r\nHost: {HOST}\r\n"
    length = f"Content-Length: {len(inside)}\r\n"
    chunked = "Transfer-Encoding: chunked\r\n"
    size = f"{len(inside):x}"
    heads = {
        "CL.TE": f"{first}{length}{chunked}\r\n0\r\n\r\n{inside}",
        "TE.CL": f"{first}{chunked}Content-Length: 4\r\n\r\n{size}\r\n{inside}\r\n0\r\n\r\n",
        "TE.TE": f"{first}{chunked}Transfer-Encoding: x\r\n\r\n0\r\n\r\n{inside}",
        "TE.0": f"{first}{chunked}\r\n{size}\r\n{inside}\r\n0\r\n\r\n",
        "CL.0": f"{first}{length}\r\n{inside}",
        "0.CL": f"GET /en/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length : 9\r\n\r\n{inside}",
        "two lengths": f"{first}Content-Length: 0\r\n{length}\r\n{inside}",
        "blank before colon": f"{first}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inside}",
        "folded": f"{first}Transfer-Encoding:\r\n chunked\r\n{length}\r\n0\r\n\r\n{inside}",
        "bare LF": f"{first}X: y\n{chunked}{length}\r\n0\r\n\r\n{inside}",
        "HTTP/1.0": f"POST /en/ HTTP/1.0\r\nHost: {HOST}\r\n{chunked}\r\n0\r\n\r\n{inside}",
        "underscore": f"{first}Transfer_Encoding: chunked\r\n{length}\r\n0\r\n\r\n{inside}",
        "vertical tab": f"{first}Transfer-Encoding: \x0bchunked\r\n{length}\r\n0\r\n\r\n{inside}",
    }
    return [(name, [FuzzRequest(sent.encode("latin-1"))]) for name, sent in heads.items()]


def responses(received: bytes, requests: list[FuzzRequest]) -> Iterator[tuple[int, bytes, bytes]]:
    """Parse consecutive responses (RFC 9112) into status, head and body."""
    at = 0
    for request in requests:
        if at >= len(received):
            return
        end = received.find(b"\r\n\r\n", at)
        if end < 0:
            raise FoundError(f"An incomplete head: {received[at:][:200]!r}")
        head = received[at:end]
        match = re.match(rb"HTTP/1\.[01] ([0-9]{3}) ", head)
        length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
        if match is None:
            raise FoundError(f"Not an HTTP response: {head[:200]!r}")
        status = int(match[1])
        size = 0 if status == 304 or request.method == "HEAD" else int(length[1]) if length else -1
        if size < 0 or end + 4 + size > len(received):
            raise FoundError(f"An incomplete response to {request.sent[:200]!r}")
        yield status, head.lower(), received[end + 4 : end + 4 + size]
        at = end + 4 + size


def talk(port: int, sent: bytes, pieces: int) -> bytes:
    """Send bytes in pieces, and return everything received. Silence for ``LIMIT`` is a hang."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        received = b""
        try:
            step = max(len(sent) // pieces, 1)
            for at in range(0, len(sent), step):
                connection.sendall(sent[at : at + step])
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                received += more
        except TimeoutError:
            raise FoundError(f"The server hangs after {sent[:300]!r}") from None
        except OSError:
            pass  # The server closed the connection after it rejected a request.
        return received


def check(status: int, head: bytes, body: bytes, request: FuzzRequest) -> None:
    """Raise ``FoundError`` if a response is wrong."""
    if status not in STATUSES:
        raise FoundError(f"Status {status} for {request.sent[:300]!r}")
    if any(name not in head for name in NEEDED) or b"evil" in head or b"\r\nserver:" in head:
        raise FoundError(f"Wrong headers {head!r} for {request.sent[:300]!r}")
    seen = status, hashlib.sha256(body).hexdigest()
    if request.expected is not None and seen != (200, request.expected):
        raise FoundError(f"Status {status} or wrong bytes for {request.sent[:300]!r}")


def attack(port: int, seed: int, number: int, known: dict[str, str]) -> Counter[str]:
    """Send ``number`` requests; return how often each status was received."""
    chance = random.Random(seed)  # noqa: S311
    counts: Counter[str] = Counter()
    while counts["sent"] < number:
        # Valid requests come first, so that their responses can be checked.
        requests = [valid(chance, known) for _ in range(chance.randrange(MAX_PIPELINED))]
        requests += [malformed(chance) for _ in range(chance.choice((1, 1, 2, MAX_PIPELINED)))]
        received = talk(port, b"".join(each.sent for each in requests), chance.choice((1, 1, 2, 7)))
        counts["sent"] += len(requests)
        counts["connections"] += 1
        # After the first malformed request, the start of the next one is ambiguous.
        checked = sum(each.expected is not None for each in requests) + 1
        for (status, head, body), request in zip(
            responses(received, requests[:checked]), requests, strict=False
        ):
            check(status, head, body, request)
            counts[str(status)] += 1
        if b"HTTP/1.1 500" in received or b"HTTP/1.0 500" in received:
            raise FoundError(f"Status 500 for one of {[each.sent[:200] for each in requests]!r}")
    return counts


def one_answer_each(port: int) -> Iterator[str]:
    """Send the smuggling attempts; the request in the body must never be answered."""
    for name, requests in smuggling():
        received = talk(port, requests[0].sent, 1)
        answers = re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", received)
        if len(answers) != 1 or answers[0] not in {b"400", b"413", b"501"}:
            raise FoundError(f"{name}: {answers!r}")
        yield f"{name}: {answers[0].decode()}"


def main() -> int:
    """Run the attack in several processes, and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    known = {}
    for path in GOOD:
        sent = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        ((_, _, body),) = responses(talk(given.port, sent, 1), [FuzzRequest(sent)])
        known[path] = hashlib.sha256(body).hexdigest()
    try:
        print("smuggling attempts:", ", ".join(one_answer_each(given.port)))
        total = share(attack, given, known)
    except FoundError as error:
        print(f"FOUND with seed {given.seed}: {error}", file=sys.stderr)
        return 1
    print(", ".join(f"{name}: {number:,}" for name, number in sorted(total.items())))
    return 0


def share(
    work: Callable[[int, int, int, dict[str, str]], Counter[str]],
    given: argparse.Namespace,
    known: dict[str, str],
) -> Counter[str]:
    """Distribute the requests to several processes; return the sum of their counts."""
    with ProcessPoolExecutor(given.workers) as pool:
        each = given.requests // given.workers
        jobs = [
            pool.submit(work, given.port, given.seed * 1000 + number, each, known)
            for number in range(given.workers)
        ]
        return sum((job.result() for job in jobs), Counter())


if __name__ == "__main__":
    sys.exit(main())
