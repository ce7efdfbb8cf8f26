"""What a unix socket's path must look like for the kernel and for tor."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Final

from cccr_web.errors import OnionError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST: Final = 107  # bytes: sun_path of unix(7) less its closing NUL
# ADD_ONION knows no quoting: a blank ends a word, a comma ends a port (control-spec, 3.27).
PLAIN: Final = re.compile(r"/[A-Za-z0-9._/@%+:~=-]*")


def check_socket_path(path: Path) -> Path:
    """Return ``path`` if tor can have a unix socket there; else ``OnionError``."""
    if len(bytes(path)) > LONGEST:
        raise OnionError(
            f"The path {path} is longer than a unix socket's may be ({LONGEST} bytes).",
            "Choose a shorter folder.",
        )
    if not PLAIN.fullmatch(str(path)):
        raise OnionError(
            f"Tor cannot be told the path {str(path)!r}.",
            "Give an absolute path of letters, digits and ./-_ only, with no blank in it.",
        )
    return path


def check_target(path: Path) -> None:
    """Make sure that a server's unix socket is at ``path``; else ``OnionError``."""
    try:
        found = stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        found = False
    if not found:
        raise OnionError(
            f"There is no web server's unix socket at {path}.", "Start the onion server first."
        )
