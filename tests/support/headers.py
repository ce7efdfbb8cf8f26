"""The stored list of addresses and header sets, ``serve/urls.json``, and how to compare with it.

The list names sets of headers and, for each request, the set of its response. Values that
depend on the request or the body are placeholders.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.serving import ONION

if TYPE_CHECKING:
    from cccr_web.release import Release
    from support.serving import ReceivedResponse

FILE = Path(__file__).parent.parent / "serve" / "urls.json"
LISTENERS = ("clearnet", "onion")

_DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")


def stored() -> dict[str, Any]:
    """Return the list: for each listener the sets of ``headers``, and ``requests`` with theirs."""
    whole: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return whole


def name_of(answer: ReceivedResponse) -> str:
    """Return the name of a set of headers: status, media type, caching."""
    kind = (answer.header("Content-Type") or "nothing").split(";")[0]
    words = [str(answer.status), kind, answer.header("Cache-Control") or ""]
    kept_by = {"Accept-Language": ["by language"], "Accept-Encoding": ["packed or not"]}
    words += kept_by.get(answer.header("Vary") or "", [])
    return " ".join([*words, "in parts" if answer.header("Accept-Ranges") else ""]).rstrip()


def template(
    answer: ReceivedResponse, release: Release, path: str = "", onion: str = ONION
) -> dict[str, str]:
    """Return the headers with placeholders for what depends on the request or the body."""
    headers = dict(answer.headers)
    assert len(headers) == len(answer.headers), "a header came twice"
    if "Date" in headers:
        assert _DATE.fullmatch(headers["Date"])
        headers["Date"] = "{date}"
    known = {
        "Content-Length": (str(len(answer.body)), "{length}"),
        "Etag": (hashlib.sha256(answer.body).hexdigest(), "{sha256}"),
        "Onion-Location": (f"http://{onion}{path}", "http://{onion}{path}"),
        "Location": (f"{path}/" if path else "", "{path}/"),
        "Content-Security-Policy": (release.metadata.style_hashes[0], "{style}"),
    }
    for name, (value, placeholder) in known.items():
        if value and headers.get(name, "0") != "0":
            headers[name] = headers[name].replace(value, placeholder)
    return headers
