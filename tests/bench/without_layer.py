"""Our server without the prepared responses: ``python without_layer.py RELEASE PORT``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.test import run_wsgi_app

from cccr_web.listen import Tcp, listening
from cccr_web.release import load
from cccr_web.serve import AppSwitch
from cccr_web.serve.decision import ServedSite
from cccr_web.serve.encoding import EncodedBodies
from cccr_web.serve.hosts import clearnet_hosts
from cccr_web.serve.policy import listener_policy
from cccr_web.serve.prepared import ResponseCache
from cccr_web.serve.response import PreparedResponse
from cccr_web.serve.server import serve

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


class FlaskOnly(ResponseCache):
    """The app without its prepared responses."""

    def lookup(self, environ: WSGIEnvironment) -> PreparedResponse:
        """Let Flask answer the request."""
        body, status, headers = run_wsgi_app(self.flask, environ, buffered=True)
        made = PreparedResponse.of(status, list(headers), b"".join(body))
        return replace(made, for_one=True)  # or the memo would have it the next time


def main() -> None:
    """Serve until stopped."""
    release = load(Path(sys.argv[1]), None)
    policy = listener_policy("clearnet", release.metadata)
    hosts = clearnet_hosts((), loopback=True)
    app = FlaskOnly(ServedSite(release, policy, hosts, EncodedBodies(release)))
    with listening(Tcp("127.0.0.1", int(sys.argv[2]))) as listener:
        serve([listener], AppSwitch([app]))


if __name__ == "__main__":
    main()
