"""Look at a site from outside: is every byte, at every address, what was signed?

Trusts nothing but the public key. May import ``release`` and of ``serve`` the headers.
"""

from cccr_web.watch.address import Address
from cccr_web.watch.budget import Budget, Limits
from cccr_web.watch.difference import Difference, Kind
from cccr_web.watch.headers import header_differences
from cccr_web.watch.link import Link, Reply, UnreachableError, ask
from cccr_web.watch.report import Report, Seen
from cccr_web.watch.road import Road
from cccr_web.watch.watcher import Watcher

__all__ = [
    "Address",
    "Budget",
    "Difference",
    "Kind",
    "Limits",
    "Link",
    "Reply",
    "Report",
    "Road",
    "Seen",
    "UnreachableError",
    "Watcher",
    "ask",
    "header_differences",
]
