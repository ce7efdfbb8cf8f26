"""The folder of a static mirror: the files of a release, its headers, and pages that redirect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
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

# The files in headers/, and their formats.
_RULE_FILES: Final = {
    "nginx.conf": "nginx",
    "apache.conf": "apache",
    "Caddyfile": "caddy",
    "_headers": "netlify",
    "_redirects": "netlify-redirects",
}


def write_mirror(release: Release, folder: Path, listener: Listener = "clearnet") -> bool:
    """Write ``site/``, ``headers/`` and ``redirects/`` in ``folder``; replace an older mirror's.

    Each is replaced in one step, but only if it differs. What no mirror wrote there, such as
    ``.git``, stays. Returns whether anything has changed. Raises ``CccrError``, also for a
    release older than that in ``site/``.
    """
    rules = header_rules(release, listener, _RULE_FILES.values())
    site, headers, redirects = folder / "site", folder / "headers", folder / "redirects"
    contents = {path: file.body for path, file in release.files.items()}
    others = check_successor(release, site)
    changed = _update(site, {**contents, NO_JEKYLL: b""}, others)
    pages = redirect_pages(release)
    kept: list[str] = []
    if redirects.exists():
        with ReleaseFolder.open(redirects) as opened:
            kept = sorted(opened.unlisted(pages))
    changed |= _update(redirects, pages, kept)
    with files.writing(headers):
        headers.mkdir(exist_ok=True)
        for name, rule_format in _RULE_FILES.items():
            body = rules[rule_format].encode()
            files.remove_partial(headers / name)
            if not _is_current(headers, {name: body}):
                files.replace(headers / name, body)
                changed = True
    return changed


def _update(folder: Path, contents: Mapping[str, bytes], keep: Iterable[str]) -> bool:
    files.remove_partial(folder)
    if _is_current(folder, contents):
        return False
    with files.writing(folder):
        files.replace_folder(folder, contents, keep=keep)
    return True


def _is_current(folder: Path, contents: Mapping[str, bytes]) -> bool:
    """Return whether a folder has these files; the manifest among them says which it once had."""
    try:
        with ReleaseFolder.open(folder) as opened:
            return all(opened.read(path, len(body)) == body for path, body in contents.items())
    except ReleaseError:
        return False


def check_successor(release: Release, site: Path) -> list[str]:
    """Return the paths in ``site`` that no release wrote; ``release`` must not have them.

    Only its list is needed. Raises ``CccrError`` if it has, or if it is older than what is there.
    """
    if not site.exists():
        return []
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
