"""Build a release from the texts and the templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from flask import Flask, g
from markupsafe import Markup

from cccr_web.content import Addresses, Content, Problem, Text, check, content_error, read_site
from cccr_web.content.source_tree import SourceTree
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.notices import midnight
from cccr_web.release import (
    MANIFEST,
    METADATA,
    Metadata,
    PublicKey,
    Release,
    allowed_signers,
    is_safe_path,
    make_release,
    with_archive,
)
from cccr_web.render import onion_code
from cccr_web.render.app import RENDERER, ROBOTS, crawler_files, create_app
from cccr_web.render.copies import COPIES, ZIP, lists_copies
from cccr_web.render.layout import page_layout, read_style
from cccr_web.render.notice_files import FOLDER as NOTICE_FOLDER
from cccr_web.render.notice_files import NoticeFiles, read_notice_files
from cccr_web.render.photos import ResizedPhoto, resize_photos
from cccr_web.render.shared_pages import ZIP_INDEX, require_text
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
    site, key, problems = read_site(tree)
    notices = NoticeFiles(tree.name(NOTICE_FOLDER))
    # A key that cannot be read is one problem, not one for each notice that it signed.
    if site is not None or key is not None:
        notices = read_notice_files(tree, PublicKey.parse(key) if key else None)
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


def build_release(
    translations: Path,
    templates: Path,
    *,
    addresses: Addresses | None = None,
    neutral_titles: bool = False,
    time: datetime | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Release:
    """Check the folders and render every page and every copy once.

    ``addresses`` replace those of ``site.toml``; ``neutral_titles`` gives every page the
    same title, which says nothing about its subject. ``time`` is the release's, to the second,
    by default the day of the newest text or notice: the clock plays no part, so every build of
    the same texts has the same time. ``progress`` receives how many files
    are rendered, and of how many. Raises ``CccrError``, with every problem of the texts.
    """
    tree = SourceTree(translations)
    content, notices, problems = check_trees(tree, templates, time=time)
    if content is None or problems:
        raise content_error(problems)
    files = SiteFiles(
        tree,
        templates,
        with_derived(content),
        notices,
        addresses=addresses,
        neutral_titles=neutral_titles,
        time=time,
    )
    for done, _ in enumerate(map(files.__getitem__, files.rendered), start=1):
        progress(done, len(files.rendered))
    return files.release()


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
        resized: Mapping[str, ResizedPhoto] | None = None,
    ) -> None:
        require_text(content, tree)
        if addresses is not None:
            content = replace(content, site=replace(content.site, addresses=addresses))
        self.content = content
        known = resized or {}
        new = {name: one for name, one in content.photos.items() if name not in known}
        self.photos = {**known, **resize_photos(tree, new)}
        style = read_style(templates, next(iter(content.site.addresses.onions), None))
        key = notices.key
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
        )
        self._files = {
            **notices.files,
            **{name: file.read_bytes() for name, file in UNCHANGED.items()},
        }
        if key is not None:
            self._files["minisign.pub"] = key.to_file()
            self._files["allowed_signers"] = allowed_signers(key)
        images = {size.url: size.body for photo in self.photos.values() for size in photo.sizes}
        if content.site.addresses.onions:
            images[onion_code.FILE] = onion_code.qr_code(content.site.addresses.onions[0])
        self._files |= images
        pages = [text.url for text in content.all_texts if not lists_copies(text)]
        others = [ZIP_INDEX, *COPIES, *map(feed_url, LANGUAGES), *crawler_files(content)]
        # Last, because these pages show the sizes of the copies.
        self._lists = [text.url for text in content.all_texts if lists_copies(text)]
        # The languages share an error page.
        self.rendered = tuple(dict.fromkeys([*pages, *others, *self._lists]))
        self._paths = dict.fromkeys([*self._files, *self.rendered])
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
        )

    def __getitem__(self, path: str) -> bytes:
        if path not in self._files and path in self:
            for copy in COPIES if path in self._lists else ():
                self._sizes[copy] = len(self[copy])
            body = _render(self._app, path)
            _reject_former_site(self.content, path, body)
            self._files[path] = body
        return self._files[path]

    def __contains__(self, path: object) -> bool:
        # Mapping's own would render the file.
        return path in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def blocks(self, text: Text) -> list[tuple[int, Markup]]:
        """Return the parts of a text of the site, as they are on its page.

        Each has its first line, from 0, below the front matter.
        """
        with self._app.test_request_context():
            g.language = text.language
            renderer: TemplateRenderer = self._app.extensions[RENDERER]
            return renderer.blocks(text, page_layout(text))

    def release(self) -> Release:
        """Return the whole release, unsigned."""
        return with_archive(make_release(dict(self), self.facts))


def _newest(content: Content, notices: NoticeFiles) -> datetime:
    return midnight(max(content.newest, notices.newest))


def _render(app: Flask, url: str) -> bytes:
    response = app.test_client().get(f"/{url}")
    if response.status_code != 200:
        raise CccrError(f"{url} could not be rendered: {response.status}.", "Report this as a bug.")
    return response.get_data()


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
