"""``translations/site.toml``: the facts that are in no language."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from cccr_web.content.model import Addresses, Site
from cccr_web.content.problem import Problem, not_utf8

FILE = Path("translations/site.toml")

_CLEARNET = re.compile(r"https://[a-z0-9.-]+\.[a-z]{2,}")
_ONION = re.compile(r"[a-z2-7]{56}\.onion")
_HTTPS = re.compile(r"https://[a-z0-9.-]+\.[a-z]{2,}/\S*")
# minisign's form: 56 characters of base64, beginning with “Ed” and a key number.
_PUBLIC_KEY = re.compile(r"RW[QRST][A-Za-z0-9+/]{53}")
# A name and a day on which it was ours (RFC 4151, section 2.1).
_AUTHORITY = re.compile(r"[a-z0-9.-]+\.[a-z]{2,},[0-9]{4}(-[0-9]{2}){0,2}")
_DEFANGED = re.compile(r"hxxp://[a-z0-9-]+(\[\.\][a-z0-9-]+)+/")


def read_site(tree: Path) -> tuple[Site | None, list[Problem]]:
    """Read ``site.toml`` below ``tree``; ``None`` with the problems if it cannot be used."""
    try:
        values = tomllib.loads((tree / FILE.name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, [Problem(FILE, 1, "The file is missing.")]
    except UnicodeDecodeError as error:
        return None, [not_utf8(FILE, error)]
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+)", str(error))
        return None, [Problem(FILE, int(where[1]) if where else 1, f"Not TOML: {error}.")]

    values = {**_DEFAULTS, **values}
    problems = [
        Problem(FILE, 1, f"Unknown key “{key}”.") for key in sorted(values.keys() - _RULES.keys())
    ]
    for key, (rule, wanted) in _RULES.items():
        if key not in values:
            problems.append(Problem(FILE, 1, f"The key “{key}” is missing: it must be {wanted}."))
        elif not rule(values[key]):
            problems.append(Problem(FILE, 1, f"“{key}” must be {wanted}."))
    if problems:
        return None, problems
    return (
        Site(
            sequence=values["sequence"],
            valid_days=values["valid_days"],
            public_key=values["public_key"] or None,
            addresses=Addresses(values["clearnet"] or None, tuple(values["onions"])),
            blog=values["blog"],
            former_site=values["former_site"],
            feed_authority=values["feed_authority"],
            exit=values["exit"] or None,
        ),
        [],
    )


def is_clearnet(value: Any) -> bool:
    """Whether ``value`` is an https address without a path, such as ``https://example.org``."""
    return isinstance(value, str) and _CLEARNET.fullmatch(value) is not None


def is_onion(value: Any) -> bool:
    """Whether ``value`` has the form of a version 3 onion address."""
    return isinstance(value, str) and _ONION.fullmatch(value) is not None


def _matches(pattern: re.Pattern[str]) -> Any:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_DEFAULTS = {"public_key": "", "exit": ""}

_RULES: dict[str, tuple[Any, str]] = {
    "sequence": (
        lambda value: type(value) is int and value > 0,
        "the release's number, a whole number from 1, higher than the last release's",
    ),
    "valid_days": (
        lambda value: type(value) is int and 0 < value <= 3650,
        "for how many days a release is valid, a whole number from 1 to 3650",
    ),
    "public_key": (
        lambda value: value == "" or _matches(_PUBLIC_KEY)(value),
        'the line of the public key\'s file that begins with RW, or "" while there is none',
    ),
    "clearnet": (
        lambda value: value == "" or is_clearnet(value),
        'an https address without a path, such as "https://example.org", or ""',
    ),
    "onions": (
        lambda value: isinstance(value, list) and all(map(is_onion, value)),
        "a list of addresses of 56 characters and .onion; [] while there is none",
    ),
    "blog": (_matches(_HTTPS), "an https address"),
    "former_site": (
        _matches(_DEFANGED),
        'a defanged address, such as "hxxp://www[.]example[.]org/"',
    ),
    "feed_authority": (
        _matches(_AUTHORITY),
        'a host name and a day on which it was ours, such as "example.org,2013-05-07"',
    ),
    "exit": (
        lambda value: value == "" or _matches(_HTTPS)(value),
        'the https address of a harmless page, or ""',
    ),
}
