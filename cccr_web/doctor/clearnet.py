"""What only the clearnet has: a certificate, and the redirect from HTTP to HTTPS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cccr_web.doctor.model import CheckResult, ok, summarise, wrong
from cccr_web.doctor.probe import Probe
from cccr_web.doctor.responses import UNKNOWN_HOST, policy_differences
from cccr_web.errors import counted
from cccr_web.release import Expiry, Release
from cccr_web.serve import listener_policy
from cccr_web.watch import UnreachableError

# A certificate is wrong with less than a quarter of its lifetime left, or 21 days. certbot 2 renews
# it 30 days before the end; certbot 4 at a third of its lifetime, or at half of a very short one.
_MIN_LEFT: Final = timedelta(days=21)
_MIN_SHARE: Final = 0.25
_RENEW: Final = (
    "Renew it: certbot renew. Find out why its timer did not: systemctl status certbot.timer"
)
# OpenSSL's codes (X509_STORE_CTX_get_error(3)).
_CERTIFICATE_REMEDIES: Final = {
    9: "It is not valid yet, so check the clock of this machine: timedatectl",
    10: _RENEW,
    62: "Get a certificate for this name: write it into DOMAIN and run deploy.sh.",
}
_UNTRUSTED: Final = (
    "Serve the whole chain of a certificate that browsers trust. “--ca” names your own authority."
)
_NGINX: Final = "Check whether nginx runs: systemctl status nginx"
_TARGET: Final = "/a/page.html?a=b"
# Browsers ignore it over HTTP (RFC 6797, section 8.1).
_HSTS: Final = frozenset({"strict-transport-security"})


def check_certificate(probe: Probe) -> Generator[CheckResult, None, bool | None]:
    """Connect as a browser does, and check the certificate and when it expires.

    Returns whether a browser trusts it, or ``None`` if nothing answers.
    """
    host = probe.address.host
    try:
        timeout = probe.budget().timeout
        with contextlib.closing(probe.route.connect(probe.address, timeout)) as connection:
            found = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    except ssl.SSLCertVerificationError as error:
        remedy = _CERTIFICATE_REMEDIES.get(error.verify_code, _UNTRUSTED)
        yield wrong("certificate", f"The certificate of {host}: {error.verify_message}.", remedy)
        return False
    except OSError as error:
        yield wrong(
            "certificate",
            f"No TLS connection to {host}: {error.strerror or error}.",
            _NGINX,
        )
        return None
    begins, ends = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str((found or {})[name])), UTC)
        for name in ("notBefore", "notAfter")
    )
    left, lifetime = ends - datetime.now(UTC), ends - begins
    sentence = (
        f"The certificate of {host} {Expiry(ends)}. "
        f"Its lifetime is {counted(round(lifetime / timedelta(days=1)), 'day')}."
    )
    if left < min(_MIN_LEFT, lifetime * _MIN_SHARE):
        yield wrong("certificate", sentence, _RENEW)
    else:
        yield ok("certificate", sentence)
    return True


def check_redirect(release: Release, probe: Probe) -> Iterator[CheckResult]:
    """Check that port 80, which ``probe`` requests, redirects to HTTPS and to no other name."""
    expected = f"https://{probe.address.host}{_TARGET}"
    try:
        response = probe.request(_TARGET)
    except UnreachableError as error:
        yield wrong("redirect", f"Port 80 does not answer: {error}.", _NGINX)
        return
    problems = []
    if response.status not in {301, 308}:
        problems.append(f"it responds with {response.status}, not 301")
    elif response.header("location") != expected:
        problems.append(f"it redirects to {response.header('location')}, not {expected}")
    # Without HSTS the clearnet's policy is the onion's.
    found = policy_differences(response, listener_policy("onion", release.metadata), _HSTS)
    if found:
        problems.append(summarise(found, 1))
    with contextlib.suppress(UnreachableError):
        location = probe.request("/", host=UNKNOWN_HOST).header("location") or ""
        if UNKNOWN_HOST in location:
            problems.append(f"it redirects requests for {UNKNOWN_HOST} to that host")
    if problems:
        yield wrong(
            "redirect",
            f"Port 80: {summarise(problems)}.",
            "Check nginx's server block for port 80.",
        )
    else:
        host = probe.address.host
        yield ok("redirect", f"Port 80 redirects to https://{host} and keeps path and query.")
