"""Replace what all listeners serve between two requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Switch:
    """The apps of all listeners, one each, changed together in one assignment.

    A request that has begun ends with the app that it began with, so each answer
    is of one release.
    """

    def __init__(self, apps: Sequence[WSGIApplication]) -> None:
        self._apps = tuple(apps)

    def replace(self, apps: Sequence[WSGIApplication]) -> None:
        """Serve these apps from the next request on, in the order of the listeners."""
        if len(apps) != len(self._apps):
            raise ValueError(f"{len(apps)} apps for {len(self._apps)} listeners")
        self._apps = tuple(apps)

    def listener(self, index: int) -> WSGIApplication:
        """Return the app of one listener, whatever it is when a request comes."""

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return self._apps[index](environ, start_response)

        return app
