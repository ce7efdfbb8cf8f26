"""What the reports of ``doctor --report`` and ``watch --report`` say about each check."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

# Both run every hour, ``watch`` at a random minute, and may take half an hour.
STALE: Final = timedelta(hours=3)

_LONGEST: Final = 400  # characters of a line; some receivers accept no more than 4,096 in all


@dataclass(frozen=True, slots=True)
class Finding:
    """What a report says about one check: nothing if it is right, otherwise what is wrong.

    ``faults`` tells one fault from another: its numbers, such as the days left, are not in it.
    """

    check: str
    what: str = ""
    remedy: str = ""
    faults: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raise ``TypeError`` or ``UnicodeEncodeError`` for what is no text."""
        for text in (self.check, self.what, self.remedy, *self.faults):
            str.encode(text)


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """The findings of one program, and when it wrote them.

    What a report does not mention has ended if it ``is_complete``; otherwise nothing is known.
    """

    program: str
    time: datetime
    findings: tuple[Finding, ...]
    is_complete: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether the program reported, and in time: then the first finding says so."""
        return bool(self.findings) and not self.findings[0].what


def read_report(file: Path, first_run: datetime, now: datetime) -> ProgramReport:
    """Read a report. Its file's name, without the ending, is the program's.

    A report that is missing since ``first_run``, old or damaged is itself a finding.
    """
    program = file.stem
    try:
        time = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        found = _findings(json.loads(file.read_bytes()))
    except FileNotFoundError:
        time, found = first_run, None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ProgramReport(program, now, (_no_report(program, "Its report cannot be read."),))
    if now - time > STALE:
        last = f"{time:%Y-%m-%d %H:%M} UTC"
        said = f"It has not reported since {last}." if found else f"No report came since {last}."
        return ProgramReport(program, now, (_no_report(program, said),))
    if found is None:
        return ProgramReport(program, time, ())
    findings, is_complete = found
    return ProgramReport(program, time, (Finding(program), *findings), is_complete)


def _no_report(program: str, what: str) -> Finding:
    unit = f"cccr-{program}"
    remedy = f"See why on its machine: systemctl status {unit}.timer {unit}.service"
    return Finding(program, what, remedy, frozenset({"report"}))


def _findings(report: Any) -> tuple[tuple[Finding, ...], bool]:
    if isinstance(report, list):
        return tuple(_of_doctor(report)), False
    problem = report["problem"]
    release = _of_watch("release", [problem] if problem else [], "{detail}")
    sites = (
        _of_watch(site["address"], site["differences"], "{kind}: {path}: {detail}")
        for site in report["addresses"]
    )
    return (release, *sites), True


def _of_doctor(results: list[dict[str, str]]) -> Iterable[Finding]:
    """Yield one finding for each name of a check; what was not checked is unknown."""
    for name in dict.fromkeys(result["name"] for result in results):
        alike = [result for result in results if result["name"] == name]
        wrong = [result for result in alike if result["verdict"] == "wrong"]
        if wrong:
            first = wrong[0]
            what = first["sentence"] + _others(len(wrong))
            yield _wrong(name, what, first["remedy"], (each["sentence"] for each in wrong))
        elif all(result["verdict"] != "not checked" for result in alike):
            yield Finding(name)


def _of_watch(check: str, found: list[dict[str, str]], form: str) -> Finding:
    if not found:
        return Finding(check)
    first = found[0]
    what = form.format(**first | {"path": first.get("path") or "/"}) + _others(len(found))
    return _wrong(check, what, first["remedy"], (each["kind"] for each in found))


def _others(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""


def _wrong(check: str, what: str, remedy: str, faults: Iterable[str]) -> Finding:
    # A remedy of several sentences must stay one line, too.
    what, remedy = (" ".join(text.split())[:_LONGEST] for text in (what, remedy))
    return Finding(check, what, remedy, frozenset(re.sub("[0-9]+", "#", each) for each in faults))
