"""What preview adds to a page: the script that reloads it, and the messages of ``check``.

It only inserts, each time between ``START`` and ``END``, and turns the page's own policy into a
comment, which would forbid the script; the header has the same policy, and the script's hash.
Without what was inserted, the page is the release's, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from markupsafe import Markup

from cccr_web.content import Problem, Text
from cccr_web.content.front_matter import split
from cccr_web.preview.edition import Edition
from cccr_web.release import Metadata, page_policy
from cccr_web.render import SiteFiles

START: Final = Markup("<!--preview(-->")
END: Final = Markup("<!--)preview-->")

# Browsers keep the position when a page is reloaded. A hidden tab closes its connection, because a
# browser opens at most six to one address.
SCRIPT: Final = """
const shown = document.currentScript.dataset.edition;
let changes;
function listen() {
  changes?.close();
  if (document.hidden) return;
  changes = new EventSource("/-/events?" + shown);
  changes.onmessage = () => location.reload();
}
document.addEventListener("visibilitychange", listen);
listen();
"""

STYLE: Final = """
.preview-message{margin:1em 0;padding:.5em .8em;border:2px solid #b00020;border-radius:4px;
background:#fff0f0;color:#300;font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}
.preview-message code{font-size:13px}
.preview-bar{position:fixed;inset:auto 0 0 0;z-index:9;padding:.4em .8em;background:#222;color:#fff;
font:14px/1.4 system-ui,sans-serif}
.preview-bar.wrong{background:#b00020}
.preview-bar a{color:#fff}
@media print{.preview-bar,.preview-message{display:none}}
"""

_POLICY: Final = re.compile(rb'<meta http-equiv="Content-Security-Policy"[^>]*>')


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def preview_policy(facts: Metadata, *styles: str) -> dict[str, str]:
    """Return the policy (CSP level 3) of previewed pages: the release's, our script and styles."""
    hashes = [*facts.style_hashes, *map(_hash, (STYLE, *styles))]
    return {
        **page_policy(hashes),
        "script-src": f"'{_hash(SCRIPT)}'",
        "connect-src": "'self'",
        "frame-ancestors": "'none'",
    }


def live(edition: Edition, style: str = STYLE) -> Markup:
    """Return the elements for the head of a page that reload it after a change."""
    sheet, script = Markup(style), Markup(SCRIPT)  # noqa: S704  # our own
    html = Markup('<style>{}</style><script data-edition="{}">{}</script>')
    return html.format(sheet, edition.id, script)


def overlay(edition: Edition, site: SiteFiles, path: str, page: bytes) -> bytes:
    """Return a page of ``site`` with the messages of its text, each before its paragraph."""
    texts = [text for text in site.content.all_texts if text.url == path]
    inserted: dict[int, Markup] = {}
    policy = _POLICY.search(page)
    if policy:
        inserted[policy.start()] = START + live(edition) + Markup("<!--)preview ")
        inserted[policy.end()] = Markup(" preview-->")
    here: list[Problem] = []
    above: list[Problem] = []
    outdated = False
    for text in texts:
        source = text.language.source
        file = site.content.texts[source][text.path].file if source else text.file
        outdated = outdated or edition.source(file) != edition.source(file, site)
        mine = [problem for problem in edition.problems if problem.file == file]
        here += mine
        if mine:
            at, top = _places(edition, site, text, mine, page)
            inserted |= at
            above += top
    end = page.rfind(b"</body>")
    inserted[end] = START + _bar(edition, here, above, outdated=outdated) + END
    return _insert(page, inserted)


def _insert(page: bytes, inserted: Mapping[int, Markup]) -> bytes:
    whole, done = b"", 0
    for at, html in sorted(inserted.items()):
        whole += page[done:at] + html.encode()
        done = at
    return whole + page[done:]


def message(problem: Problem) -> Markup:
    """Return a message with its file and line, by which the list of messages links to it."""
    html = Markup(
        '<p class="preview-message" role="alert" id="line-{2}">{0} <code>{1}:{2}</code></p>'
    )
    return html.format(problem.message, problem.file, problem.line)


def _bar(
    edition: Edition, here: Sequence[Problem], above: Sequence[Problem], *, outdated: bool
) -> Markup:
    number = len(edition.problems)
    what = f"{number} message{'s' * (number != 1)}" if number else "No messages"
    if here:
        what += f", {len(here)} of them here"
    if outdated:
        what += ". This is the last version without any."
    return Markup('<div class="preview-bar{}">Preview: <a href="/-/">{}</a>{}</div>').format(
        " wrong" if number else "",
        what,
        Markup("").join(
            Markup("<br>{} <code>{}:{}</code>").format(one.message, one.file, one.line)
            for one in above
        ),
    )


def _places(
    edition: Edition, site: SiteFiles, text: Text, problems: Sequence[Problem], page: bytes
) -> tuple[dict[int, Markup], list[Problem]]:
    """Return where in the page each message belongs, and those that belong to no paragraph."""
    shown = edition.source(problems[0].file, site)
    now = edition.source(problems[0].file)
    parts = split(shown)
    blocks = site.blocks(text)
    start = page.find("".join(html for _, html in blocks).encode())
    if parts is None or start < 0 or not blocks:
        return {}, list(problems)
    # Byte offset of each block, and its line in the file.
    starts, at = [], start
    for line, html in blocks:
        starts.append((line + parts.lines_before_body + 1, at))
        at += len(html.encode())
    found: dict[int, Markup] = {}
    above = []
    for problem in problems:
        line = _same_line(now.splitlines(), shown.splitlines(), problem.line)
        before = [offset for first, offset in starts if first <= line]
        if before:
            found[before[-1]] = found.get(before[-1], Markup("")) + START + message(problem) + END
        else:
            above.append(problem)
    return found, above


def _same_line(now: Sequence[str], shown: Sequence[str], line: int) -> int:
    """Return the line of the ``shown`` version at the place of a ``line`` of the one now."""
    for _, i1, i2, j1, j2 in SequenceMatcher(None, shown, now, autojunk=False).get_opcodes():
        if j1 < line <= j2:
            return min(i1 + line - j1, max(i2, i1 + 1))
    return line
