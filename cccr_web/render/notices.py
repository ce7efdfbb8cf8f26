"""``translations/files/``: notices that go into the release as they are, byte for byte.

Its tree is that of the release's root: ``files/mirrors.txt``, ``files/canary.txt``,
``files/.well-known/security.txt``. The folder need not be there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final

from cccr_web.content import Problem
from cccr_web.errors import CccrError
from cccr_web.notices import NOTICES, Notice, read_notice
from cccr_web.release import PublicKey

FOLDER: Final = "files"


@dataclass(slots=True)
class Notices:
    """What was found in ``folder``: path → bytes, what each says, and what is wrong."""

    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)
    said: dict[str, Notice] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def newest(self) -> date:
        """The day of the latest notice."""
        return max((said.issued for said in self.said.values() if said.issued), default=date.min)

    def past(self, time: datetime) -> Iterator[Problem]:
        """Yield a problem for each notice that is no longer good at a release's ``time``."""
        for path, said in self.said.items():
            if said.until is not None and said.until <= time:
                yield Problem(
                    self.folder / path,
                    1,
                    f"It was good until {said.until:%Y-%m-%d %H:%M} UTC; "
                    f"the release is of {time:%Y-%m-%d}. Make it anew.",
                )


def read_notices(tree: Path, key: PublicKey | None) -> Notices:
    """Read and check everything below ``tree/files`` by the organisation's ``key``."""
    found = Notices(Path(tree.name, FOLDER))
    for file in _walk(tree / FOLDER):
        path = file.relative_to(tree / FOLDER).as_posix()
        if path not in NOTICES:
            known = ", ".join(sorted(NOTICES))
            detail = f"Only these have a place here: {known}."
        elif not stat.S_ISREG(file.lstat().st_mode):
            detail = "It is no regular file."
        else:
            body = file.read_bytes()
            try:
                found.said[path] = read_notice(path, body, key)
            except CccrError as error:
                detail = str(error)
            else:
                found.files[path] = body
                continue
        found.problems.append(Problem(found.folder / path, 1, detail))
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all that is no folder, links included; none is followed."""
    for above, folders, names in os.walk(folder):
        links = [name for name in folders if Path(above, name).is_symlink()]
        yield from sorted(Path(above, name) for name in (*names, *links))
