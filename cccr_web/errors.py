"""Every failure that a person can mend has a name here.

One root, one class a failure. A message says what was wrong, where, and the
way out; only the command line prints it.
"""

from __future__ import annotations


class CccrError(Exception):
    """The root: a problem, where it lies, and the way out of it.

    ``str()`` of it is one or two plain sentences, fit for a terminal.
    """

    def __init__(self, problem: str, way_out: str = "") -> None:
        self.problem = problem
        self.way_out = way_out
        super().__init__(f"{problem} {way_out}".rstrip())


class TreeMissingError(CccrError):
    """The templates or the translations are not where the package looks for them."""


class ConfigError(CccrError):
    """The environment holds settings that cannot be used; all are told together."""


# Onion service: one class for each way in which publishing can fail.


class OnionError(CccrError):
    """The root of all that can go wrong between us and tor."""


# Content: what the organisation's writers can mend.


class ContentError(CccrError):
    """The tree of texts has problems; each is told with its file and line."""


# Release: the folder of exactly the bytes that readers get.


class ReleaseError(CccrError):
    """A release folder is not what its manifest says."""


class BuildError(CccrError):
    """A release could not be written."""


class ServeError(CccrError):
    """The server cannot listen where it was told to."""
