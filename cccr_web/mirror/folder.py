"""The folder of a static mirror: the files of a release, and the headers to send with them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.mirror.header_rules import Listener, header_rules
from cccr_web.release import Release, write

# The files in headers/, and their formats.
RULE_FILES: Final = {
    "nginx.conf": "nginx",
    "Caddyfile": "caddy",
    "_headers": "netlify",
    "_redirects": "netlify-redirects",
}


def write_mirror(release: Release, folder: Path, listener: Listener = "clearnet") -> None:
    """Write ``site/`` and ``headers/`` in ``folder``, and replace those of an older mirror.

    ``site/`` is replaced in one step. Raises ``CccrError``.
    """
    rules = header_rules(release, listener, RULE_FILES.values())
    write(release, folder / "site")
    headers = folder / "headers"
    with files.writing(headers, "Check the disk and the permissions."):
        headers.mkdir(exist_ok=True)
        for name, rule_format in RULE_FILES.items():
            files.replace(headers / name, rules[rule_format].encode())
