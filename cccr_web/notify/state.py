"""What has been said and what is still to be delivered, in one file on the disk.

The file is replaced in one step. So a message is recorded together with what it says, and is
neither lost nor composed twice, whenever the process is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cccr_web.errors import CccrError
from cccr_web.files import replace, writing

_FORMAT: Final = 1
_NAME: Final = "notify.json"
_LONG_AGO: Final = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class OpenProblem:
    """What is wrong, since when, and when a message last said so.

    ``notified_at`` is before 1971 if no message has said it yet; ``faults`` are what it named.
    """

    program: str
    check: str
    what: str
    remedy: str
    since: datetime
    notified_at: datetime = _LONG_AGO
    faults: frozenset[str] = frozenset()


@dataclass(slots=True)
class Message:
    """A message, and the identifiers of the recipients that have not received it."""

    time: datetime
    title: str
    body: str
    undelivered: list[str]


@dataclass(slots=True)
class State:
    """Everything that is remembered between runs."""

    first_run: datetime
    last_heartbeat: datetime = _LONG_AGO  # when a message last said that the checks are running
    sent_at: list[datetime] = field(default_factory=list)  # messages within the last hour
    problems: list[OpenProblem] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


def read(folder: Path, now: datetime) -> State:
    """Return what ``write`` wrote, or the state of a first run. Raises ``CccrError``."""
    file = folder / _NAME
    try:
        found = json.loads(file.read_bytes())
        _check_format(found["format"])
        return State(
            _time(found["first_run"]),
            _time(found["last_heartbeat"]),
            [_time(each) for each in found["sent_at"]],
            [OpenProblem(**_checked(each, OpenProblem)) for each in found["problems"]],
            [Message(**_checked(each, Message)) for each in found["messages"]],
        )
    except FileNotFoundError:
        return State(now)
    except OSError as error:
        raise CccrError(
            f"{file} cannot be read: {error.strerror}.", "Run this as its owner."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CccrError(
            f"{file} is damaged: {error}.",
            "Remove it: what is wrong is then reported again, and what waited in it is lost.",
        ) from error


def _check_format(number: object) -> None:
    if number != _FORMAT:
        raise ValueError(f"its format is {number}, not {_FORMAT}")


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time


def _checked(values: dict[str, Any], kind: type) -> dict[str, Any]:
    """Return the values of a dataclass, each of the type of its field."""
    readers: dict[str, Callable[[Any], Any]] = {
        "str": _text,
        "datetime": _time,
        "list[str]": lambda value: [*map(_text, value)],
        "frozenset[str]": lambda value: frozenset(map(_text, value)),
    }
    return {field.name: readers[str(field.type)](values[field.name]) for field in fields(kind)}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value} is no text")
    return value


def write(folder: Path, state: State) -> None:
    """Replace what is on the disk. Raises ``CccrError``."""
    body = json.dumps({"format": _FORMAT, **asdict(state)}, default=_plain, ensure_ascii=False)
    with writing(folder / _NAME, "Free some space, or use another folder for --state."):
        replace(folder / _NAME, body.encode())


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else sorted(value)  # type: ignore[call-overload]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process uses the folder, which is made if there is none."""
    with writing(folder, "Use another folder for --state."):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
