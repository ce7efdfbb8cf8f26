"""The folder of a static mirror: the files of a release, its headers, and pages that redirect."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError
from cccr_web.mirror.header_rules import header_rules
from cccr_web.release import (
    MANIFEST,
    NO_JEKYLL,
    Release,
    ReleaseFolder,
    open_unverified,
    reject_older,
)
from cccr_web.serve import Listener, redirect_pages

_REMEDY: Final = "Check the disk and the permissions."

# The files in headers/, and their formats.
_RULE_FILES: Final = {
    "nginx.conf": "nginx",
    "Caddyfile": "caddy",
    "_headers": "netlify",
    "_redirects": "netlify-redirects",
}


def write_mirror(release: Release, folder: Path, listener: Listener = "clearnet") -> None:
    """Write ``site/``, ``headers/`` and ``redirects/`` in ``folder``; replace an older mirror's.

    Each is replaced in one step. What no mirror wrote there, such as ``.git``, stays.
    Raises ``CccrError``, also for a release older than that in ``site/``.
    """
    rules = header_rules(release, listener, _RULE_FILES.values())
    site, headers = folder / "site", folder / "headers"
    with files.writing(site, _REMEDY):
        others = _others(release, site) if site.exists() else ()
        contents = {path: file.body for path, file in release.files.items()}
        files.replace_folder(site, {**contents, NO_JEKYLL: b""}, keep=others)
    redirects = folder / "redirects"
    with files.writing(redirects, _REMEDY):
        pages = redirect_pages(release)
        kept: list[str] = []
        if redirects.exists():
            with ReleaseFolder.open(redirects) as opened:
                kept = sorted(opened.unlisted(pages))
        files.replace_folder(redirects, pages, keep=kept)
    with files.writing(headers, _REMEDY):
        headers.mkdir(exist_ok=True)
        for name, rule_format in _RULE_FILES.items():
            files.replace(headers / name, rules[rule_format].encode())


def _others(release: Release, site: Path) -> list[str]:
    """Return the paths in ``site`` that no release wrote; the new one must not have them."""
    if (site / MANIFEST).exists():
        with open_unverified(site, "Choose another folder.") as (opened, before):
            others = sorted(opened.unlisted({NO_JEKYLL, *before.files}))
        where = f"which is in {site}"
        reject_older(release, before.metadata.sequence, before.manifest_sha256, where)
    else:
        with ReleaseFolder.open(site) as opened:
            others = sorted(opened.unlisted({NO_JEKYLL}))
    for other in others:
        if any(_is_in(path, other) or _is_in(other, path) for path in release.files):
            raise CccrError(
                f"{site / other} is not from a release, but this release has it.",
                "Move it elsewhere.",
            )
    return others


def _is_in(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")
