"""``translations/files/``: notices that go into the release unchanged, with line feeds only.

Paths below it are paths in the release: ``files/mirrors.txt``, ``files/canary.txt``,
``files/.well-known/security.txt``. The folder is optional.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

from cccr_web.content import Addresses, Problem, SourceTree
from cccr_web.content.source_tree import unreadable
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.notices import MIRRORS, NOTICES, PGP, Notice, midnight, read_mirrors, read_notice
from cccr_web.release import (
    RECORD,
    SigningPolicy,
    check_before,
    key_fingerprints,
    parse_record,
    unix_lines,
)

FOLDER: Final = "files"


@dataclass(slots=True)
class NoticeFiles:
    """The notices in ``folder``: path → bytes, path → dates, and the problems found.

    ``key`` is the organisation's policy, with which they were verified.
    """

    folder: Path
    key: SigningPolicy | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    notices: dict[str, Notice] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def newest(self) -> date:
        """The day of the latest notice."""
        days = (notice.issued for notice in self.notices.values() if notice.issued)
        return max(days, default=date.min)

    @property
    def mirrors(self) -> tuple[str, ...]:
        """Every address in ``mirrors.txt``."""
        return read_mirrors(self.files[MIRRORS], verify=False).urls if MIRRORS in self.files else ()

    @property
    def openpgp_fingerprint(self) -> str | None:
        """The fingerprint of the first key in ``pgp.txt``."""
        return key_fingerprints(self.files[PGP], name=PGP)[0] if PGP in self.files else None

    @property
    def record(self) -> bytes:
        """``releases.txt``; empty if there is none."""
        return self.files.get(RECORD, b"")

    def with_record(self, record: bytes) -> NoticeFiles:
        """Return these notices with another ``releases.txt``, or with none if it is empty."""
        files = {path: body for path, body in self.files.items() if path != RECORD}
        return replace(self, files=files | ({RECORD: record} if record else {}))

    def missing(self, addresses: Addresses) -> Iterator[Problem]:
        """Yield a problem for each official address that ``mirrors.txt`` lacks."""
        official = addresses.urls if MIRRORS in self.files else ()
        for url in official:
            if url not in self.mirrors:
                message = f"{url} is in site.toml, but not here: make it again with every address."
                yield Problem(self.folder / MIRRORS, 1, message)

    def not_before(self, sequence: int) -> Iterator[Problem]:
        """Yield a problem if ``releases.txt`` names the release of this sequence or a later one."""
        lines = parse_record(self.files[RECORD]) if RECORD in self.files else ()
        try:
            for line in lines[-1:]:
                check_before(line, sequence)
        except ReleaseError as error:
            yield Problem(self.folder / RECORD, len(lines), str(error))

    def faults(self, time: datetime, today: date) -> Iterator[Problem]:
        """Yield a problem for each notice that is not valid at a release's ``time``.

        Nor may it be dated later than the day after ``today``.
        """
        for path, notice in self.notices.items():
            fault = Notice(notice.issued).fault(midnight(today)) or notice.fault(
                time, "the release is dated"
            )
            if fault:
                yield Problem(self.folder / path, 1, fault)


def read_notice_files(tree: SourceTree, key: SigningPolicy | None) -> NoticeFiles:
    """Read every file below ``tree/files`` and verify it with the organisation's policy."""
    found = NoticeFiles(tree.name(FOLDER), key)
    for file in _walk(tree.folder / FOLDER):
        path = file.relative_to(tree.folder / FOLDER).as_posix()
        if path not in NOTICES:
            known = ", ".join(sorted(NOTICES))
            detail = f"Only these files are allowed here: {known}."
        elif not stat.S_ISREG(file.lstat().st_mode):
            detail = "It is not a regular file."
        else:
            try:
                body = tree.read(file)
                found.notices[path] = read_notice(path, body, key)
            except OSError as error:
                found.problems.append(unreadable(found.folder / path, error))
                continue
            except CccrError as error:
                detail = str(error)
            else:
                found.files[path] = unix_lines(body)
                continue
        found.problems.append(Problem(found.folder / path, 1, detail))
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything but folders. Links are yielded and not followed."""
    for above, folders, names in os.walk(folder):
        links = [name for name in folders if Path(above, name).is_symlink()]
        yield from sorted(Path(above, name) for name in (*names, *links))
