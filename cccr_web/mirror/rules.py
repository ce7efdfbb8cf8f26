"""The headers of one listener's responses, from which each format of rules is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from posixpath import basename, splitext
from typing import Final

from cccr_web.languages import DEFAULT, MEANINGS, RANGE, available
from cccr_web.release import INDEX, Release
from cccr_web.serve import (
    Listener,
    bare_headers,
    file_addresses,
    file_headers,
    listener_policy,
    root_headers,
)

CACHE: Final = "Cache-Control"
TYPE: Final = "Content-Type"
ONION: Final = "Onion-Location"
# These differ between files.
SPECIAL: Final = frozenset({CACHE, TYPE, ONION})

# The first language of an Accept-Language for which we have one: browsers send the preferred
# first. Our own server evaluates the qualities as well.
ACCEPTED: Final = rf"^(?:[^,]*,)*?[ \t]*({RANGE})(?:[^0-9a-z]|$)"
# A path below a language tag. nginx would copy a control character into the header.
REST: Final = "[0-9A-Za-z._/-]*"
_Headers = Mapping[str, str]


class Rules:
    """The headers of one listener's responses, computed when a format needs them."""

    def __init__(self, release: Release, listener: Listener, *, hsts_preload: bool) -> None:
        self._release = release
        self._policy = listener_policy(listener, release.metadata, hsts_preload=hsts_preload)
        self.listener = listener
        self.onion = self._policy.onion_location
        self.files = release.files.keys()
        self.has_index = INDEX in release.files
        self.offered = tuple(release.metadata.languages)
        self.slugs = "|".join(self.offered)

    @property
    def meanings(self) -> Iterable[tuple[str, str]]:
        """Expression → slug of the language that the release has for such a tag."""
        for pattern, language in MEANINGS:
            yield pattern, (available(language, self.offered) or DEFAULT).slug

    @cached_property
    def errors(self) -> _Headers:
        """The headers of responses without a page."""
        return dict(bare_headers(self._policy.without_page()))

    @cached_property
    def addresses(self) -> Mapping[str, _Headers]:
        """Address → headers of every file, and of ``/`` if the release has a file for it."""
        found = file_headers(self._release, self._policy)
        if self.has_index:
            found["/"] = root_headers(found)
        else:
            del found["/"]
        return found

    @cached_property
    def common(self) -> _Headers:
        """The headers that all files have in common."""
        everywhere = list(self.addresses.values())
        return {
            name: value
            for name, value in everywhere[0].items()
            if name not in SPECIAL and all(name in headers for headers in everywhere)
        }

    @cached_property
    def suffixes(self) -> Mapping[str, _Headers]:
        """Suffix → headers: an extension, or a file name if its extension has two types."""
        paths = {"/": INDEX, **file_addresses(self._release)}
        types: dict[str, set[str]] = {}
        for address, headers in self.addresses.items():
            types.setdefault(splitext(paths[address])[1], set()).add(headers[TYPE])
        found = {}
        for address, headers in self.addresses.items():
            extension = splitext(paths[address])[1]
            is_clear = len(types[extension]) == 1
            found[extension if is_clear else f"/{basename(paths[address])}"] = headers
        return found
