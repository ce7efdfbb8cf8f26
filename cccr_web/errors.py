"""Exceptions: one class for each failure that somebody catches.

Every other failure raises the nearest class below with its own message. A
message says what happened, where, and what to do; only the command line prints it.
"""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return a number and its noun for a message, such as ``1 day`` or ``1,000 days``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


class CccrError(Exception):
    """A failure that a person can fix.

    ``problem`` says what happened and where, ``remedy`` what to do; ``str()`` is both,
    fit for a terminal.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".rstrip())


class ReleaseError(CccrError):
    """A release is not what its manifest says; ``path`` is the file that shows it, if known."""

    def __init__(self, problem: str, remedy: str = "", *, path: str = "") -> None:
        self.path = path
        super().__init__(problem, remedy)


class MissingFileError(ReleaseError):
    """A file is not in the release."""


class SignatureError(ReleaseError):
    """A signature is missing, damaged, of the wrong kind, or not by the expected key."""


class ChangedFileError(ReleaseError):
    """The SHA-256 of the file ``path`` differs from the ``listed`` one.

    ``swapped`` is the listed file whose content it has, if any.
    """

    def __init__(self, path: str, sha256: str, listed: str, swapped: str | None = None) -> None:
        self.sha256 = sha256
        self.listed = listed
        problem = f"{path} is not the file that SHA256SUMS lists."
        super().__init__(f"{problem} It is {swapped}." if swapped else problem, path=path)


class OnionError(CccrError):
    """The onion service's key, tor or its control connection failed."""


class KeyMissingError(OnionError):
    """There is no onion key file at the given path."""


class KeyExistsError(OnionError):
    """The key file exists already; keys are never overwritten."""


class ControlMissingError(OnionError):
    """No tor answers on the control socket."""


class ControlForeignError(OnionError):
    """The program on the control socket does not speak tor's control protocol."""


class ControlLostError(OnionError):
    """Tor closed the control connection, or did not answer in time."""


class CommandRejectedError(OnionError):
    """Tor rejected a command that it should know."""
