"""Bridge lines as people receive them, and the torrc lines that they become (tor(1), ``Bridge``).

People, messengers, mail programs and QR codes write text before them, add bullets, quotation marks,
list brackets, full stops, unusual blanks and line breaks, and leave out the word Bridge.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cccr_web.errors import OnionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The transports that Debian has programs for. Each is in the package of its name.
PROGRAMS: Final = {
    "meek_lite": "/usr/bin/obfs4proxy",
    "obfs4": "/usr/bin/obfs4proxy",
    "snowflake": "/usr/bin/snowflake-client",
}
# Known, but in no Debian package.
_UNAVAILABLE: Final = frozenset({"conjure", "dnstt", "obfs2", "obfs3", "scramblesuit", "webtunnel"})
# What SOCKS 5, by which tor passes them on, can hold.
_MAX_ARGUMENTS: Final = 510

# The marks before and after a word, and at the end of a sentence.
_MARKS: Final = ",;、\"'`“”‘’„«»(){}<>|*•"
_AFTER: Final = _MARKS + "].。!?"
_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
_LABEL: Final = re.compile(r"[-+]*|\d{1,2}[.):]*|bridges?\d*:*|and|vanilla", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"((?:[0-9.]{7,15}|\[[0-9A-Fa-f:.]+\]):\d+)\W*")
# A bridge may follow a label or another bridge without a blank. An address in an argument begins
# no bridge, unless it follows a mark.
_JOINED_ADDRESS: Final = re.compile(
    rf"([^=/]*[^=/A-Za-z0-9_.]|.*[,;、|][\"'“”]*)(?P<start>{_ADDRESS.pattern})"
)
_JOINED_NAME: Final = re.compile(
    r"(.*[^A-Za-z0-9_./=])(?P<start>(?:bridge\d*|"
    rf"{'|'.join(sorted(PROGRAMS.keys() | _UNAVAILABLE))}):*)",
    re.IGNORECASE,
)
_TRANSPORT: Final = re.compile(r"(?:.*[^A-Za-z0-9_./=])?([A-Za-z][A-Za-z0-9_]*)")
_ARGUMENT: Final = re.compile(r"[a-z][a-z0-9-]*=\S+", re.IGNORECASE)
_FINGERPRINT: Final = re.compile(r"[$~]?([0-9A-F]{40})", re.IGNORECASE)
_CERTIFICATE: Final = re.compile(r"[A-Za-z0-9+/]{70}(?:==)?")
# A certificate of which a line break may have cut off the end.
_CUT: Final = re.compile(r"cert=[A-Za-z0-9+/]{0,69}")
_CUT_OFF: Final = re.compile(r"[A-Za-z0-9+/]{1,70}(?:==)?")
# What no text without a bridge has: an address, a fingerprint or an argument.
_PART: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f]*:[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*\]|[0-9a-f]{40}"
    r"|[\w-]\.[a-z-]+:\d|\b(?:cert|iat-mode)=",
    re.IGNORECASE,
)
# An option of tor as tor(1) writes it: with several capitals, except for a few.
_OPTION: Final = re.compile(
    r"\s*(?:%include|[+/]?(?:_*[A-Z][a-z0-9]*[A-Z]\w*"
    r"|Address|Log|Nickname|Sandbox|Schedulers|User|(?i:UseBridges|ClientTransportPlugin)))(?:\s|$)"
)
_PLUGIN: Final = re.compile(r"\s*ClientTransportPlugin\s+(\S+)\s", re.IGNORECASE)
_USE: Final = re.compile(r"\s*[+/]?UseBridges\s", re.IGNORECASE)
_USE_NONE: Final = re.compile(r"\s*[+/]?UseBridges\s+\"?0", re.IGNORECASE)


def read_torrc(file: Path) -> str:
    """Return the ``torrc_lines`` of a file. Raises ``OnionError``."""
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise OnionError(
            f"{file} cannot be read: {reason}.", "Use a text file that this user may read."
        ) from error
    return torrc_lines(text, str(file))


def torrc_lines(text: str, name: str) -> str:
    """Return torrc lines in which every bridge line of ``text`` is as tor understands it.

    Other options of tor and comments are kept. Text becomes a comment, unless it has a part of a
    bridge. What the bridges need is added: ``UseBridges`` and the programs of their transports.
    ``name`` is the file's, for messages. Raises ``OnionError``.
    """
    kept: list[str] = []
    bridges: dict[str, Bridge] = {}
    has_text = False
    for number, line in _joined(text):
        try:
            found = list(_bridges(line))
        except ValueError as error:
            raise OnionError(
                f"{name}:{number}: {error}", "Copy the bridge line again, from its beginning."
            ) from error
        bridges |= {str(bridge): bridge for bridge in found}
        if not found and not _is_torrc(line):
            has_text = True
            kept.append(f"# {line.strip()}")
        elif not found:
            kept.append(line)
    if has_text and not bridges and not any(map(_OPTION.match, kept)):
        raise OnionError(
            f"{name} holds neither a bridge nor an option of tor.",
            "Write options as in tor(1), such as UseBridges.",
        )
    own = {each for line in kept if (m := _PLUGIN.match(line)) for each in m[1].split(",")}
    needed = {each.transport for each in bridges.values() if each.transport} - own
    if missing := sorted(needed - PROGRAMS.keys()):
        raise OnionError(
            f"{name}: Debian has no program for the transport {missing[0]}.",
            "Use obfs4 or snowflake bridges, or add a ClientTransportPlugin line for a program "
            "of your own.",
        )
    if bridges and any(map(_USE_NONE.match, kept)):
        raise OnionError(
            f"{name} has bridges, but “UseBridges 0” keeps tor from using them.",
            "Remove that line. To use no bridge, comment out their lines with “#”.",
        )
    if bridges and not any(map(_USE.match, kept)):
        kept.append("UseBridges 1")
    for program in sorted({PROGRAMS[each] for each in needed}):
        names = ",".join(sorted(each for each in needed if PROGRAMS[each] == program))
        kept.append(f"ClientTransportPlugin {names} exec {program}")
    return "".join(f"{line}\n" for line in (*kept, *bridges))


@dataclass(frozen=True, slots=True)
class Bridge:
    """One bridge; ``transport`` is empty if it speaks plain Tor."""

    transport: str
    address: str
    fingerprint: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        words = ("Bridge", self.transport, self.address, self.fingerprint, *self.arguments)
        return " ".join(filter(None, words))

    @classmethod
    def parse(cls, transport: str, address: str, others: list[str]) -> Bridge:
        """Read what follows an address. Raises ``ValueError``, with a sentence."""
        _check_address(address)
        fingerprint = ""
        groups = "".join(others[:10])
        if others and (match := _FINGERPRINT.fullmatch(others[0])):
            fingerprint, others = match[1].upper(), others[1:]
        elif match := _FINGERPRINT.fullmatch(groups):
            fingerprint, others = match[1].upper(), others[10:]
        for word in others:
            if not _ARGUMENT.fullmatch(word):
                raise ValueError(f"“{word}” is neither a fingerprint nor an argument of a bridge.")
            name, _, value = word.partition("=")
            if name == "iat-mode" and value not in {"0", "1", "2"}:
                raise ValueError(f"“{word}” is not “iat-mode=” and 0, 1 or 2.")
        arguments = tuple(_known_argument(transport, word) for word in others)
        if arguments and not transport:
            raise ValueError(f"The bridge {address} has arguments but no transport, such as obfs4.")
        if len(";".join(arguments)) > _MAX_ARGUMENTS:
            raise ValueError(f"The arguments of the bridge {address} are too long for tor.")
        certificates = [each.partition("=")[2] for each in arguments if each.startswith("cert=")]
        if transport == "obfs4" and not any(map(_CERTIFICATE.fullmatch, certificates)):
            raise ValueError(f"The obfs4 bridge {address} has no complete “cert=”.")
        return cls(transport, address, fingerprint, arguments)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number; what follows a line break within it is joined to it."""
    number, whole = 0, ""
    for n, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if (longer := _continued(whole, line)) is not None:
            whole = longer
            continue
        if whole:
            yield number, whole
        number, whole = n, line.rstrip()
    if whole:
        yield number, whole


