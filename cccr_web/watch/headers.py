"""Whether the headers of an answer are those of the policy.

What follows from the connection, the moment or the way in which a host stores files
is let through, as a plain nginx or Caddy sends it:

- ``Date``, ``Connection``, ``Keep-Alive``, ``Transfer-Encoding``, ``Content-Length``,
  ``Accept-Ranges``, ``ETag``, ``Last-Modified``;
- ``Server`` with nothing but the name nginx or Caddy, no version;
- ``Vary: Accept-Encoding``;
- ``Alt-Svc`` that offers another protocol at the same name, and no other name.

Everything else that the policy does not send is an extra header, ``Set-Cookie`` first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from cccr_web.watch.difference import Difference, Kind, shown
from cccr_web.watch.link import Reply

_LET_THROUGH: Final = frozenset(
    {
        "accept-ranges",
        "connection",
        "content-length",
        "date",
        "etag",
        "keep-alive",
        "last-modified",
        "transfer-encoding",
    }
)
_SERVICE: Final = r'h[23](-[0-9]+)?=":[0-9]+"(; *(ma|persist)=[0-9]+)*'
_IF_LIKE: Final = {
    "alt-svc": re.compile(rf"{_SERVICE}(, *{_SERVICE})*"),
    "server": re.compile(r"nginx|Caddy"),
    "vary": re.compile(r"accept-encoding", re.IGNORECASE),
}


def header_differences(
    path: str, reply: Reply, expected: Mapping[str, str], allowed: Collection[str] = ()
) -> Iterator[Difference]:
    """Compare the headers of ``reply`` with the ``expected`` ones.

    ``allowed`` are further names, in lower case, that may be there.
    """
    policy = {name.lower(): (name, value) for name, value in expected.items()}
    seen: set[str] = set()
    for name, value in reply.headers:
        key = name.lower()
        if key in policy and key not in seen:
            ours, wanted = policy[key]
            if _normal(key, value) != _normal(key, wanted):
                yield Difference(path, Kind.CHANGED_HEADER, f"{ours}: {shown(value)}")
        elif key not in {*_LET_THROUGH, *allowed} and not _is_like(key, value):
            yield Difference(path, Kind.EXTRA_HEADER, f"{shown(name)}: {shown(value)}")
        seen.add(key)
    for key, (name, _) in policy.items():
        if key not in seen:
            yield Difference(path, Kind.MISSING_HEADER, name)


def _is_like(key: str, value: str) -> bool:
    return key in _IF_LIKE and _IF_LIKE[key].fullmatch(value) is not None


def _normal(key: str, value: str) -> str:
    # A media type and its charset are the same in any case (RFC 9110, section 8.3.1).
    return value.lower().replace(" ", "") if key == "content-type" else value
