"""Build a release from the texts and the templates."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from flask import Flask, g
from jinja2 import TemplateError
from markupsafe import Markup

from cccr_web.content import (
    Addresses,
    Content,
    Problem,
    SigningFacts,
    Text,
    check,
    content_error,
    read_site,
)
from cccr_web.content.source_tree import SourceTree
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.notices import midnight
from cccr_web.release import (
    KEYS,
    MANIFEST,
    METADATA,
    POLICY,
    Metadata,
    PolicyChain,
    PolicySigner,
    Release,
    SigningPolicy,
    allowed_signers,
    is_safe_path,
    make_release,
    unix_lines,
    with_archive,
)
from cccr_web.render import onion_code
from cccr_web.render.app import RENDERER, copy_urls, create_app, page_urls
from cccr_web.render.cache import Cache
from cccr_web.render.copies import COPIES, ZIP, lists_copies
from cccr_web.render.crawlers import ROBOTS
from cccr_web.render.layout import page_layout, read_style
from cccr_web.render.notice_files import FOLDER as NOTICE_FOLDER
from cccr_web.render.notice_files import NoticeFiles, read_notice_files
from cccr_web.render.photos import ResizedPhoto, resize_photos
from cccr_web.render.shared_pages import ZIP_INDEX, require_texts
from cccr_web.render.template_renderer import TemplateRenderer, feed_url
from cccr_web.render.traditional import simplify, with_derived

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
        problems += notices.not_before(content.site.sequence)
    return content, notices, problems


def read_policy_facts(
    tree: SourceTree, signing: SigningFacts | None, *, past: bool = True
) -> tuple[SigningPolicy | None, list[Problem]]:
    """Return the policy in ``site.toml`` that ``read_site`` has found, and its problems.

    With its ``past``, it has the number and the predecessor that ``keys.txt`` gives it.
    """
    if signing is None:
        return None, []
    try:
        signers = tuple(PolicySigner.parse(*signer) for signer in signing.signers)
        policy = SigningPolicy(signing.number, signing.threshold, signers)
    except ValueError as error:
        return None, [Problem(tree.name("site.toml"), signing.line, str(error))]
    return _with_past(tree, policy) if past else policy, []


def _with_past(tree: SourceTree, policy: SigningPolicy) -> SigningPolicy:
    """Return the policy as the newest one in ``keys.txt`` if it is that, with what it follows."""
    try:
        newest = PolicyChain.parse(unix_lines(tree.read(tree.folder / NOTICE_FOLDER / KEYS))).newest
    except (OSError, CccrError):
        return policy  # “read_notice_files” says what is wrong
    same = replace(newest, number=policy.number, previous=policy.previous) == policy
    return newest if same else policy


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
    tree = SourceTree(translations, cache.recall if cache.remembers else None)
    content, notices, problems = check_trees(tree, templates, time=time)
    if content is None or problems:
        raise content_error(problems)
    files = SiteFiles(
        tree,
        templates,
        with_derived(content, cache),
        notices,
        addresses=addresses,
        neutral_titles=neutral_titles,
        time=time,
        cache=cache,
    )
    release = files.release(progress)
    cache.keep_used()
    return release


class SiteFiles(Mapping[str, bytes]):
    """Path → content of every file of a release before it is listed; rendered when first read.

    ``content`` has every language. The other parameters are those of ``build_release``.
    ``resized`` are photos that need not be resized again. Raises ``CccrError``, also when a file
    is read.
    """

    def __init__(
        self,
        tree: SourceTree,
        templates: Path,
        content: Content,
        notices: NoticeFiles,
        *,
        addresses: Addresses | None = None,
        neutral_titles: bool = False,
        time: datetime | None = None,
        cache: Cache | None = None,
        resized: Mapping[str, ResizedPhoto] | None = None,
    ) -> None:
        key = notices.key
        has_policy = key is not None and key.single_key is None
        require_texts(content, tree, policy=has_policy)
        content = content.for_signers(policy=has_policy)
        if addresses is not None:
            content = replace(content, site=replace(content.site, addresses=addresses))
        self.content = content
        self._cache = cache or Cache()
        known = resized or {}
        new = {name: one for name, one in content.photos.items() if name not in known}
        self.photos = {**known, **resize_photos(tree, new, self._cache)}
        style = read_style(templates, next(iter(content.site.addresses.onions), None))
        issued = time or _newest(content, notices)
        self.facts = Metadata(
            sequence=content.site.sequence,
            time=issued,
            expires=issued + timedelta(days=content.site.valid_days),
            fingerprint=key.fingerprint if key else None,
            languages={language.slug: language.tag for language in LANGUAGES},
            clearnet=content.site.addresses.clearnet,
            onions=content.site.addresses.onions,
            style_hashes=(style.hash,),
            has_policy=has_policy,
        )
        self._files = {
            **notices.files,
            **{name: file.read_bytes() for name, file in UNCHANGED.items()},
        }
        if key is not None and key.single_key:
            self._files["minisign.pub"] = key.single_key.to_file()
            self._files["allowed_signers"] = allowed_signers(key.single_key)
        elif key is not None:
            self._files[POLICY] = key.to_file()
        images = {size.url: size.body for photo in self.photos.values() for size in photo.sizes}
        if content.site.addresses.onions:
            images[onion_code.FILE] = onion_code.qr_code(content.site.addresses.onions[0])
        self._files |= images
        self._sizes: dict[str, int] = {}
        self._app = create_app(
            content,
            style,
            self.facts,
            templates=templates,
            translations=tree,
            notices=notices,
            photos=self.photos,
            images=images,
            sizes=self._sizes,
            neutral_titles=neutral_titles,
            cache=self._cache,
        )
        # These pages show the sizes of the copies, so they come last.
        self.lists = tuple(text.url for text in content.all_texts if lists_copies(text))
        self.pages = tuple(url for url in page_urls(self._app) if url not in self.lists)
        # Those that are known without rendering; the copies of a large site are more.
        self.paths = dict.fromkeys([*self._files, *self.pages, *COPIES, *self.lists])

    @functools.cached_property
    def copies(self) -> tuple[str, ...]:
        """The path of every copy; all texts are rendered to divide them."""
        return tuple(copy_urls(self._app))

    def __getitem__(self, path: str) -> bytes:
        if path not in self._files and path in self:
            for copy in self.copies if path in self.lists else ():
                self._sizes[copy] = len(self[copy])
            body = _render(self._app, path)
            _reject_former_site(self.content, path, body)
            self._files[path] = body
        return self._files[path]

    def __contains__(self, path: object) -> bool:
        # Mapping's own would render the file.
        return path in self.paths or ("/cccr-" in str(path) and path in self.copies)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.paths, *self.copies]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        # Without counting the copies.
        return True

    def blocks(self, text: Text) -> list[tuple[int, Markup]]:
        """Return the parts of a text of the site, as they are on its page.

        Each has its first line, from 0, below the front matter.
        """
        with self._app.app_context():
            g.language = text.language
            renderer: TemplateRenderer = self._app.extensions[RENDERER]
            return renderer.blocks(text, page_layout(text))

    def release(self, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Release:
        """Render every page and every copy once; return the whole release, unsigned."""
        _render_all(self, progress)
        return with_archive(make_release(dict(self), self.facts), self._cache.deflate)


def _render_all(files: SiteFiles, progress: Callable[[int, int], None]) -> None:
    """Render every page and every copy once."""
    done = itertools.count(1)

    def render(paths: Iterable[str], total: int) -> None:
        for path in paths:
            files[path]  # it renders the file
            progress(next(done), total)

    pages, lists = files.pages, files.lists
    render(pages, len(pages) + len(COPIES) + len(lists))
    # Last, because these pages show the sizes of the copies.
    render([*files.copies, *lists], len(pages) + len(files.copies) + len(lists))


def _newest(content: Content, notices: NoticeFiles) -> datetime:
    return midnight(max(content.newest, notices.newest))


def _render(app: Flask, url: str) -> bytes:
    # A whole request would take longer than a page that comes from the cache.
    endpoint, arguments = app.url_map.bind("localhost").match(f"/{url}")
    with app.app_context():
        try:
            body = app.view_functions[endpoint](**arguments)
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
