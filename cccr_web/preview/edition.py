"""The texts at one time: every message of ``check``, and the last version without any."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cccr_web.content import Content, Problem, SourceTree
from cccr_web.content.photos import FOLDER as PHOTOS
from cccr_web.errors import CccrError
from cccr_web.languages import WRITTEN
from cccr_web.render import SiteFiles, check_trees, damaged_photos, with_derived

if TYPE_CHECKING:
    from cccr_web.render.notice_files import NoticeFiles

# Without one text, others can have problems: their links lead nowhere.
_ROUNDS: Final = 4

# Path below the folder of texts → content.
_Sources = dict[Path, bytes]


@dataclass(frozen=True, slots=True)
class Edition:
    """What can be shown of the texts, and every problem that ``check`` finds in them.

    ``good`` is the site without problems: each text that has one is as it was when it had
    none, or missing. ``draft`` is the site as the texts are now, if they have problems and can be
    read; reading some of its pages may fail. ``sources`` and ``good_sources`` are the files of
    both, by their path below the folder of texts. Editions with the same ``id`` are the same.
    """

    id: str
    problems: tuple[Problem, ...]
    sources: Mapping[Path, bytes]
    good_sources: Mapping[Path, bytes]
    good: SiteFiles | None
    draft: SiteFiles | None

    def site(self, path: str) -> SiteFiles | None:
        """Return the site that shows the file at ``path`` of a release, if one does."""
        return next((site for site in (self.good, self.draft) if site and path in site), None)

    def source(self, file: Path, site: SiteFiles | None = None) -> str:
        """Return the file of a text as it is in ``site``, or else as it is now."""
        sources = self.good_sources if site is not None and site is self.good else self.sources
        return sources.get(Path(*file.parts[1:]), b"").decode("utf-8", "replace")


class EditionReader:
    """Reads editions of the texts in a folder; parses and converts only what has changed.

    It writes nothing but a copy of texts below the existing folder ``work``. ``time`` is that of
    ``build_release``.
    """

    def __init__(
        self, translations: Path, templates: Path, work: Path, *, time: datetime | None = None
    ) -> None:
        self.folders = translations, templates
        self._time = time
        self._tree = SourceTree(translations)
        self._copy = _TextCopy(translations, work)
        self._photos: dict[str, tuple[int, int]] = {}
        self._good: SiteFiles | None = None
        self._good_sources: _Sources = {}

    def read(self, known: Edition | None = None) -> Edition:
        """Return the edition of the texts as they are now; ``known`` if nothing differs."""
        folder, templates = self.folders
        tree = SourceTree(folder, earlier=self._tree)
        sources: _Sources = {}
        for file in _files(folder):
            if file.relative_to(folder).parts[0] != PHOTOS:
                # check reports a file that may not be read.
                with contextlib.suppress(PermissionError):
                    sources[file.relative_to(folder)] = tree.read(file)
        photos = {file.name: _stamp(file) for file in _files(folder / PHOTOS)}
        others = {file: file.read_bytes() for file in _files(templates)}
        state = repr((sorted(sources.items()), sorted(photos.items()), sorted(others.items())))
        id_ = hashlib.sha256(state.encode()).hexdigest()[:16]
        if known is not None and known.id == id_:
            return known
        changed = {name for name in photos if photos[name] != self._photos.get(name)}
        content, notices, problems = check_trees(tree, templates, time=self._time)
        if content is not None:
            suspects = {name: one for name, one in content.photos.items() if name in changed}
            problems += damaged_photos(tree, suspects)
        good = (sources, tree, content, notices) if not problems else None
        if good is None:
            good = self._without_faults(sources, problems, hidden=content is None)
        if good is not None and good[2] is not None:
            try:
                site = self._site(good[1], good[2], good[3], changed)
            except CccrError as error:
                problems.append(Problem(Path(folder.name), 1, str(error)))
            else:
                self._good_sources, self._good, self._photos = good[0], site, photos
        self._tree = tree
        draft = None
        if content is not None and problems:
            # Without some pages there is no site; the problems name them.
            with contextlib.suppress(CccrError, LookupError, ValueError):
                draft = self._site(tree, content, notices, changed)
        return Edition(
            id_, tuple(sorted(set(problems))), sources, self._good_sources, self._good, draft
        )

    def _site(
        self, tree: SourceTree, content: Content, notices: NoticeFiles, changed: Collection[str]
    ) -> SiteFiles:
        earlier = self._good
        whole = with_derived(content, earlier=earlier.content if earlier else None)
        resized = {
            name: photo
            for name, photo in (earlier.photos.items() if earlier else ())
            if name not in changed and whole.photos.get(name) == photo.record
        }
        return SiteFiles(tree, self.folders[1], whole, notices, time=self._time, resized=resized)

    def _without_faults(
        self, sources: _Sources, problems: list[Problem], *, hidden: bool
    ) -> tuple[_Sources, SourceTree, Content, NoticeFiles] | None:
        """Return the texts with the last good version of each file that has a problem.

        A statement that never was good is left out. ``None`` if problems remain. If a file that
        cannot be read has ``hidden`` the problems of others, they are added to ``problems``.
        """
        kept, wrong = dict(sources), problems
        for _ in range(_ROUNDS):
            before = dict(kept)
            for file in {one for problem in wrong for one in _translations(problem.file)}:
                if file in self._good_sources:
                    kept[file] = self._good_sources[file]
                elif file.parent.name == "statements":
                    kept.pop(file, None)
            if kept == before:
                return None
            tree = self._copy.write(kept, self._tree)
            content, notices, wrong = check_trees(tree, self.folders[1], time=self._time)
            if content is not None and not wrong:
                return kept, tree, content, notices
            if hidden:
                problems += [one for one in wrong if _same(one.file, sources, kept)]
            hidden = hidden and content is None
        return None


class _TextCopy:
    """A copy of the folder of texts in which files can be replaced; photos are only linked."""

    def __init__(self, original: Path, work: Path) -> None:
        self._original = original
        # Problems name files from the parent of the folder.
        self._folder = work / original.name
        self._written: _Sources = {}

    def write(self, sources: _Sources, earlier: SourceTree) -> SourceTree:
        """Make the copy hold exactly these files; return its tree."""
        self._folder.mkdir(exist_ok=True)
        photos = self._folder / PHOTOS
        if not photos.is_symlink() and (self._original / PHOTOS).is_dir():
            photos.symlink_to(self._original / PHOTOS)
        for file in self._written.keys() - sources.keys():
            (self._folder / file).unlink()
        for file, body in sources.items():
            if self._written.get(file) != body:
                (self._folder / file).parent.mkdir(parents=True, exist_ok=True)
                (self._folder / file).write_bytes(body)
        self._written = dict(sources)
        return SourceTree(self._folder, earlier=earlier)


def _same(file: Path, sources: _Sources, kept: _Sources) -> bool:
    name = Path(*file.parts[1:])
    return sources.get(name) == kept.get(name)


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in sorted(folder.rglob("*")) if file.is_file())


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _translations(file: Path) -> Iterator[Path]:
    """Yield the file of a problem, below the folder of texts, in every written language."""
    _, *parts = file.parts
    locales = [language.locale for language in WRITTEN]
    if parts and parts[0] in locales:
        yield from (Path(locale, *parts[1:]) for locale in locales)
    elif parts:
        yield Path(*parts)