def _continued(whole: str, line: str) -> str | None:
    """Return both lines as one if the second continues an option or a bridge of the first."""
    if _is_torrc(whole):
        return f"{whole}\n{line.rstrip()}" if whole.endswith("\\") else None
    before, words = _words(whole), _words(line)
    if not before or not words:
        return None
    if _ADDRESS.fullmatch(words[0]):
        return f"{whole} {line}" if _known_transport(before[-1]) else None
    if not any(map(_ADDRESS.fullmatch, before)):
        return None
    cut, cut_off = before[-1], words[0]
    is_cut = _CUT.fullmatch(cut) and _CUT_OFF.fullmatch(cut_off)
    if is_cut or (len(cut) < 40 and _FINGERPRINT.fullmatch(cut + cut_off)):
        before[-1], words = cut + cut_off, words[1:]
    more = [word for word in words if not _LABEL.fullmatch(word)]
    if (words and not more) or not all(
        _ARGUMENT.fullmatch(word) or _FINGERPRINT.fullmatch(word) for word in more
    ):
        return None
    return " ".join((*before, *more))


def _words(line: str) -> list[str]:
    """Return the words of a line, without what programs add to them and without a comment."""
    folded = unicodedata.normalize("NFKC", line).translate(_DASHES)
    visible = "".join(each for each in folded if unicodedata.category(each) != "Cf")
    plain = list(map(_without_marks, visible.partition(" #")[0].split()))
    parts = (_split(word, after) for word, after in zip(plain, [*plain, ""][1:], strict=True))
    return [word for each in parts for word in each if word]


