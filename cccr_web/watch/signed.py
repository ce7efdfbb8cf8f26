"""What an address says of itself, as far as the organisation has signed it."""

from __future__ import annotations

from collections.abc import Callable

from cccr_web.errors import ChangedFileError, ReleaseError, SignatureError
from cccr_web.release import PublicKey, Release, read_signed_manifest
from cccr_web.watch.difference import Difference, Kind
from cccr_web.watch.files import changed, file_differences
from cccr_web.watch.link import Reply

Fetch = Callable[[str, int], Reply | None]
Tell = Callable[[Difference], None]


class _ToldError(Exception):
    """What is wrong has been told already."""


def read_signed(fetch: Fetch, key: PublicKey, tell: Tell) -> Release | None:
    """Return the release that the signed list names, all its files without their bytes.

    ``fetch`` takes a path and the most bytes it may have, and has told itself if it
    returns ``None``. ``None`` is returned, and what is wrong told, if anything in
    the list, its signatures or ``RELEASE.json`` is not as it should be.
    """

    def read(path: str, limit: int) -> bytes:
        reply = fetch(f"/{path}", limit)
        if reply is None:
            raise _ToldError
        for problem in file_differences(f"/{path}", reply):
            tell(problem)
            raise _ToldError
        return reply.body

    try:
        return read_signed_manifest(read, key)
    except _ToldError:
        pass
    except ChangedFileError as error:
        tell(changed(f"/{error.path}", error.sha256, error.listed))
    except SignatureError as error:
        tell(Difference(_named(error, "SHA256SUMS.minisig"), Kind.BAD_SIGNATURE, str(error)))
    except ReleaseError as error:
        tell(Difference(_named(error, "SHA256SUMS"), Kind.CHANGED, str(error)))
    return None


def _named(error: ReleaseError, otherwise: str) -> str:
    """Return the file that an error begins with, if it is one of those just read."""
    word = error.problem.partition(" ")[0].rstrip(",:")
    beside = word.startswith("SHA256SUMS") or word == "RELEASE.json"
    return f"/{word if beside else otherwise}"
