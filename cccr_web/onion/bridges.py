"""Bridge lines as people receive them, and the torrc lines that they become (tor(1), ``Bridge``).

Messengers, mail programs and QR codes add bullets, quotation marks, list brackets, unusual blanks
and line breaks, and leave out the word Bridge.
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

_MARKS: Final = " \t,;\"'`“”‘’„«»[](){}<>|"
_BULLETS: Final = re.compile(r"\A(?:[-*•–—]\s*|\d{1,2}[.)]\s+)+")
_BRIDGE: Final = re.compile(r"bridge:?\s+", re.IGNORECASE)
# Two quoted lines on one, as in the list that a QR code holds.
_NEXT_IN_LIST: Final = re.compile(r"[\"'],\s*[\"']")
_TRANSPORT: Final = re.compile(r"[a-z][a-z0-9_]*", re.IGNORECASE)
_ARGUMENT: Final = re.compile(r"[a-z][a-z0-9-]*=\S+", re.IGNORECASE)
_FINGERPRINT: Final = re.compile(r"[$~]?([0-9A-F]{40})", re.IGNORECASE)
_CERTIFICATE: Final = re.compile(r"[A-Za-z0-9+/]{70}(?:==)?")
_PLUGIN: Final = re.compile(r"\s*ClientTransportPlugin\s+(\S+)\s", re.IGNORECASE)
_USE: Final = re.compile(r"\s*UseBridges\s", re.IGNORECASE)


def torrc_lines(text: str, name: str) -> str:
    """Return torrc lines in which every bridge line of ``text`` is as tor understands it.

    Other lines are kept. What the bridges need is added: ``UseBridges`` and the programs of their
    transports. ``name`` is the file's, for messages. Raises ``OnionError``.
    """
    kept: list[str] = []
    bridges: dict[str, Bridge] = {}
    for number, line in _joined(text):
        words = _bridge_words(line)
        if words is None:
            kept.append(line)
            continue
        try:
            bridge = Bridge.parse(words)
        except ValueError as error:
            raise OnionError(
                f"{name}:{number}: {error}", "Copy the bridge line again, from its beginning."
            ) from error
        bridges[str(bridge)] = bridge
    own = {each for line in kept if (m := _PLUGIN.match(line)) for each in m[1].split(",")}
    needed = {each.transport for each in bridges.values() if each.transport} - own
    if missing := sorted(needed - PROGRAMS.keys()):
        raise OnionError(
            f"{name}: Debian has no program for the transport {missing[0]}.",
            "Use obfs4 or snowflake bridges, or add a ClientTransportPlugin line for a program "
            "of your own.",
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
    def parse(cls, words: list[str]) -> Bridge:
        """Read the words of a bridge line. Raises ``ValueError``, with a sentence."""
        transport = "" if _is_address(words[0]) else words[0].lower()
        address, *others = words[bool(transport) :] or [""]
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
    """Yield each line with its number; an argument on a separate line joins its bridge."""
    number, whole = 0, ""
    for n, line in enumerate(_NEXT_IN_LIST.sub("\n", text.removeprefix("\ufeff")).splitlines(), 1):
        words = _plain(line).split()
        continues = words and all(
            _ARGUMENT.fullmatch(w) or _FINGERPRINT.fullmatch(w) for w in words
        )
        if continues and _bridge_words(whole):
            whole = f"{_plain(whole)} {' '.join(words)}"
            continue
        if whole:
            yield number, whole
        number, whole = n, line.rstrip()
    if whole:
        yield number, whole


def _plain(line: str) -> str:
    """Return a line without what programs add to it."""
    folded = unicodedata.normalize("NFKC", line)
    visible = "".join(each for each in folded if unicodedata.category(each) != "Cf")
    return _BULLETS.sub("", visible.strip(_MARKS), count=1).strip(_MARKS)


def _bridge_words(line: str) -> list[str] | None:
    """Return the words after ``Bridge`` if this is a bridge line; ``None`` for any other line."""
    if line.lstrip().startswith("#"):
        return None
    plain = _plain(line)
    words = _BRIDGE.sub("", plain, count=1).split()
    if not words:
        return None
    named = len(words) > 1 and _TRANSPORT.fullmatch(words[0]) and _is_address(words[1])
    known = words[0].lower() in PROGRAMS.keys() | _UNAVAILABLE
    if _BRIDGE.match(plain) or _is_address(words[0]) or named or known:
        return words
    return None


def _is_address(word: str) -> bool:
    return re.fullmatch(r"[0-9.]{7,15}:\d+|\[[0-9A-Fa-f:.]+\]:\d+", word) is not None


def _check_address(word: str) -> None:
    host, _, port = word.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        valid = _is_address(word) and 1 <= int(port) <= 65535
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"“{word}” is not the IP address and port of a bridge.")


def _known_argument(transport: str, word: str) -> str:
    # Debian 12's client of snowflake knows one front; newer ones accept it, too.
    name, _, value = word.partition("=")
    if transport == "snowflake" and name == "fronts":
        return f"front={value.partition(',')[0]}"
    return word
