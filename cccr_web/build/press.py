"""The press: from the tree of texts to a release."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from cccr_web.build.app import create_app
from cccr_web.build.notices import Notices, read_notices
from cccr_web.build.style import read_style
from cccr_web.content import Addresses, BrokenContentError, Content, Site, check
from cccr_web.content.site import read_site
from cccr_web.errors import BuildError
from cccr_web.languages import LANGUAGES
from cccr_web.release import (
    Metadata,
    PublicKey,
    Release,
    allowed_signers,
    make_release,
    with_archive,
)

# Files of a release beside the pages, to which texts may link.
RELEASE_FILES = frozenset({"RELEASE.json", "SHA256SUMS", "cccr-web.zip"})

Progress = Callable[[int, int], None]


def check_trees(
    translations: Path, templates: Path, environ: Mapping[str, str] = os.environ
) -> tuple[Content, Notices]:
    """Check every text, string and notice. Raises ``BrokenContentError`` with all problems."""
    site, _ = read_site(translations)
    notices = read_notices(translations, _public_key(site) if site else None)
    problems = notices.problems
    try:
        # The catalogues must hold what the templates say and what the build room says.
        content = check(
            translations,
            [templates, Path(__file__).parent],
            RELEASE_FILES | notices.files.keys(),
        )
    except BrokenContentError as error:
        raise BrokenContentError(error.problems + problems) from error
    problems += notices.past(translations, _release_time(content, notices, environ))
    if problems:
        raise BrokenContentError(problems)
    return content, notices


def press(
    translations: Path,
    templates: Path,
    *,
    addresses: Addresses | None = None,
    environ: Mapping[str, str] = os.environ,
    progress: Progress = lambda _done, _total: None,
) -> Release:
    """Check the trees and render every page once.

    ``addresses`` replace those of ``site.toml``. The release's time is
    ``SOURCE_DATE_EPOCH`` (reproducible-builds.org's specification) or the day of
    the newest text or notice. ``progress`` is told how many pages of how many are done.
    Raises ``BrokenContentError`` or ``BuildError``.
    """
    content, notices = check_trees(translations, templates, environ)
    if addresses is not None:
        content = replace(content, site=replace(content.site, addresses=addresses))
    style = read_style(templates)
    key = _public_key(content.site)
    issued = _release_time(content, notices, environ)
    facts = Metadata(
        sequence=content.site.sequence,
        time=issued,
        expires=_expiry(issued, content.site.valid_days),
        fingerprint=key.fingerprint if key else None,
        languages={language.slug: language.tag for language in LANGUAGES},
        clearnet=content.site.addresses.clearnet,
        onions=content.site.addresses.onions,
        style_hashes=(style.hash,),
    )
    app = create_app(content, style, facts, templates=templates, translations=translations)
    texts = [text for of_language in content.texts.values() for text in of_language.values()]
    files = dict(notices.files)
    if key is not None:
        files["minisign.pub"] = key.to_file()
        files["allowed_signers"] = allowed_signers(key)
    with app.test_client() as client:
        for done, text in enumerate(texts, start=1):
            response = client.get(f"/{text.url}")
            if response.status_code != 200:
                raise BuildError(f"{text.file} could not be rendered: {response.status}.")
            files[text.url] = response.data
            progress(done, len(texts))
    return with_archive(make_release(files, facts))


def _public_key(site: Site) -> PublicKey | None:
    return PublicKey.parse(site.public_key) if site.public_key else None


def _expiry(issued: datetime, days: int) -> datetime:
    try:
        return issued + timedelta(days=days)
    except OverflowError as error:
        raise BuildError(
            f"SOURCE_DATE_EPOCH is in the year {issued.year}.", "It must be seconds since 1970."
        ) from error


def _release_time(content: Content, notices: Notices, environ: Mapping[str, str]) -> datetime:
    epoch = environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        return datetime.combine(max(content.newest, notices.newest), time(), UTC)
    try:
        return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BuildError(
            f"SOURCE_DATE_EPOCH is “{epoch}”.", "It must be seconds since 1970, or unset."
        ) from error
