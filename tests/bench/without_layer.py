"""Our server without the prepared responses: ``python without_layer.py RELEASE PORT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cccr_web.listen import Tcp
from cccr_web.release import load
from cccr_web.serve import Site, clearnet_hosts, clearnet_policy, create_app, listening, serve

if TYPE_CHECKING:
    from collections.abc import Iterable


class Slow:
    """The Flask app alone."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Pass the request to the app."""
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def ready(self, _: Any) -> None:
        """Return nothing: no response is prepared."""


def main() -> None:
    """Serve until stopped."""
    release = load(Path(sys.argv[1]), None)
    policy = clearnet_policy(release.metadata, release.metadata.onions)
    app = create_app(release, policy, clearnet_hosts((), loopback=True))
    with listening(Tcp("127.0.0.1", int(sys.argv[2]))) as listener:
        serve([Site(listener, Slow(app), policy)])


if __name__ == "__main__":
    main()
