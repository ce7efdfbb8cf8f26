"""The Flask app that hands out a release."""

from __future__ import annotations

import logging
from urllib.parse import quote

from flask import Flask, Response, request
from flask_talisman import DENY, Talisman
from werkzeug.exceptions import HTTPException

from cccr_web.errors import CccrError
from cccr_web.languages import by_slug, negotiate
from cccr_web.release import File, Release
from cccr_web.serve.conditions import Outcome, etag, evaluate
from cccr_web.serve.encoding import IDENTITY, Encoded, choose, codings
from cccr_web.serve.hosts import Hosts, Verdict
from cccr_web.serve.policy import NO_CACHE, Policy, cache_control, is_html, media_type
from cccr_web.serve.ranges import content_range, read_range, takes_ranges

_log = logging.getLogger(__name__)

INDEX = "index.html"
TOR2WEB = "HTTP_X_TOR2WEB"


def create_app(
    release: Release, policy: Policy, hosts: Hosts, encoded: Encoded | None = None
) -> Flask:
    """Return the app for one listener; ``encoded`` is shared with the other's.

    It answers GET and HEAD for every file of ``release``; a folder is its
    ``index.html``; ``/`` leads to a language. It reads no file and no
    environment, keeps no state and sets no cookie. Raises ``CccrError`` if the
    release holds a kind of file that has no media type here.
    """
    _refuse_unknown_kinds(release)
    shelf = encoded or Encoded(release)
    app = Flask("cccr_web.serve", static_folder=None, template_folder=None)
    # Werkzeug would mend “//” by a redirect that it builds from the reader's Host.
    app.url_map.merge_slashes = False
    _apply_policy(app, policy)

    @app.before_request
    def refuse_foreign_hosts() -> Response | None:
        verdict = hosts.judge(request.environ.get("HTTP_HOST"))
        through_proxy = verdict is Verdict.PROXY or TOR2WEB in request.environ
        if policy.proxies_refused and through_proxy:
            return _error(release, 403)
        return None if verdict is Verdict.OURS else _error(release, 421)

    @app.get("/", provide_automatic_options=False)
    def choose_language() -> Response:
        language = negotiate(request.accept_languages, release.metadata.languages)
        return _empty(302, {"Location": f"/{language.slug}/", "Vary": "Accept-Language"})

    @app.get("/<path:path>", provide_automatic_options=False)
    def hand_out(path: str) -> Response:
        if path.endswith("/"):
            path += INDEX
        file = release.files.get(path)
        if file is not None:
            return _file(path, file, policy, shelf)
        if f"{path}/{INDEX}" in release.files:
            return _empty(301, {"Location": f"/{path}/"})
        return _error(release, 404)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        # Of the routes above only these two can fail: no such path, no such method.
        if error.code == 405:
            return _empty(405, {"Allow": "GET, HEAD"})
        return _error(release, 404)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        # Flask's own handler would write the reader's path into the log.
        _log.error("A request failed", exc_info=error)
        return _empty(500, {})

    return app


def _apply_policy(app: Flask, policy: Policy) -> None:
    Talisman(
        app,
        content_security_policy=policy.content_security_policy,
        permissions_policy=policy.permissions_policy,
        document_policy=None,
        feature_policy=None,
        # Talisman would build the redirect from the reader's Host; nginx does it.
        force_https=False,
        frame_options=DENY,
        referrer_policy="no-referrer",
        # It is sent where the WSGI server's url_scheme is https: see serve/server.py.
        strict_transport_security=policy.hsts_seconds is not None,
        strict_transport_security_max_age=policy.hsts_seconds,
        strict_transport_security_include_subdomains=False,
        x_content_type_options=True,
        x_xss_protection=False,
    )

    @app.after_request
    def add_what_talisman_lacks(response: Response) -> Response:
        response.headers.update(policy.other)
        return response


def bare_headers(policy: Policy) -> list[tuple[str, str]]:
    """Return what the policy puts on a response without a body, such as a refusal."""
    app = Flask("cccr_web.serve.refusal", static_folder=None, template_folder=None)
    _apply_policy(app, policy)
    with app.test_request_context(base_url=f"{policy.url_scheme}://localhost"):
        response = app.process_response(_empty(400, {}))
    del response.headers["Content-Length"]
    return list(response.headers)


def _file(path: str, file: File, policy: Policy, encoded: Encoded) -> Response:
    """Return a file in the coding, to the condition and in the part that the request names."""
    offered = tuple(coding for coding in codings(policy) if encoded.get(path, coding) is not None)
    coding = choose(request.headers.get("Accept-Encoding"), offered)
    body = encoded.get(path, coding) or b""
    tag = etag(file.sha256, coding)
    if_match, if_none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    outcome = evaluate(if_match, if_none_match, tag)
    if outcome is Outcome.FAILED:
        return _empty(412, {})
    response = Response(body, content_type=media_type(path))
    response.headers["Cache-Control"] = cache_control(path)
    response.headers["ETag"] = tag
    if offered:
        response.headers["Vary"] = "Accept-Encoding"
    if coding != IDENTITY:
        response.headers["Content-Encoding"] = coding
    if policy.onion_location is not None and is_html(path):
        response.headers["Onion-Location"] = policy.onion_location + _path_and_query()
    if takes_ranges(len(body)):
        response.headers["Accept-Ranges"] = "bytes"
        if outcome is Outcome.GO_ON and request.method == "GET":
            response = _in_part(response, body, tag)
    if outcome is Outcome.NOT_MODIFIED:
        response.status_code = 304
        response.set_data(b"")
    return response


def _in_part(response: Response, body: bytes, tag: str) -> Response:
    """Return the part of a large file that the request asks for, or the whole."""
    wanted = read_range(
        request.headers.get("Range"), request.headers.get("If-Range"), tag, len(body)
    )
    if wanted is None:
        return response
    if not wanted:
        return _empty(416, {"Content-Range": content_range(wanted, len(body))})
    response.status_code = 206
    response.set_data(body[wanted.start : wanted.stop])
    response.headers["Content-Range"] = content_range(wanted, len(body))
    return response


def _path_and_query() -> str:
    """Return the request's path and query as ASCII, fit for a header."""
    path = quote(request.path)
    query = quote(request.query_string, safe=_QUERY_SAFE)
    return f"{path}?{query}" if query else path


# Every character that may stand in a query (RFC 3986, section 3.4), and “%” itself.
_QUERY_SAFE = "!$&'()*+,;=:@/?-._~%"


def _empty(status: int, headers: dict[str, str]) -> Response:
    """Return a response without a body: there are no words in code."""
    response = Response(status=status, headers={**headers, "Cache-Control": NO_CACHE})
    del response.headers["Content-Type"]
    return response


def _error(release: Release, status: int) -> Response:
    """Return the page of an error in the language of the path, or the reader's."""
    language = by_slug(request.path.split("/")[1]) if request.path.startswith("/") else None
    chosen = language or negotiate(request.accept_languages, release.metadata.languages)
    file = release.files.get(f"{chosen.slug}/errors/{status}.html")
    response = Response(
        file.body if file else b"",
        status=status,
        content_type="text/html; charset=utf-8" if file else "text/plain; charset=utf-8",
    )
    response.headers["Cache-Control"] = NO_CACHE
    if language is None:
        response.headers["Vary"] = "Accept-Language"
    return response


def _refuse_unknown_kinds(release: Release) -> None:
    for path in release.files:
        if media_type(path) is None:
            raise CccrError(
                f"{path} has an ending that the server knows no media type for.",
                "Build the release with the same version of cccr-web.",
            )