def _without_marks(word: str) -> str:
    return word if "[" in word else word.strip(_MARKS).rstrip(_AFTER)


def _split(word: str, after: str) -> list[str]:
    """Return the words that a word holds, if the beginning of a bridge is joined to others."""
    match = _JOINED_ADDRESS.fullmatch(word)
    if not match and (_ADDRESS.fullmatch(after) or _known_transport(after)):
        match = _JOINED_NAME.fullmatch(word)
    if not match:
        return [word]
    start = match["start"]
    return [*_split(_without_marks(match[1]), start), start]


def _is_torrc(line: str) -> bool:
    """Whether a line is a comment, or an option of tor other than ``Bridge``."""
    return line.lstrip().startswith("#") or _OPTION.match(line) is not None


def _transport(word: str) -> str:
    """Return the name with which a word ends, which may be a transport."""
    match = _TRANSPORT.fullmatch(word.rstrip(":"))
    return match[1].lower() if match else ""


def _known_transport(word: str) -> str:
    name = _transport(word)
    return name if name in PROGRAMS.keys() | _UNAVAILABLE else ""


def _bridges(line: str) -> Iterator[Bridge]:
    """Yield each bridge in a line. Raises ``ValueError`` for what may be a part of one."""
    words = _words(line)
    starts = [at for at, word in enumerate(words) if _ADDRESS.fullmatch(word)]
    transports = [_known_transport(words[at - 1]) if at else "" for at in starts]
    # The name of a person or a program may look like an option.
    if line.lstrip().startswith("#") or (_is_torrc(line) and not any(transports)):
        return
    first = starts[0] if starts else len(words)
    for word in words[:first]:
        if _PART.search(word):
            raise ValueError(f"“{word[:60]}” is not the IP address and port of a bridge.")
    before = [word for word in words[:first] if not _LABEL.fullmatch(word)]
    if starts and len(before) == 1 and not before[0].endswith(":"):
        transports[0] = _transport(before[0])  # perhaps one that we do not know
    ends = [*starts[1:], len(words)][: len(starts)]
    for at, end, transport in zip(starts, ends, transports, strict=True):
        others = words[at + 1 : end]
        while (
            end < len(words)
            and others
            and (_LABEL.fullmatch(others[-1]) or _known_transport(others[-1]))
        ):
            others.pop()  # it belongs to the next bridge
        match = _ADDRESS.fullmatch(words[at])
        yield Bridge.parse(transport, match[1] if match else "", others)


def _check_address(word: str) -> None:
    host, _, port = word.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        valid = 1 <= int(port) <= 65535
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"“{word}” is not the IP address and port of a bridge.")


def _known_argument(transport: str, word: str) -> str:
    # Debian 12's snowflake client takes one front; newer ones accept it, too.
    name, _, value = word.partition("=")
    if transport == "snowflake" and name == "fronts":
        return f"front={value.partition(',')[0]}"
    return word
