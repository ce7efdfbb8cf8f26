"""The Flask app that serves a release, and the headers of its responses."""

from __future__ import annotations

import functools
import logging
from collections.abc import Container, Mapping
from typing import Final
from urllib.parse import quote

from flask import Flask, Response, request
from flask_talisman import DENY, Talisman
from werkzeug.exceptions import HTTPException

from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES, Language, negotiate, slug_for
from cccr_web.release import ERROR_PAGES, INDEX, File, Release, is_html, media_type
from cccr_web.serve.conditional import (
    Precondition,
    accepts_ranges,
    content_range,
    etag,
    evaluate,
    read_range,
)
from cccr_web.serve.encoding import IDENTITY, EncodedBodies, choose, codings, qualities
from cccr_web.serve.hosts import HostMatch, Hosts
from cccr_web.serve.policy import NO_CACHE, Policy, cache_control

_log = logging.getLogger(__name__)

TOR2WEB: Final = "HTTP_X_TOR2WEB"

# These depend on the body, its coding and the time, not on the policy.
_NOT_POLICY: Final = frozenset({"content-length", "date", "etag", "vary"})


def create_app(
    release: Release, policy: Policy, hosts: Hosts, bodies: EncodedBodies | None = None
) -> Flask:
    """Return the app of one listener; ``bodies`` is shared with the other listener's.

    It answers GET and HEAD for every file of ``release``; a folder is its
    ``index.html``; ``/`` redirects to a language. It reads no file and no
    environment, keeps no state and sets no cookie. Raises ``CccrError`` if the
    release holds a file without a known media type.
    """
    _reject_unknown_types(release)
    encoded = bodies or EncodedBodies(release)
    offered = tuple(release.metadata.languages)
    app = Flask("cccr_web.serve", static_folder=None, template_folder=None)
    # Werkzeug would redirect “//”, with an address built from the client's Host.
    app.url_map.merge_slashes = False
    _apply_policy(app, policy)

    @app.before_request
    def reject_foreign_hosts() -> Response | None:
        host = hosts.match(request.environ.get("HTTP_HOST"))
        through_proxy = host is HostMatch.PROXY or TOR2WEB in request.environ
        if policy.rejects_proxies and through_proxy:
            return _error(release, 403)
        return None if host is HostMatch.OURS else _error(release, 421)

    @app.before_request
    def reject_more_slashes() -> Response | None:
        # Werkzeug would remove them, so that a page would have many addresses.
        more = request.environ["PATH_INFO"].startswith("//")
        return _error(release, 404) if more and request.method in {"GET", "HEAD"} else None

    @app.get("/", provide_automatic_options=False)
    def choose_language() -> Response:
        language = accepted_language(request.headers.get("Accept-Language"), offered)
        return _empty(302, {"Location": f"/{language.slug}/", "Vary": "Accept-Language"})

    @app.get("/<path:path>", provide_automatic_options=False)
    def serve_file(path: str) -> Response:
        if path.endswith("/"):
            path += INDEX
        file = release.files.get(path)
        if file is not None:
            return _file(path, file, policy, encoded)
        redirect = redirect_of(path, release.files)
        if redirect is None:
            return _error(release, 404)
        status, target = redirect
        return _empty(status, {"Location": target})

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        # The routes above can only fail with 404 and 405.
        if error.code == 405:
            return _empty(405, {"Allow": "GET, HEAD"})
        return _error(release, 404)

    @app.errorhandler(Exception)
    def internal_error(error: Exception) -> Response:
        # Flask's own handler would log the requested path.
        _log.error("A request failed", exc_info=error)
        return _empty(500, {})

    return app


def redirect_of(path: str, files: Container[str]) -> tuple[int, str] | None:
    """Return the status and the address of the redirect of a path without a file, if any.

    A folder's is 301, with its slash. A path below another tag of a language, such as
    ``zh-tw/`` or ``EN``, is a 302 to the page below that language's slug. There is no end
    of such paths, and nginx caches each 301.
    """
    if f"{path}/{INDEX}" in files:
        return 301, f"/{path}/"
    first, _, rest = path.partition("/")
    slug = slug_for(first, [one.slug for one in LANGUAGES if f"{one.slug}/{INDEX}" in files])
    target = f"{slug}/{rest.removesuffix(INDEX)}"
    if slug and (target in files or f"{target}{INDEX}" in files):
        return 302, f"/{target}"
    return None


def accepted_language(header: str | None, offered: tuple[str, ...]) -> Language:
    """Choose one of the ``offered`` languages for an ``Accept-Language`` header."""
    # Browsers send short headers; long ones must not fill the cache.
    find = _accepted_language if len(header or "") < 128 else _accepted_language.__wrapped__
    return find(header or "", offered)


@functools.lru_cache(maxsize=128)
def _accepted_language(header: str, offered: tuple[str, ...]) -> Language:
    return negotiate(qualities(header), offered)


def _apply_policy(app: Flask, policy: Policy) -> None:
    Talisman(
        app,
        content_security_policy=policy.content_security_policy,
        permissions_policy=policy.permissions_policy,
        document_policy=None,
        feature_policy=None,
        # Talisman would build the redirect from the client's Host; nginx redirects instead.
        force_https=False,
        frame_options=DENY,
        referrer_policy="no-referrer",
        # Sent only where the WSGI server's url_scheme is https: see serve/server.py.
        strict_transport_security=policy.hsts_seconds is not None,
        strict_transport_security_max_age=policy.hsts_seconds,
        strict_transport_security_include_subdomains=policy.hsts_preload,
        strict_transport_security_preload=policy.hsts_preload,
        x_content_type_options=True,
        x_xss_protection=False,
    )

    @app.after_request
    def add_what_talisman_lacks(response: Response) -> Response:
        response.headers.update(policy.other)
        return response


