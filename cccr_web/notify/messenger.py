"""Decide what to say, and when, and deliver it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cccr_web.errors import counted
from cccr_web.notify import state as disk
from cccr_web.notify.recipients import DeliveryError, Recipients, Sender, described, identifier
from cccr_web.notify.reports import Finding, ProgramReport, read_report
from cccr_web.notify.state import Message, OpenProblem, State

# Further changes wait, and are then said in one message: nothing is lost.
MOST_AN_HOUR: Final = 3
# After an outage of the receiver, so that it does not take them for a flood.
MOST_A_RUN: Final = 10
# A target that accepts nothing for so long does not need to know what was wrong then.
KEPT: Final = timedelta(days=7)

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_MOST_NAMES: Final = 4  # in a title


@dataclass(slots=True)
class _Changes:
    """Lines of a message, by what they announce."""

    wrong: list[OpenProblem] = field(default_factory=list)
    still: list[OpenProblem] = field(default_factory=list)
    right: list[tuple[OpenProblem, datetime]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.wrong or self.still or self.right)


class Messenger:
    """Notifies ``recipients`` of what is wrong with ``name``; remembers everything in ``folder``.

    ``log`` gets a line, without passwords, for everything that a person should see.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        recipients: Recipients,
        sender: Sender,
        log: Callable[[str], None],
    ) -> None:
        self._name = name
        self._folder = folder
        self._recipients = recipients
        self._sender = sender
        self._log = log

    def run(self, files: Iterable[Path], now: datetime) -> bool:
        """Compare these reports with what was said before, and send what is to be sent.

        Returns whether every message has been delivered. Raises ``CccrError``.
        """
        with disk.locked(self._folder):
            state = disk.read(self._folder, now)
            reports = [read_report(file, state.first_run, now) for file in files]
            self._compose(state, reports, now)
            disk.write(self._folder, state)
            delivered = self._deliver(state, now)
        if all(report.is_fresh for report in reports):
            self._ping()
        return delivered

    def _compose(self, state: State, reports: list[ProgramReport], now: datetime) -> None:
        state.sent_at = [time for time in state.sent_at if timedelta() <= now - time < _HOUR]
        if len(state.sent_at) >= MOST_AN_HOUR:
            return
        changes = _changes(state, reports, now)
        is_fresh = all(report.is_fresh for report in reports)
        heartbeat = is_fresh and not timedelta() <= now - state.last_heartbeat < _WEEK
        if heartbeat:
            state.last_heartbeat = now
        if changes or heartbeat:
            body = "\n\n".join(
                [*_paragraphs(changes), *([_heartbeat(state, reports)] if heartbeat else [])]
            )
            to = [identifier(url) for url in self._recipients.urls]
            state.messages.append(Message(now, f"{self._name}: {_title(changes)}", body, to))
            state.sent_at.append(now)

    def _deliver(self, state: State, now: datetime) -> bool:
        """Send what waits, the oldest first; a target that fails gets nothing more in this run."""
        left = dict.fromkeys(self._recipients.urls, MOST_A_RUN)
        for message in state.messages:
            for url in self._recipients.urls:
                if identifier(url) not in message.undelivered or left[url] == 0:
                    continue
                left[url] -= 1
                try:
                    self._sender.send(url, message.title, _dated(message, now))
                except DeliveryError as error:
                    left[url] = 0
                    self._log(
                        f"Not delivered to {described(url, self._recipients.urls)}: {error}. "
                        "The message is kept and sent again."
                    )
                else:
                    message.undelivered.remove(identifier(url))
                    disk.write(self._folder, state)
        known = {identifier(url) for url in self._recipients.urls}
        for message in state.messages:
            if known.intersection(message.undelivered) and now - message.time > KEPT:
                self._log(f"Given up after {KEPT.days} days: {message.title}")
        state.messages = [
            message
            for message in state.messages
            if known.intersection(message.undelivered) and now - message.time <= KEPT
        ]
        disk.write(self._folder, state)
        return not state.messages

    def _ping(self) -> None:
        if self._recipients.ping is not None:
            try:
                self._sender.ping(self._recipients.ping)
            except DeliveryError as error:
                self._log(f"The ping failed: {error}.")


def _changes(state: State, reports: list[ProgramReport], now: datetime) -> _Changes:
    """Return what to say, and record that it was said."""
    changes = _Changes()
    for report in reports:
        known = {each.check: each for each in state.problems if each.program == report.program}
        for finding in report.findings:
            if finding.what:
                _found(state, changes, known.get(finding.check), finding, report)
            elif finding.check in known:
                changes.right.append((known[finding.check], report.time))
        if report.is_complete:
            named = {finding.check for finding in report.findings}
            changes.right += [(known[check], report.time) for check in known.keys() - named]
    ended = [id(problem) for problem, _ in changes.right]
    state.problems = [each for each in state.problems if id(each) not in ended]
    for problem in state.problems:
        if problem not in changes.wrong and not timedelta() <= now - problem.notified_at < _DAY:
            changes.still.append(problem)
    for problem in (*changes.wrong, *changes.still):
        problem.notified_at = now
    return changes


def _found(
    state: State,
    changes: _Changes,
    known: OpenProblem | None,
    finding: Finding,
    report: ProgramReport,
) -> None:
    if known is None:
        known = OpenProblem(report.program, finding.check, "", "", report.time)
        state.problems.append(known)
    if not finding.faults <= known.faults:
        changes.wrong.append(known)
    known.what, known.remedy = finding.what, finding.remedy
    known.faults |= finding.faults


def _title(changes: _Changes) -> str:
    parts = []
    for words, names in (
        ("WRONG", [problem.check for problem in changes.wrong]),
        ("still wrong", [problem.check for problem in changes.still]),
        ("right again", [problem.check for problem, _ in changes.right]),
    ):
        if names:
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            parts.append(f"{words}: {', '.join(names[:_MOST_NAMES])}{more}")
    return "; ".join(parts) or "the checks are running"


def _paragraphs(changes: _Changes) -> Iterable[str]:
    """Yield two lines for each problem: what and since when, what to do."""
    for words, problems in (("WRONG", changes.wrong), ("Still wrong", changes.still)):
        for each in problems:
            yield f"{words} since {_time(each.since)}: {each.check}: {each.what}\n{each.remedy}"
    for each, time in changes.right:
        yield (
            f"Right again since {_time(time)}: {each.check}.\n"
            f"It was wrong since {_time(each.since)}: {each.what}"
        )


def _heartbeat(state: State, reports: list[ProgramReport]) -> str:
    last = ", ".join(f"{report.program} ({_time(report.time)})" for report in reports)
    count = len(state.problems)
    wrong = f"{counted(count, 'check')} found something wrong" if count else "nothing is wrong"
    return f"The checks are running: {last}; {wrong}.\nThis message comes once a week."


def _dated(message: Message, now: datetime) -> str:
    """Return the body; a message that had to wait says when it was written."""
    if now - message.time < _HOUR:
        return message.body
    return (
        f"{message.body}\n\nThis was written on {_time(message.time)}; it could not be sent before."
    )


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
