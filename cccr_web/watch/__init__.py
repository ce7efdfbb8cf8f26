"""Check a site from outside: compare every byte and header at every address with the release.

Trusts only the public key. May import ``release``, and the headers from ``serve``.
"""

from cccr_web.watch.address import Address, Route
from cccr_web.watch.client import (
    HttpConnection,
    RequestBudget,
    RequestLimits,
    Response,
    UnreachableError,
)
from cccr_web.watch.differences import Difference, DifferenceKind, header_differences
from cccr_web.watch.memory import Memory, read_sightings
from cccr_web.watch.remote import RemoteFolder
from cccr_web.watch.report import NEW_RELEASE_REMEDY, Report, SiteResult
from cccr_web.watch.site_check import CheckSettings, check_manifests, check_sites

__all__ = [
    "NEW_RELEASE_REMEDY",
    "Address",
    "CheckSettings",
    "Difference",
    "DifferenceKind",
    "HttpConnection",
    "Memory",
    "RemoteFolder",
    "Report",
    "RequestBudget",
    "RequestLimits",
    "Response",
    "Route",
    "SiteResult",
    "UnreachableError",
    "check_manifests",
    "check_sites",
    "header_differences",
    "read_sightings",
]
