"""Write a release as a static mirror: its bytes, and the headers to send with them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError
from cccr_web.mirror.host_rules import host_files
from cccr_web.release import Release, write
from cccr_web.serve import clearnet_policy, onion_policy

SITE: Final = "site"
HEADERS: Final = "headers"


def write_mirror(release: Release, folder: Path, *, onion: bool = False) -> None:
    """Write ``site/`` and ``headers/`` below ``folder``; an older mirror there is replaced.

    ``site/`` changes in one step. Raises ``CccrError``.
    """
    facts = release.metadata
    policy = onion_policy(facts) if onion else clearnet_policy(facts, facts.onions)
    rules = host_files(release, policy)
    write(release, folder / SITE)
    try:
        (folder / HEADERS).mkdir(exist_ok=True)
        for name, body in rules.items():
            files.replace(folder / HEADERS / name, body)
    except OSError as error:
        raise CccrError(
            f"{folder / HEADERS} could not be written: {error.strerror}.",
            "Check the disk and the permissions.",
        ) from error
