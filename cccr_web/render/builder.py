"""Build a release from the texts and the templates."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from flask import Flask

from cccr_web.content import Addresses, Content, ContentError, Site, check
from cccr_web.content.photos import FOLDER as PHOTOS
from cccr_web.content.site import read_site
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.release import (
    Metadata,
    PublicKey,
    Release,
    allowed_signers,
    make_release,
    with_archive,
)
from cccr_web.render import onion_code
from cccr_web.render.app import SIZES, create_app
from cccr_web.render.copies import (
    COPIES,
    VERIFY,
    VERIFY_SOURCE,
    ZIP,
    ZIP_INDEX,
    tells_sizes,
    zip_bound,
)
from cccr_web.render.crawlers import ROBOTS, crawler_files
from cccr_web.render.feed import feed_url
from cccr_web.render.icons import icons
from cccr_web.render.moment import expiry, release_time
from cccr_web.render.notice_files import NoticeFiles, read_notice_files
from cccr_web.render.photos import resize_photos
from cccr_web.render.style import read_style
from cccr_web.render.traditional import converter, with_derived
from cccr_web.render.zip_index import refuse_without_words

# Files of a release beside the pages, to which texts may link.
RELEASE_FILES = frozenset(
    {
        *("RELEASE.json", "SHA256SUMS", ZIP_INDEX, ROBOTS, VERIFY, ZIP),
        *COPIES,
        *map(feed_url, LANGUAGES),
    }
)

Progress = Callable[[int, int], None]


def check_trees(
    translations: Path, templates: Path, environ: Mapping[str, str] = os.environ
) -> tuple[Content, NoticeFiles]:
    """Check every text, string and notice. Raises ``ContentError`` with all problems."""
    site, _ = read_site(translations)
    notices = read_notice_files(translations, _public_key(site) if site else None)
    # The catalogues must hold what the templates say and what the render package says.
    code = [templates, Path(__file__).parent]
    try:
        content = check(translations, code, RELEASE_FILES | notices.files.keys())
    except ContentError as error:
        raise ContentError(error.problems + notices.problems) from error
    problems = [*notices.problems, *notices.past(release_time(content, notices, environ))]
    if problems:
        raise ContentError(problems)
    return content, notices


def build_release(
    translations: Path,
    templates: Path,
    *,
    addresses: Addresses | None = None,
    neutral_titles: bool = False,
    environ: Mapping[str, str] = os.environ,
    progress: Progress = lambda _done, _total: None,
) -> Release:
    """Check the trees and render every page and every copy once.

    ``addresses`` replace those of ``site.toml``; ``neutral_titles`` gives every page a
    title that tells nothing. The release's time is
    ``SOURCE_DATE_EPOCH`` (reproducible-builds.org's specification) or the day of
    the newest text or notice. ``progress`` is told how many files of how many are done.
    Raises ``ContentError`` or ``CccrError``.
    """
    content, notices = check_trees(translations, templates, environ)
    content = with_derived(content, converter(content.names))
    refuse_without_words(content)
    if addresses is not None:
        content = replace(content, site=replace(content.site, addresses=addresses))
    style = read_style(templates)
    key = _public_key(content.site)
    issued = release_time(content, notices, environ)
    facts = Metadata(
        sequence=content.site.sequence,
        time=issued,
        expires=expiry(issued, content.site.valid_days),
        fingerprint=key.fingerprint if key else None,
        languages={language.slug: language.tag for language in LANGUAGES},
        clearnet=content.site.addresses.clearnet,
        onions=content.site.addresses.onions,
        style_hashes=(style.hash,),
    )
    files = {**notices.files, VERIFY: VERIFY_SOURCE.read_bytes()}
    if key is not None:
        files["minisign.pub"] = key.to_file()
        files["allowed_signers"] = allowed_signers(key)
    files |= icons()
    if content.site.addresses.onions:
        files[onion_code.FILE] = onion_code.qr_code(content.site.addresses.onions[0])
    pictures = resize_photos(translations / PHOTOS, content.photos)
    files |= {size.url: size.body for one in pictures.values() for size in one.sizes}
    app = create_app(
        content,
        style,
        facts,
        templates=templates,
        translations=translations,
        pictures=pictures,
        neutral_titles=neutral_titles,
    )
    files |= _print(app, content, facts, files, progress)
    return with_archive(make_release(files, facts))


def _print(
    app: Flask, content: Content, facts: Metadata, others: Mapping[str, bytes], progress: Progress
) -> dict[str, bytes]:
    """Return the pages and the copies: last the pages that tell the sizes of the copies."""
    texts = [text for of_language in content.texts.values() for text in of_language.values()]
    telling = [text.url for text in texts if tells_sizes(text)]
    urls = [text.url for text in texts if not tells_sizes(text)] + [ZIP_INDEX, *COPIES]
    urls += [*map(feed_url, LANGUAGES), *crawler_files(content)]
    total = len(urls) + len(telling)
    files: dict[str, bytes] = {}
    for url in urls:
        files[url] = _get(app, url)
        _refuse_former_site(content, url, files[url])
        progress(len(files), total)
    app.config[SIZES] = {url: len(files[url]) for url in COPIES}
    draft = files | {url: _get(app, url) for url in telling}
    packed = with_archive(make_release({**others, **draft}, facts)).files[ZIP].body
    app.config[SIZES] |= {ZIP: zip_bound(len(packed))}
    for url in telling:
        files[url] = _get(app, url)
        _refuse_former_site(content, url, files[url])
        progress(len(files), total)
    return files


def _get(app: Flask, url: str) -> bytes:
    response = app.test_client().get(f"/{url}")
    if response.status_code != 200:
        raise CccrError(f"{url} could not be rendered: {response.status}.", "Report this as a bug.")
    return response.get_data()


def _public_key(site: Site) -> PublicKey | None:
    return PublicKey.parse(site.public_key) if site.public_key else None


def _refuse_former_site(content: Content, url: str, page: bytes) -> None:
    """``check`` reads the sources; an escape there (``\\.``, ``&period;``) shows only here."""
    host = content.site.former_host
    if host.encode() not in page.lower():
        return
    texts = (text for of_language in content.texts.values() for text in of_language.values())
    source = next((text.file for text in texts if text.url == url), url)
    raise CccrError(
        f"{source}: the former site's address would stand on the page ready to open.",
        f"Write it as {host.replace('.', '[.]')}.",
    )
