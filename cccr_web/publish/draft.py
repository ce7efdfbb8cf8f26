"""Texts that were checked, from which a release of any number can be made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cccr_web.content import Content, SourceTree
from cccr_web.release import ARCHIVE, METADATA, RECORD, Release
from cccr_web.render import Cache, NoticeFiles, ResizedPhoto, SiteFiles


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts of every language; the fields are the parameters of ``SiteFiles``.

    ``resized`` gets the photos when they are first needed.
    """

    tree: SourceTree
    templates: Path
    content: Content
    notices: NoticeFiles
    neutral_titles: bool
    time: datetime | None
    cache: Cache
    resized: dict[str, ResizedPhoto] = field(default_factory=dict)

    @property
    def sequence(self) -> int:
        """The number in ``site.toml``."""
        return self.content.site.sequence

    def site(self, sequence: int, record: bytes) -> SiteFiles:
        """Return the files of a release with this number and this ``releases.txt``."""
        site = SiteFiles(
            self.tree,
            self.templates,
            replace(self.content, site=replace(self.content.site, sequence=sequence)),
            self.notices.with_record(record),
            neutral_titles=self.neutral_titles,
            time=self.time,
            cache=self.cache,
            resized=self.resized,
        )
        self.resized.update(site.photos)
        return site

    def is_in(self, release: Release) -> bool:
        """Whether a release is made of these texts; pages are rendered until one differs.

        Its ``releases.txt`` does not count.
        """
        record = release.files.get(RECORD)
        site = self.site(release.metadata.sequence, record.body if record else b"")
        if site.facts != release.metadata:
            return False
        files = {path: release.files[path].body for path in release.listed}
        del files[METADATA]
        files.pop(ARCHIVE, None)

        def same(path: str) -> bool:
            return path in files and site[path] == files[path]

        # The pages first: a list of all copies needs all texts.
        return all(map(same, site.paths)) and all(map(same, site)) and files.keys() == {*site}
