"""Replace what all listeners serve between two requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cccr_web.serve.ready import Front, Ready

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class Switch:
    """The apps of all listeners, one each, changed together in one assignment.

    A request that has begun ends with the app that it began with, so each answer
    is of one release.
    """

    def __init__(self, apps: Sequence[Front]) -> None:
        self._apps = tuple(apps)

    def replace(self, apps: Sequence[Front]) -> None:
        """Serve these apps from the next request on, in the order of the listeners."""
        if len(apps) != len(self._apps):
            raise ValueError(f"{len(apps)} apps for {len(self._apps)} listeners")
        self._apps = tuple(apps)

    def listener(self, index: int) -> Front:
        """Return the app of one listener, whatever it is when a request comes."""
        return _Listener(self, index)

    def current(self, index: int) -> Front:
        """Return the app of one listener as it is now."""
        return self._apps[index]


class _Listener:
    def __init__(self, switch: Switch, index: int) -> None:
        self._switch = switch
        self._index = index

    def ready(self, environ: WSGIEnvironment) -> Ready | None:
        return self._switch.current(self._index).ready(environ)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._switch.current(self._index)(environ, start_response)
