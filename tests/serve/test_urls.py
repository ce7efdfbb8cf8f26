"""The stored list of every address, its status and its whole header set, on each listener.

``urls.json`` names sets of headers, and for each request the set with which it is
answered. What follows from the request or from the bytes stands as a placeholder.
An address that vanishes or a header that changes turns this red;
``pytest --rewrite-urls`` writes the list anew, and its difference is to be read.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from serving import DOMAIN, ONION, Answer, Server, ask

from cccr_web.release import Release

STORED = Path(__file__).with_name("urls.json")
DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")


def addresses(release: Release) -> list[str]:
    """Return the path of every file and folder of a release, and some that lead nowhere."""
    folders = {path.removesuffix("index.html") for path in release.files if "index.html" in path}
    bare = {folder.rstrip("/") for folder in folders}
    nowhere = {"none", "en/none", "zh-hans/none", "en/index.htm", "favicon.svg"}
    return sorted(f"/{path}" for path in {"", *release.files, *folders, *bare, *nowhere})


def template(answer: Answer, path: str, release: Release) -> dict[str, str]:
    """Return the headers with what follows from the request or the bytes left out."""
    headers = dict(answer.headers)
    assert len(headers) == len(answer.headers), "a header came twice"
    assert DATE.fullmatch(headers["Date"])
    headers["Date"] = "{date}"
    style = release.metadata.style_hashes[0]
    known = {
        "Content-Length": (str(len(answer.body)), "{length}"),
        "Etag": (f'"{hashlib.sha256(answer.body).hexdigest()}"', '"{sha256}"'),
        "Onion-Location": (f"http://{ONION}{path}", "http://{onion}{path}"),
        "Location": (f"{path}/", "{path}/"),
        "Content-Security-Policy": (style, "{style}"),
    }
    for name, (value, placeholder) in known.items():
        if name in headers and headers[name] != "0":
            headers[name] = headers[name].replace(value, placeholder)
    return headers


def name_of(answer: Answer) -> str:
    """Return what a set of headers is called: its status, and what kind of bytes come."""
    kind = (answer.header("Content-Type") or "nothing").split(";")[0]
    words = [str(answer.status), kind, answer.header("Cache-Control") or ""]
    return " ".join([*words, "by language" if answer.header("Vary") else ""]).rstrip()


def seen(server: Server, release: Release, listener: str) -> dict[str, Any]:
    """Ask for every address on one listener; return its part of the list."""
    where, host = (server.clearnet, DOMAIN) if listener == "clearnet" else (server.onion, ONION)
    sets: dict[str, dict[str, str]] = {}
    requests: dict[str, str] = {}

    def add(request: str, path: str, answer: Answer) -> None:
        name = name_of(answer)
        headers = template(answer, path, release)
        assert sets.setdefault(name, headers) == headers, f"{request}: two sets named {name}"
        requests[request] = name

    for path in addresses(release):
        add(f"GET {path}", path, ask(where, path, host))
    for path in ("/", "/en/", "/none"):
        add(f"POST {path}", path, ask(where, path, host, method="POST"))
    for name in ("other.example", f"{ONION}.example"):
        add(f"GET /en/ of {name.replace(ONION, '{onion}')}", "/en/", ask(where, "/en/", name))
        add(f"GET /none of {name.replace(ONION, '{onion}')}", "/none", ask(where, "/none", name))
    return {"headers": dict(sorted(sets.items())), "requests": requests}


@pytest.mark.parametrize("listener", ["clearnet", "onion"])
def test_every_address(
    server: Server, release: Release, listener: str, pytestconfig: pytest.Config
) -> None:
    """Each address answers with the status and exactly the headers of the stored list."""
    now = seen(server, release, listener)
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    if pytestconfig.getoption("--rewrite-urls"):
        stored[listener] = now
        STORED.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
    assert now == stored[listener]
