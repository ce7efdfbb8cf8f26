"""What a check has found: one fact, in plain words, with the way out if it is wrong."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


class Verdict(enum.StrEnum):
    """Its words are part of the JSON form."""

    OK = "ok"
    WRONG = "wrong"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Result:
    """``name`` is the check's, ``sentence`` says what is so, ``remedy`` what to do."""

    name: str
    verdict: Verdict
    sentence: str
    remedy: str = ""


def ok(name: str, sentence: str) -> Result:
    """Return that all is well."""
    return Result(name, Verdict.OK, sentence)


def wrong(name: str, sentence: str, remedy: str) -> Result:
    """Return that something is wrong, or that nobody can see whether it is."""
    return Result(name, Verdict.WRONG, sentence, remedy)


def not_applicable(name: str, why: str) -> Result:
    """Return that the site has no such thing."""
    return Result(name, Verdict.NOT_APPLICABLE, why)


def to_json(results: Iterable[Result]) -> str:
    """Return them as a JSON list, in their order."""
    return json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False)


def some(found: list[str], most: int = 3) -> str:
    """Return the first few of many findings, and how many more there are."""
    others = f" (and {len(found) - most} more)" if len(found) > most else ""
    return f"{'; '.join(found[:most])}{others}"
