"""Build a release from the texts and the templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from flask import Flask
from jinja2 import TemplateError

from cccr_web.content import (
    Addresses,
    Content,
    Problem,
    SigningFacts,
    check,
    content_error,
    read_site,
)
from cccr_web.content.source_tree import SourceTree
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.notices import midnight
from cccr_web.release import (
    MANIFEST,
    METADATA,
    POLICY,
    Metadata,
    PolicySigner,
    Release,
    SigningPolicy,
    allowed_signers,
    is_safe_path,
    make_release,
    with_archive,
)
from cccr_web.render import onion_code
from cccr_web.render.app import copy_urls, create_app
from cccr_web.render.cache import Cache
from cccr_web.render.copies import COPIES, ZIP, lists_copies
from cccr_web.render.crawlers import ROBOTS, crawler_files
from cccr_web.render.feed import feed_documents
from cccr_web.render.layout import read_style
from cccr_web.render.lists import list_pages
from cccr_web.render.notice_files import FOLDER as NOTICE_FOLDER
from cccr_web.render.notice_files import NoticeFiles, read_notice_files
from cccr_web.render.photos import resize_photos
from cccr_web.render.shared_pages import ZIP_INDEX, require_text
from cccr_web.render.template_renderer import feed_url
from cccr_web.render.traditional import simplify, with_derived

# A request as WSGI passes it (PEP 3333).
_REQUEST: Final = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
}

VERIFY: Final = "verify.py"
_HERE = Path(__file__).resolve().parent
# Files that every release contains unchanged: name → source.
UNCHANGED: Final = {
    VERIFY: _HERE.parent / "standalone" / VERIFY,
    "favicon.ico": _HERE / "static" / "favicon.ico",
    "icon.png": _HERE / "static" / "icon.png",
}

# Files of a release, other than its pages, to which texts may link.
RELEASE_FILES: Final = frozenset(
    {
        *(METADATA, MANIFEST, ZIP_INDEX, ROBOTS, VERIFY, ZIP),
        *COPIES,
        *map(feed_url, LANGUAGES),
    }
)


def check_trees(
    tree: SourceTree,
    templates: Path,
    *,
    time: datetime | None = None,
    today: date | None = None,
) -> tuple[Content | None, NoticeFiles, list[Problem]]:
    """Check every text, string and notice; return them with every problem found.

    The content is ``None`` if a file could not be read. ``time`` is that of the release, as for
    ``build_release``. Nothing may be dated later than the day after ``today``, by default that
    of this machine's clock.
    """
    today = today or datetime.now(UTC).date()
    site, signing, problems = read_site(tree)
    key, wrong = read_policy_facts(tree, signing)
    problems += wrong
    notices = NoticeFiles(tree.name(NOTICE_FOLDER))
    # A key that cannot be read is one problem, not one for each notice that it signed.
    if (site is not None or key is not None) and not wrong:
        notices = read_notice_files(tree, key)
    # The catalogues must translate the strings of the templates and of this package.
    known_files = RELEASE_FILES | notices.files.keys()
    content, found = check(
        tree,
        site,
        [templates, _HERE],
        known_files,
        is_servable=is_safe_path,
        simplify=simplify,
        today=today,
    )
    problems += found + notices.problems
    if content is not None:
        problems += notices.missing(content.site.addresses)
        problems += notices.faults(time or _newest(content, notices), today)
    return content, notices, problems


def read_policy_facts(
    tree: SourceTree, signing: SigningFacts | None
) -> tuple[SigningPolicy | None, list[Problem]]:
    """Return the policy in ``site.toml`` that ``read_site`` has found, and its problems."""
    if signing is None:
        return None, []
    try:
        signers = tuple(PolicySigner.parse(*signer) for signer in signing.signers)
        return SigningPolicy(signing.number, signing.threshold, signers), []
    except ValueError as error:
        return None, [Problem(tree.name("site.toml"), signing.line, str(error))]


def build_release(
    translations: Path,
    templates: Path,
    *,
    addresses: Addresses | None = None,
    neutral_titles: bool = False,
    time: datetime | None = None,
    cache: Cache | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Release:
    """Check the folders and render every page and every copy once.

    ``addresses`` replace those of ``site.toml``; ``neutral_titles`` gives every page the
    same title, which says nothing about its subject. ``time`` is the release's, to the second,
    by default the day of the newest text or notice: the clock plays no part, so every build of
    the same texts has the same time. ``cache`` has what earlier builds made: it changes how long
    this takes, and nothing else. ``progress`` receives how many files
    are rendered, and of how many. Raises ``CccrError``, with every problem of the texts.
    """
    cache = cache or Cache()
    tree = SourceTree(translations, cache.recall)
    content, notices, problems = check_trees(tree, templates, time=time)
    if content is None or problems:
        raise content_error(problems)
    content = with_derived(content, cache)
    require_text(content, tree)
    if addresses is not None:
        content = replace(content, site=replace(content.site, addresses=addresses))
    style = read_style(templates, next(iter(content.site.addresses.onions), None))
    key = notices.key
    issued = time or _newest(content, notices)
    facts = Metadata(
        sequence=content.site.sequence,
        time=issued,
        expires=issued + timedelta(days=content.site.valid_days),
        fingerprint=key.fingerprint if key else None,
        languages={language.slug: language.tag for language in LANGUAGES},
        clearnet=content.site.addresses.clearnet,
        onions=content.site.addresses.onions,
        style_hashes=(style.hash,),
        has_policy=key is not None and key.single_key is None,
    )
    files = {**notices.files, **{name: file.read_bytes() for name, file in UNCHANGED.items()}}
    if key is not None and key.single_key:
        files["minisign.pub"] = key.single_key.to_file()
        files["allowed_signers"] = allowed_signers(key.single_key)
    elif key is not None:
        files[POLICY] = key.to_file()
    photos = resize_photos(tree, content.photos, cache)
    images = {size.url: size.body for photo in photos.values() for size in photo.sizes}
    if content.site.addresses.onions:
        images[onion_code.FILE] = onion_code.qr_code(content.site.addresses.onions[0])
    files |= images
    sizes: dict[str, int] = {}
    app = create_app(
        content,
        style,
        facts,
        templates=templates,
        translations=tree,
        notices=notices,
        photos=photos,
        images=images,
        sizes=sizes,
        neutral_titles=neutral_titles,
        cache=cache,
    )
    files |= _render_all(app, content, sizes, progress)
    release = with_archive(make_release(files, facts), cache.deflate)
    cache.keep_used()
    return release


def _newest(content: Content, notices: NoticeFiles) -> datetime:
    return midnight(max(content.newest, notices.newest))


def _render_all(
    app: Flask, content: Content, sizes: dict[str, int], progress: Callable[[int, int], None]
) -> dict[str, bytes]:
    """Return every page and every copy, each rendered once; note their ``sizes``."""
    urls = [text.url for text in content.all_texts if not lists_copies(text)]
    urls += [page.text.url for language in LANGUAGES for page in list_pages(content, language)]
    urls += [file.url for language in LANGUAGES for file in feed_documents(content, language)]
    urls += [ZIP_INDEX, *crawler_files(content)]
    urls = list(dict.fromkeys(urls))  # the languages share an error page
    # Last, because these pages show the sizes of the copies.
    last = [text.url for text in content.all_texts if lists_copies(text)]
    files: dict[str, bytes] = {}

    def render(urls: Iterable[str], total: int) -> None:
        for url in urls:
            files[url] = _render(app, url)
            sizes[url] = len(files[url])
            _reject_former_site(content, url, files[url])
            progress(len(files), total)

    render(urls, len(urls) + len(COPIES) + len(last))
    copies = copy_urls(app)
    render([*copies, *last], len(urls) + len(copies) + len(last))
    return files


def _render(app: Flask, url: str) -> bytes:
    # A test client would take longer than a page that comes from the cache.
    with app.request_context({**_REQUEST, "PATH_INFO": f"/{url}"}):
        try:
            body = app.dispatch_request()
        except TemplateError as error:
            remedy = "Report this as a bug."
            raise CccrError(f"{url} could not be rendered: {error}.", remedy) from error
    return body if isinstance(body, bytes) else str(body).encode()


def _reject_former_site(content: Content, url: str, page: bytes) -> None:
    """Raise ``CccrError`` if the address of the former site is in a page.

    ``check`` reads the sources, where an escape (``\\.``, ``&period;``) can hide it.
    """
    host = content.site.former_host
    if host.encode() not in page.lower():
        return
    source = next((text.file for text in content.all_texts if text.url == url), url)
    raise CccrError(
        f"{source}: the page would show the former site's address in a form that can be opened.",
        f"Write it as {host.replace('.', '[.]')}.",
    )
