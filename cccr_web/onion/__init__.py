"""The onion service: its key, a tor to publish it on, and the keeper that keeps it up.

The only room that imports stem. Specifications: tor's control-spec and rend-spec-v3.
"""

from cccr_web.onion.control import USUAL, ControlAddress, Link, connect
from cccr_web.onion.events import (
    Bootstrapping,
    KeeperEvent,
    Lost,
    Published,
    Publishing,
    TakenDown,
    Trouble,
)
from cccr_web.onion.keeper import ForeignTor, Keeper, Tor
from cccr_web.onion.key import OnionKey, load_key, load_or_make, new_key
from cccr_web.onion.lookup import look_up
from cccr_web.onion.process import OwnTor
from cccr_web.onion.service import Limits, Publication, Service, listed, publish, withdraw
from cccr_web.onion.status import Bootstrap, Descriptor, Status

__all__ = [
    "USUAL",
    "Bootstrap",
    "Bootstrapping",
    "ControlAddress",
    "Descriptor",
    "ForeignTor",
    "Keeper",
    "KeeperEvent",
    "Limits",
    "Link",
    "Lost",
    "OnionKey",
    "OwnTor",
    "Publication",
    "Published",
    "Publishing",
    "Service",
    "Status",
    "TakenDown",
    "Tor",
    "Trouble",
    "connect",
    "listed",
    "load_key",
    "load_or_make",
    "look_up",
    "new_key",
    "publish",
    "withdraw",
]
