"""The Flask app that serves a release, and the headers of its responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from flask import Flask, Response, request
from flask_talisman import DENY, Talisman

from cccr_web.errors import CccrError
from cccr_web.release import ERROR_PAGES, INDEX, Release, media_type
from cccr_web.serve.decision import Decision, Representation, ServedSite
from cccr_web.serve.encoding import IDENTITY, EncodedBodies
from cccr_web.serve.hosts import Hosts
from cccr_web.serve.policy import NO_CACHE, Policy, cache_control
from cccr_web.serve.request_headers import content_range

_log = logging.getLogger(__name__)

# These depend on the body, its coding and the time, not on the policy.
_NOT_POLICY: Final = frozenset({"accept-ranges", "content-length", "date", "etag", "vary"})


def create_app(site: ServedSite) -> Flask:
    """Return the app of one listener.

    It reads no file and no environment, keeps no state and sets no cookie. Raises ``CccrError``
    if the release holds a file without a known media type.
    """
    _reject_unknown_types(site.release)
    app = Flask("cccr_web.serve", static_folder=None, template_folder=None)
    _apply_policy(app, site.policy)

    # There are no routes, which would decide a second time, on paths and methods.
    @app.before_request
    def answer() -> Response:
        return _response(site.decide(request.environ), site.release)

    @app.errorhandler(Exception)
    def internal_error(error: Exception) -> Response:
        # Flask's own handler would log the requested path.
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
    those that are not in the policy. Raises ``CccrError`` for a file without a known media type.
    """
    host = "localhost"
    site = ServedSite(release, policy, Hosts(frozenset({host})), EncodedBodies(release))
    client = create_app(site).test_client()

    def ask(address: str) -> dict[str, str]:
        headers = client.head(address, base_url=f"{policy.url_scheme}://{host}").headers
        return {name: value for name, value in headers if name.lower() not in _NOT_POLICY}

    found = {"/": ask("/")}
    kinds: dict[tuple[object, ...], dict[str, str]] = {}
    for one in site.representations:
        if one.kind not in kinds:
            kinds[one.kind] = ask(one.address)
        own = {"Onion-Location": one.onion_address} if one.onion_address else {}
        found[one.address] = kinds[one.kind] | own
    return found


def root_headers(headers: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the headers of ``/`` on a host that serves the release's ``index.html`` there.

    ``headers`` comes from ``file_headers``. ``Onion-Location`` points to ``/`` as well.
    """
    found = {**headers[f"/{INDEX}"]}
    if "Onion-Location" in found:
        found["Onion-Location"] = found["Onion-Location"].removesuffix(INDEX)
    return found


def _response(decision: Decision, release: Release) -> Response:
    """Return the response that was decided on, without the headers of the policy."""
    match decision:
        case Decision(200 | 206 | 304, Representation() as chosen):
            return _file(decision, chosen)
        case Decision(416, Representation(body=body)):
            return _empty(416, {"Content-Range": content_range(range(0), len(body))})
        case Decision(302, language=slug) if slug:
            return _empty(302, {"Location": f"/{slug}/", "Vary": "Accept-Language"})
        case Decision(301 | 302 as status, location=location):
            return _empty(status, {"Location": location})
        case Decision(405):
            return _empty(405, {"Allow": "GET, HEAD"})
        case Decision(status) if status in ERROR_PAGES:
            return _error(release, status)
    return _empty(decision.status, {})


def _file(decision: Decision, chosen: Representation) -> Response:
    """Return a file or a range of it; Werkzeug leaves the body and its headers out of a 304."""
    part = decision.part
    body = chosen.body[part.start : part.stop] if part else chosen.body
    response = Response(body, decision.status, content_type=media_type(chosen.path))
    response.headers["Cache-Control"] = cache_control(chosen.path)
    response.headers["ETag"] = chosen.tag
    if chosen.offered:
        response.headers["Vary"] = "Accept-Encoding"
    if chosen.coding != IDENTITY:
        response.headers["Content-Encoding"] = chosen.coding
    if decision.onion_location:
        response.headers["Onion-Location"] = decision.onion_location
    if chosen.accepts_ranges:
        response.headers["Accept-Ranges"] = "bytes"
    if part:
        response.headers["Content-Range"] = content_range(part, len(chosen.body))
    return response


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
