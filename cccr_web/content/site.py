"""``site.toml`` and ``names.toml``: the facts and names that are the same in every language.

Converting a name from Simplified to Traditional Chinese characters is a guess: 余 stays 余 in
one name and becomes 餘 in another. So ``names.toml`` lists each name with the form that its
owner uses, or with the same characters if no other form is known.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cccr_web.content.characters import NAME, SELECTOR
from cccr_web.content.front_matter import lines_of_keys
from cccr_web.content.model import Addresses, SigningFacts, Site
from cccr_web.content.source_tree import Problem, SourceTree
from cccr_web.content.urls import faults
from cccr_web.facts import (
    CLEARNET,
    DOMAIN,
    MAX_POLICY,
    MAX_SEQUENCE,
    MAX_SIGNERS,
    MAX_VALID,
    ONION,
    PUBLIC_KEY,
    SIGNER,
    SSH_KEY,
)

_FILE = "site.toml"
NAMES = "names.toml"

_MAIL = re.compile(rf"[A-Za-z0-9._+-]+@{DOMAIN.pattern}")
_HTTPS = re.compile(rf"{CLEARNET.pattern}/\S*")
# A host name and a date on which the organisation owned it (RFC 4151, section 2.1).
_AUTHORITY = re.compile(rf"{DOMAIN.pattern},[0-9]{{4}}(-[0-9]{{2}}){{0,2}}")
_DEFANGED = re.compile(r"hxxp://[a-z0-9-]+(\[\.\][a-z0-9-]+)+/")


def read_site(tree: SourceTree) -> tuple[Site | None, SigningFacts | None, list[Problem]]:
    """Read ``site.toml`` in ``tree``; return its facts, who signs, and the problems.

    The facts are ``None`` if one of them is wrong; who signs is returned even then, if it is
    right.
    """
    text, values, problems = tree.toml(_FILE)
    if values is None:
        return None, None, problems
    values = {**_DEFAULTS, **values}
    wrong = [*_wrong_facts(values, lines_of_keys(text), tree.name(_FILE))]
    key = _signing(values, lines_of_keys(text))
    problems += wrong
    if wrong:
        return None, key, problems
    return (
        Site(
            sequence=values["sequence"],
            valid_days=values["valid_days"],
            signing=key,
            addresses=Addresses(values["clearnet"] or None, tuple(values["onions"])),
            blog=values["blog"],
            former_site=values["former_site"],
            feed_authority=values["feed_authority"],
            exit=values["exit"] or None,
            contact=values["contact"] or None,
        ),
        key,
        problems,
    )


def _wrong_facts(
    values: Mapping[str, Any], lines: Mapping[str, int], file: Path
) -> Iterator[Problem]:
    for key in sorted(values.keys() - _RULES.keys()):
        known = ", ".join(sorted(_RULES))
        yield Problem(file, lines.get(key, 1), f"Unknown key “{key}”: the keys are {known}.")
    for key, (rule, wanted) in _RULES.items():
        line = lines.get(key, 1)
        if key not in values:
            yield Problem(file, 1, f"The key “{key}” is missing: it must be {wanted}.")
        elif not rule(values[key]):
            yield Problem(file, line, f"“{key}” must be {wanted}.")
        elif key in _URLS and str(values[key]).startswith("https:"):
            for message in faults(values[key]):
                yield Problem(file, line, message)
    if values["public_key"] and values["public_keys"]:
        message = "Set either “public_key” or “public_keys”: remove the other."
        yield Problem(file, lines.get("public_keys", 1), message)


def is_clearnet(value: Any) -> bool:
    """Whether ``value`` is an https address without a path, such as ``https://example.org``."""
    return isinstance(value, str) and CLEARNET.fullmatch(value) is not None


def _matches(pattern: re.Pattern[str]) -> Any:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_signer(value: Any) -> bool:
    """Whether a table has a ``name``, and a ``minisign`` or ``ssh`` key."""
    return (
        isinstance(value, dict)
        and _matches(SIGNER)(value.get("name"))
        and (
            (value.keys() == {"name", "minisign"} and _matches(PUBLIC_KEY)(value["minisign"]))
            or (value.keys() == {"name", "ssh"} and _matches(SSH_KEY)(value["ssh"]))
        )
    )


