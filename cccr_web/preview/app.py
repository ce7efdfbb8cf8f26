"""The WSGI app of preview: the site as a release answers, and preview's own pages."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.preview.changes import find_changes
from cccr_web.preview.edition import Edition
from cccr_web.preview.overlay import overlay, preview_policy
from cccr_web.preview.pages import (
    STYLE,
    changes_page,
    compare_page,
    failure_page,
    index_page,
    problem_page,
)
from cccr_web.preview.watcher import Watcher
from cccr_web.release import (
    ARCHIVE,
    ERROR_PAGES,
    INDEX,
    MANIFEST,
    METADATA,
    File,
    Metadata,
    Release,
    is_html,
)
from cccr_web.render import SiteFiles
from cccr_web.serve import (
    EncodedBodies,
    HostMatch,
    ServedSite,
    clearnet_hosts,
    create_app,
    listener_policy,
)

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_OWN: Final = "-"
_EVENTS: Final = "/-/events"
# Seconds between signs of life on the connection of a page; writing is how a closed one is found.
_SILENCE: Final = 10.0
_HOSTS: Final = clearnet_hosts((), loopback=True)
_LANGUAGES: Final = {language.slug: language.tag for language in LANGUAGES}
_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)
# What is made from all files of a release.
_OF_ALL: Final = {MANIFEST, METADATA, ARCHIVE}

# Of a site without any page.
_NO_FACTS: Final = Metadata(1, _DAY, _DAY + timedelta(days=1), None, _LANGUAGES, None, (), ())


class PreviewApp:
    """Answers each request from the current edition of a watcher.

    A page is rendered when it is requested, and served by the same Flask app as a release.
    ``previous`` are the files of the last release, if it is known.
    """

    def __init__(self, watcher: Watcher, previous: Mapping[str, bytes] | None = None) -> None:
        self._watcher = watcher
        self._previous = previous
        # Flask's templates and what they render are shared by all requests.
        self._lock = threading.Lock()
        self._whole: tuple[SiteFiles, Release] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI app (PEP 3333)."""
        if not is_ours(environ):
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
            start_response("403 Forbidden", headers)
            return [b"Only pages of this preview may ask.\n"]
        if environ["PATH_INFO"] == _EVENTS and environ["REQUEST_METHOD"] == "GET":
            headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")]
            start_response("200 OK", headers)
            return self._events(environ["QUERY_STRING"])
        edition = self._watcher.edition
        with self._lock:
            release = self._release(edition, environ["PATH_INFO"])
        policy = replace(
            listener_policy("clearnet", release.metadata),
            content_security_policy=preview_policy(release.metadata, STYLE),
        )

        def fresh(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [pair for pair in headers if pair[0].lower() != "cache-control"]
            return start_response(status, [*kept, ("Cache-Control", "no-store")], *more)

        # To compress a page takes longer than to send it within this machine.
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        served = ServedSite(release, policy, _HOSTS, EncodedBodies(release))
        return create_app(served)(environ, fresh)

    def _events(self, shown: str) -> Iterator[bytes]:
        """Yield an event (HTML, server-sent events) once the page that is shown is outdated."""
        yield b": listening\n\n"
        while not self._watcher.wait(shown, _SILENCE):
            yield b": still listening\n\n"
        yield b"data: changed\n\n"

    def _release(self, edition: Edition, address: str) -> Release:
        """Return the part of a release that answers this address: its file, and error pages."""
        site = edition.good or edition.draft
        facts = site.facts if site else _NO_FACTS
        path = address[1:]
        own = path.strip("/")
        if own == _OWN or own.startswith(f"{_OWN}/"):
            body = self._own_page(edition, own.removeprefix(_OWN).strip("/"))
            if body is not None:
                return Release({f"{own}/{INDEX}": File.of(body)}, facts)
        else:
            known = edition.site(path) or edition.site(f"{path}{INDEX}")
            file = path if known is None or path in known else f"{path}{INDEX}"
            if path in _OF_ALL and site is not None:
                return Release({path: self._all(site).files[path]}, facts)
            body = self._file(edition, known, file)
            if body is not None:
                return Release({file: File.of(body)}, facts)
        sites = [one for one in (edition.good, edition.draft) if one]
        paths = {*_OF_ALL, *(path for one in sites for path in one.paths)}
        files = dict.fromkeys(paths, File.of(b""))
        for name in ERROR_PAGES.values():
            page = self._file(edition, edition.site(name), name)
            if page is not None:
                files[name] = File.of(page)
        return Release(files, facts)

    def _file(self, edition: Edition, site: SiteFiles | None, path: str) -> bytes | None:
        if site is None:
            return problem_page(edition, path)
        try:
            body = site[path]
            return overlay(edition, site, path, body) if is_html(path) else body
        # A draft can lack what its page needs.
        except (CccrError, LookupError, ValueError) as error:
            return problem_page(edition, path) or failure_page(edition, str(error))

    def _all(self, site: SiteFiles) -> Release:
        if self._whole is None or self._whole[0] is not site:
            self._whole = site, site.release()
        return self._whole[1]

    def _own_page(self, edition: Edition, name: str) -> bytes | None:
        first, _, rest = name.partition("/")
        match first:
            case "":
                return index_page(edition)
            case "compare" if rest:
                return compare_page(edition, PurePosixPath(rest))
            case "changes":
                site = edition.good or edition.draft
                known = self._previous is not None and site is not None
                found = find_changes(self._previous or {}, site) if known and site else None
                return changes_page(edition, found)
        return None


def is_ours(environ: WSGIEnvironment) -> bool:
    """Whether a request comes from a page of this preview, or from an address that was typed.

    The Host must be this machine's, or else another name leads here (DNS rebinding). A page of
    another site has another Origin (RFC 6454), or is named by Sec-Fetch-Site (Fetch Metadata).
    """
    host = environ.get("HTTP_HOST")
    if _HOSTS.match(host) is not HostMatch.OURS:
        return False
    if environ.get("HTTP_ORIGIN", f"http://{host}") != f"http://{host}":
        return False
    return environ.get("HTTP_SEC_FETCH_SITE", "none") in {"none", "same-origin"}
