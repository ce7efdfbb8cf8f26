"""The sequence: the number of a release, in ``site.toml``."""

from __future__ import annotations

import re
import tomllib

from cccr_web.errors import CccrError

_LINE = re.compile(rb"^([ \t]*sequence[ \t]*=[ \t]*)[^\s#]+", re.MULTILINE)


def raised(toml: bytes, sequence: int) -> bytes:
    """Return ``site.toml`` with this sequence, and otherwise byte for byte as it was.

    Raises ``CccrError`` if that cannot be done safely.
    """
    changed = _LINE.sub(rb"\g<1>%d" % sequence, toml, count=1)
    try:
        before, after = (tomllib.loads(one.decode("utf-8-sig")) for one in (toml, changed))
    except ValueError:  # it was changed since it was checked
        before, after = {}, {}
    if not before or after != {**before, "sequence": sequence}:
        raise CccrError(
            "The sequence in site.toml cannot be raised automatically.",
            f"Write “sequence = {sequence}” into it, and run the same command again.",
        )
    return changed