def _signing(values: Mapping[str, Any], lines: Mapping[str, int]) -> SigningFacts | None:
    """Return who signs, or ``None`` if nobody does or any of it is wrong."""
    keys = ("public_key", "public_keys", "threshold", "policy_number")
    if not all(_RULES[key][0](values[key]) for key in keys):
        return None
    if values["public_key"]:
        return SigningFacts((("organisation", "minisign", values["public_key"]),))
    signers = [
        (each["name"], kind, each[kind])
        for each in values["public_keys"]
        for kind in each.keys() - {"name"}
    ]
    if not signers:
        return None
    return SigningFacts(
        tuple(sorted(signers)),
        values["threshold"],
        values["policy_number"],
        lines.get("public_keys", 1),
    )


_DEFAULTS = {
    "public_key": "",
    "public_keys": [],
    "threshold": 1,
    "policy_number": 1,
    "exit": "",
    "contact": "",
}
_URLS = {"blog", "clearnet", "contact", "exit"}

_RULES: dict[str, tuple[Any, str]] = {
    "sequence": (
        lambda value: type(value) is int and 0 < value <= MAX_SEQUENCE,
        f"a whole number from 1 to {MAX_SEQUENCE:,}, higher than in the last release",
    ),
    "valid_days": (
        lambda value: type(value) is int and 0 < value <= MAX_VALID.days,
        f"a number of days from 1 to {MAX_VALID.days}",
    ),
    "public_key": (
        lambda value: value == "" or _matches(PUBLIC_KEY)(value),
        'the line of the public key file that starts with RW, or ""',
    ),
    "public_keys": (
        lambda value: (
            isinstance(value, list) and len(value) <= MAX_SIGNERS and all(map(_is_signer, value))
        ),
        'a list of signers such as { name = "editor", minisign = "RW…" }; “ssh” is for SSH keys',
    ),
    "threshold": (
        lambda value: type(value) is int and 0 < value <= MAX_SIGNERS,
        f"the number of signers whose signatures a release needs, from 1 to {MAX_SIGNERS}",
    ),
    "policy_number": (
        lambda value: type(value) is int and 0 < value <= MAX_POLICY,
        f"a whole number from 1 to {MAX_POLICY:,}, higher after each change of the signers",
    ),
    "clearnet": (
        lambda value: value == "" or is_clearnet(value),
        'an https address without a path, such as "https://example.org", or ""',
    ),
    "onions": (
        lambda value: isinstance(value, list) and all(map(_matches(ONION), value)),
        "a list of onion addresses (56 characters and .onion), or []",
    ),
    "blog": (_matches(_HTTPS), "an https address"),
    "former_site": (
        _matches(_DEFANGED),
        'a defanged address, such as "hxxp://www[.]example[.]org/"',
    ),
    "feed_authority": (
        _matches(_AUTHORITY),
        'a host name and a date on which it was ours, such as "example.org,2013-05-07"',
    ),
    "contact": (
        lambda value: value == "" or any(_matches(kind)(value) for kind in (_MAIL, _HTTPS)),
        'a mail address, an https address, or "" for none',
    ),
    "exit": (
        lambda value: value == "" or _matches(_HTTPS)(value),
        'the https address of a harmless page, or ""',
    ),
}


def read_names(tree: SourceTree) -> tuple[dict[str, str], list[Problem]]:
    """Read ``names.toml`` in ``tree``; return no names if it has problems."""
    text, values, problems = tree.toml(NAMES)
    if values is None:
        return {}, problems
    lines = lines_of_names(text)
    file = tree.name(NAMES)
    wrong = [Problem(file, lines.get(name, 1), what) for name, what in wrong_names(values)]
    return ({} if wrong else values), problems + wrong


def lines_of_names(text: str) -> dict[str, int]:
    """Return the line of each name, in whatever quotation marks or escapes it is written."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        with contextlib.suppress(ValueError):  # one of several lines of a value
            found |= dict.fromkeys(tomllib.loads(line), number)
    return found


def wrong_names(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each wrong name, and why it is wrong."""
    for name, form in values.items():
        length = _length(name)
        if NAME.fullmatch(name) is None or length < 2:
            yield name, f"“{name}” is not a name of two or more Chinese characters."
        elif not isinstance(form, str) or not NAME.fullmatch(form) or _length(form) != length:
            yield name, f"“{name}” needs a form of {length} Chinese characters in quotes."
    for before, name in itertools.pairwise(filter(NAME.fullmatch, values)):
        if name < before:
            yield name, f"“{name}” must come before “{before}”: sort the names by code point."


def _length(name: str) -> int:
    """Return the number of characters, of which a variation selector is a part."""
    return len(SELECTOR.sub("", name))
