"""Where links in texts may lead (``content/links.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.texts import (
    AT,
    DATED,
    MISSING,
    MISSING_AT,
    VERIFY,
    TreeChange,
    add,
    lines,
    problems_after,
    replace_once,
)

CASES: dict[str, tuple[TreeChange, list[str]]] = {
    "link to no page": (
        add(VERIFY, "[x](verified.md)"),
        [f"{AT}: “verified.md” is a dead link: there is no translations/en/pages/verified.md."],
    ),
    "link out of the tree": (
        add(VERIFY, "[x](../../../../etc/passwd)"),
        [f"{AT}: “../../../../etc/passwd” is a dead link: there is no ../etc/passwd."],
    ),
    "link to the other language": (
        add(VERIFY, "[x](../../zh_Hans/pages/no.md)"),
        [
            (
                f"{AT}: “../../zh_Hans/pages/no.md” is a dead link: "
                "there is no translations/zh_Hans/pages/no.md."
            )
        ],
    ),
    "link to no heading of another page": (
        add(VERIFY, f"[x](../{DATED}#nobody)"),
        [
            (
                f"{AT}: “../{DATED}#nobody” is a dead link: "
                f"translations/en/{DATED} has no heading {{#nobody}}."
            )
        ],
    ),
    "link to no heading of the same page": (
        add(VERIFY, "[x](#nobody)"),
        [f"{AT}: “#nobody” is a dead link: translations/{VERIFY} has no heading {{#nobody}}."],
    ),
    "link to no file": (
        add(VERIFY, "[x](/SHA512SUMS)"),
        [f"{AT}: “/SHA512SUMS” is a dead link: the release has no such file."],
    ),
    "link by http": (
        add(VERIFY, "[x](http://example.org/)"),
        [f"{AT}: “http://example.org/” must use https, like every link to another site."],
    ),
    "link without a scheme": (
        add(VERIFY, "[x](//example.org/)"),
        [f"{AT}: “//example.org/” must use https, like every link to another site."],
    ),
    "link without a host": (
        add(VERIFY, "[x](https:///verify.html)"),
        [f"{AT}: “https:///verify.html” is not a valid URL: write the host after https://."],
    ),
    "link to mail": (
        add(VERIFY, "<frontdesk@torproject.org>"),
        [
            (
                f"{AT}: “mailto:frontdesk@torproject.org” must use https, "
                "like every link to another site."
            )
        ],
    ),
    "link that is a script": (
        add(VERIFY, "[x](javascript:alert(1))"),
        [f"{AT}: “javascript:alert(1)” must use https, like every link to another site."],
    ),
    "link that is no address": (
        add(VERIFY, "[x](https://no_host.example/)"),
        [
            (
                f"{AT}: “https://no_host.example/” is not a valid URL: "
                "“no_host.example” is not a host name."
            )
        ],
    ),
    "link with a tracking parameter": (
        add(VERIFY, "[x](https://example.org/?a=1&utm_source=b)"),
        [
            (
                f"{AT}: “https://example.org/?a=1&utm_source=b” reports who passed it on: "
                "remove the tracking parameter utm_source."
            )
        ],
    ),
    "address with a tracking parameter in the text": (
        add(VERIFY, "one\nsee https://example.org/?fbclid=1."),
        [
            (
                f"{VERIFY}:{lines(VERIFY) + 3}: “https://example.org/?fbclid=1” reports who "
                "passed it on: remove the tracking parameter fbclid."
            )
        ],
    ),
    "link with a port": (add(VERIFY, "[x](https://example.org:8443/)"), []),
    "link with punctuation": (
        add(MISSING, "<https://example.org/，见下文。>"),
        [
            (
                f"{MISSING_AT}: “https://example.org/，见下文。” contains the punctuation mark "
                "“，”: put it after the link, or write it as %EF%BC%8C if it belongs to the URL."
            )
        ],
    ),
    "blog with a tracking parameter": (
        replace_once("site.toml", 'blogspot.com/"', 'blogspot.com/?utm_medium=x"'),
        [
            (
                "site.toml:20: “https://gongminziyoulianmeng.blogspot.com/?utm_medium=x” reports "
                "who passed it on: remove the tracking parameter utm_medium."
            )
        ],
    ),
}


@pytest.mark.parametrize(("change", "problems"), CASES.values(), ids=CASES)
def test_a_link_that_leads_nowhere_or_elsewhere_is_reported(
    tmp_path: Path, change: TreeChange, problems: list[str]
) -> None:
    """A tree with one such link reports exactly these problems."""
    assert problems_after(change, tmp_path) == problems
