"""Every address of the site, with its status and its whole header set, on each listener.

A URL that disappears or a header that changes fails these tests. ``pytest --rewrite-urls``
rewrites the list; check the difference.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.headers import FILE, LISTENERS, name_of, stored, template
from support.serving import DOMAIN, ONION, ReceivedResponse, Server, ask, read_answer, talk

from cccr_web.release import Release

HOST = f"Host: {DOMAIN}\r\n"
REFUSED = {
    "malformed": "get /en/ HTTP/1.1\r\n\r\n",
    "with a body": f"GET /en/ HTTP/1.1\r\n{HOST}Content-Length: 1\r\n\r\n1",
    "too big": f"GET /{'a' * 16400} HTTP/1.1\r\n\r\n",
    "in an unknown coding": f"GET /en/ HTTP/1.1\r\n{HOST}Transfer-Encoding: x\r\n\r\n",
    "in an unknown version": f"GET /en/ HTTP/2.0\r\n{HOST}\r\n",
}


def addresses(release: Release) -> list[str]:
    """Return the path of every file and folder, a typed language, and some that lead nowhere."""
    folders = {path.removesuffix("index.html") for path in release.files if "index.html" in path}
    bare = {folder.rstrip("/") for folder in folders}
    nowhere = {"none", "en/none", "zh-hans/none", "zh-hant/none", "en/index.htm", "favicon.svg"}
    typed = {"zh-TW/"}
    return sorted(f"/{path}" for path in {"", *release.files, *folders, *bare, *nowhere, *typed})


def seen(server: Server, release: Release, listener: str) -> dict[str, Any]:
    """Ask for every address on one listener; return its part of the list."""
    where, host = (server.clearnet, DOMAIN) if listener == "clearnet" else (server.onion, ONION)
    sets: dict[str, dict[str, str]] = {}
    requests: dict[str, str] = {}

    def add(request: str, path: str, answer: ReceivedResponse) -> None:
        name = name_of(answer)
        headers = template(answer, release, path)
        assert sets.setdefault(name, headers) == headers, f"{request}: two sets named {name}"
        requests[request] = name

    for path in addresses(release):
        add(f"GET {path}", path, ask(where, path, host))
    for path in ("/", "/en/", "/none"):
        add(f"POST {path}", path, ask(where, path, host, method="POST"))
    for name in ("other.example", "{onion}.example"):
        for path in ("/en/", "/none"):
            add(f"GET {path} of {name}", path, ask(where, path, name.replace("{onion}", ONION)))
    for name, sent in REFUSED.items():
        add(f"a request {name}", "", read_answer(talk(where, sent.encode("ascii"))))
    return {"headers": dict(sorted(sets.items())), "requests": requests}


@pytest.mark.parametrize("listener", LISTENERS)
def test_every_address_has_the_stored_status_and_headers(
    server: Server, release: Release, listener: str, pytestconfig: pytest.Config
) -> None:
    """Each address has exactly the status and headers of the stored list."""
    now = seen(server, release, listener)
    if pytestconfig.getoption("--rewrite-urls"):
        whole = json.dumps(stored() | {listener: now}, indent=2, ensure_ascii=False)
        FILE.write_text(whole + "\n", encoding="utf-8")
    assert now == stored()[listener]
