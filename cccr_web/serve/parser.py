"""Parse requests with waitress's parser, and reject ambiguous ones."""

from __future__ import annotations

import re

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error, RequestHeaderFieldsTooLarge

_MAX_HEADERS = 100

# origin-form or absolute-form (RFC 9112, section 3.2); neither has a fragment.
_LINE = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Z-]+ "
    rb"(?:(?P<scheme>https?)://(?P<authority>[^/?# ]*))?(?P<rest>[/?](?:[!\"$-~])*|)"
    rb" HTTP/(?P<version>[0-9]\.[0-9])",
    re.IGNORECASE,
)
_HOST_LINE = re.compile(rb"\r\nhost[ \t]*:", re.IGNORECASE)


class StrictRequestParser(HTTPRequestParser):  # type: ignore[misc]  # it has no types
    """Parses a request that every proxy in front of the server parses in the same way.

    waitress accepts requests that other servers parse differently, which is how requests
    are smuggled past a proxy (RFC 9112, section 11.2). Those get 400 or 505 here.
    """

    path: str

    def received(self, data: bytes) -> int:
        """Parse bytes, and return how many of them belong to this request."""
        consumed: int = super().received(data)
        # Bodies are rejected at once, so “100 Continue” is never sent. waitress would never
        # answer a request that expects it and has no body (RFC 9110, section 10.1.1).
        self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Parse a complete head. Raises ``ParsingError`` for 400."""
        line = _LINE.fullmatch(header_plus.partition(b"\r\n")[0])
        if line is None or not (line["authority"] is not None or line["rest"].startswith(b"/")):
            raise ParsingError("no request line")
        # Line folding (RFC 9112, section 5.2).
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("folded header")
        version = line["version"]
        if version not in {b"1.0", b"1.1"}:
            self.error = Error("")
            self.error.code, self.error.reason = 505, "HTTP Version Not Supported"
            return
        # Before they are parsed: a head has room for thousands.
        if header_plus.count(b"\r\n") > _MAX_HEADERS + 2:
            self.error = RequestHeaderFieldsTooLarge("")
            return
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            # urllib raises ValueError for “http://[”, which waitress does not expect.
            raise ParsingError("no address") from error
        hosts = len(_HOST_LINE.findall(header_plus))
        # Section 3.2: none in HTTP/1.1, or more than one.
        if hosts > 1 or (hosts == 0 and version == b"1.1"):
            raise ParsingError("not one Host")
        # waitress has removed the coding of an HTTP/1.1 request from the headers (section 6.1).
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and self._has_length):
            raise ParsingError("two lengths, or a transfer coding in HTTP/1.0")
        if line["authority"] is not None:
            # Section 3.2.2: the authority replaces the Host header.
            self.headers["HOST"] = line["authority"].decode("ascii", "replace")
        # Not decoded, so that each page has one address: ours need no “%”. RFC 9110, section
        # 4.2.3: an empty path is “/”.
        self.path = line["rest"].partition(b"?")[0].decode("ascii") or "/"

    @property
    def _has_length(self) -> bool:
        return "CONTENT_LENGTH" in self.headers