def bare_headers(policy: Policy) -> list[tuple[str, str]]:
    """Return the headers of a response without a body, such as the server's own errors."""
    app = Flask("cccr_web.serve.errors", static_folder=None, template_folder=None)
    _apply_policy(app, policy)
    with app.test_request_context(base_url=f"{policy.url_scheme}://localhost"):
        response = app.process_response(_empty(400, {}))
    del response.headers["Content-Length"]
    return list(response.headers)


def file_headers(release: Release, policy: Policy) -> dict[str, dict[str, str]]:
    """Return address (``/en/index.html``, ``/en/`` and ``/``) → header → value.

    They come from the app itself, so that mirrors and ``watch`` use the same headers, except
    ``Content-Length``, ``Date``, ``ETag`` and ``Vary``. Raises ``CccrError`` for a file without
    a known media type.
    """
    host = "localhost"
    app = create_app(release, policy, Hosts(frozenset({host})))
    found = {}
    kinds: dict[tuple[str | None, str], dict[str, str]] = {}
    with app.test_client() as client:

        def ask(address: str) -> dict[str, str]:
            response = client.head(address, base_url=f"{policy.url_scheme}://{host}")
            return {
                name: value for name, value in response.headers if name.lower() not in _NOT_POLICY
            }

        found["/"] = ask("/")
        for address, path in file_addresses(release).items():
            kind = media_type(path), cache_control(path)
            if kind not in kinds:
                kinds[kind] = ask(address)
            found[address] = {**kinds[kind]}
            if "Onion-Location" in found[address]:
                location = f"{policy.onion_location}{path_and_query(address)}"
                found[address]["Onion-Location"] = location
    return found


def root_headers(headers: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the headers of ``/`` on a host that serves the release's ``index.html`` there.

    ``headers`` comes from ``file_headers``. ``Onion-Location`` points to ``/`` as well.
    """
    found = {**headers[f"/{INDEX}"]}
    if "Onion-Location" in found:
        found["Onion-Location"] = found["Onion-Location"].removesuffix(INDEX)
    return found


def file_addresses(release: Release) -> dict[str, str]:
    """Return address → path of every file, and of every folder that has an index page."""
    files = {f"/{path}": path for path in release.files}
    folders = {
        f"/{path.removesuffix(INDEX)}": path for path in release.files if path.endswith(f"/{INDEX}")
    }
    return {**files, **folders}


def _file(path: str, file: File, policy: Policy, encoded: EncodedBodies) -> Response:
    """Return a file with the coding, preconditions and range of the request applied."""
    offered = tuple(coding for coding in codings(policy) if encoded.get(path, coding) is not None)
    coding = choose(request.headers.get("Accept-Encoding"), offered)
    body = encoded.get(path, coding) or b""
    tag = etag(file.sha256, coding)
    if_match, if_none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    precondition = evaluate(if_match, if_none_match, tag)
    if precondition is Precondition.FAILED:
        return _empty(412, {})
    response = Response(body, content_type=media_type(path))
    response.headers["Cache-Control"] = cache_control(path)
    response.headers["ETag"] = tag
    if offered:
        response.headers["Vary"] = "Accept-Encoding"
    if coding != IDENTITY:
        response.headers["Content-Encoding"] = coding
    if policy.onion_location is not None and is_html(path):
        response.headers["Onion-Location"] = policy.onion_location + path_and_query(
            request.path, request.query_string
        )
    if accepts_ranges(len(body)):
        response.headers["Accept-Ranges"] = "bytes"
        if precondition is Precondition.PASSED and request.method == "GET":
            response = _partial(response, body, tag)
    if precondition is Precondition.NOT_MODIFIED:
        response.status_code = 304
        response.set_data(b"")
    return response


def _partial(response: Response, body: bytes, tag: str) -> Response:
    """Return the requested range of a large file, or the whole file."""
    part = read_range(request.headers.get("Range"), request.headers.get("If-Range"), tag, len(body))
    if part is None:
        return response
    if not part:
        return _empty(416, {"Content-Range": content_range(part, len(body))})
    response.status_code = 206
    response.set_data(body[part.start : part.stop])
    response.headers["Content-Range"] = content_range(part, len(body))
    return response


def path_and_query(path: str, query: bytes = b"") -> str:
    """Return a request's path and query as ASCII, fit for a header."""
    quoted = quote(query, safe=_QUERY_SAFE)
    return f"{quote(path)}?{quoted}" if quoted else quote(path)


# Every character allowed in a query (RFC 3986, section 3.4), and “%” itself.
_QUERY_SAFE = "!$&'()*+,;=:@/?-._~%"


def _empty(status: int, headers: dict[str, str]) -> Response:
    """Return a response without a body."""
    response = Response(status=status, headers={**headers, "Cache-Control": NO_CACHE})
    del response.headers["Content-Type"]
    return response


def _error(release: Release, status: int) -> Response:
    """Return the error page, which is in every language."""
    file = release.files.get(ERROR_PAGES[status])
    response = Response(
        file.body if file else b"",
        status=status,
        content_type="text/html; charset=utf-8" if file else "text/plain; charset=utf-8",
    )
    response.headers["Cache-Control"] = NO_CACHE
    return response


def _reject_unknown_types(release: Release) -> None:
    for path in release.files:
        if media_type(path) is None:
            raise CccrError(
                f"{path}: the server knows no media type for this file name extension.",
                "Build the release with the same version of cccr-web.",
            )
