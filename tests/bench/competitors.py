"""One competitor: ``python competitors.py NAME PORT PAGE`` serves PAGE until stopped.

Each serves the same bytes from waitress with two threads, as waitress's manual recommends;
granian serves them from one worker. The environment's HEADERS are ours, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waitress import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def ours() -> dict[str, str]:
    """Return the headers that our server sends with the page."""
    headers: dict[str, str] = json.loads(os.environ["HEADERS"])
    return headers


def bare(page: Path) -> Any:
    """Return a minimal app: two headers and the bytes."""
    return _app(page, {"Content-Type": "text/html; charset=utf-8"})


def _app(page: Path, known: dict[str, str]) -> Any:
    body = page.read_bytes()
    headers = [*known.items(), ("Content-Length", str(len(body)))]

    def app(_: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return [body]

    return app


def whitenoise(page: Path) -> Any:
    """Return WhiteNoise for the folder, with the headers."""
    from whitenoise import WhiteNoise

    def add_headers(headers: Any, _path: str, _url: str) -> None:
        for name, value in ours().items():
            headers[name] = value

    return WhiteNoise(
        bare(page), root=page.parent, index_file=True, add_headers_function=add_headers
    )


def talisman(page: Path) -> Any:
    """Return Flask and Talisman with the bytes in memory, as in their quick starts."""
    from flask import Flask, Response
    from flask_talisman import Talisman

    body = page.read_bytes()
    app = Flask("competitor", static_folder=None)
    Talisman(app, force_https=False)

    @app.get("/")
    def index() -> Response:
        return Response(body, content_type="text/html; charset=utf-8")

    return app


def rendering(page: Path) -> Any:
    """Return Flask rendering a page of the same size live: 60 links, 61 sentences, Babel."""
    from flask import Flask, render_template_string
    from flask_babel import Babel

    rest = page.stat().st_size
    source = (
        "<!doctype html><title>{{ gettext('Title') }}</title>"
        "{% for n in range(60) %}<a href=\"{{ url_for('index', n=n) }}\">"
        "{{ gettext('A sentence of the page') }}</a>{% endfor %}"
    )
    app = Flask("competitor", static_folder=None)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    Babel(app)

    @app.get("/")
    def index() -> str:
        written = render_template_string(source)
        return written + " " * (rest - len(written))

    return app


def in_granian() -> Any:
    """Return the app that granian's worker serves: the bytes, with the headers."""
    return _app(Path(os.environ["PAGE"]), ours())


def serve_with_granian(port: int, page: Path) -> None:
    """Serve until stopped."""
    from granian.constants import Interfaces
    from granian.server import Server

    os.environ["PAGE"] = str(page)
    here = f"{Path(__file__).stem}:in_granian"
    Server(here, port=port, interface=Interfaces.WSGI, factory=True).serve()


def main() -> None:
    """Serve until stopped."""
    name, port, page = sys.argv[1:]
    if name == "granian":
        serve_with_granian(int(port), Path(page))
        return
    makers = {"bare": bare, "whitenoise": whitenoise, "talisman": talisman, "rendering": rendering}
    serve(makers[name](Path(page)), listen=f"127.0.0.1:{port}", threads=2, connection_limit=900)


if __name__ == "__main__":
    main()
