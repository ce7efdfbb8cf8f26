"""The certificate of the domain: whose it is, who vouches for it, how long it is good."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from cccr_web.doctor.result import Result, ok, wrong
from cccr_web.doctor.way import Way

NAME: Final = "certificate"
DAYS: Final = 21
_WAY_OUT: Final = (
    "Renew it: certbot renew. See why its timer did not: systemctl status certbot.timer"
)


def check_certificate(way: Way) -> Iterator[Result]:
    """Connect as a browser does, and judge the certificate that is shown."""
    try:
        with contextlib.closing(way.road.connect(way.address, way.budget().patience)) as link:
            shown = link.getpeercert() if isinstance(link, ssl.SSLSocket) else None
    except ssl.SSLCertVerificationError as error:
        yield wrong(
            NAME, f"The certificate of {way.address.host}: {error.verify_message}.", _WAY_OUT
        )
        return
    except OSError as error:
        yield wrong(
            NAME,
            f"No connection over TLS to {way.address.host}: {error.strerror or error}.",
            "See whether nginx runs: systemctl status nginx",
        )
        return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str((shown or {})["notAfter"])), UTC)
    days = (ends - datetime.now(UTC)).days
    said = f"The certificate of {way.address.host} ends on {ends:%Y-%m-%d}, in {days} days."
    yield wrong(NAME, said, _WAY_OUT) if days < DAYS else ok(NAME, said)
