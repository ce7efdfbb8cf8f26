"""The onion service: its key, the tor that publishes it, and the manager, which keeps it up.

The only package that imports stem. Specifications: tor's control-spec and rend-spec-v3.
"""

from cccr_web.onion.bridges import read_torrc
from cccr_web.onion.control import (
    ControlAddress,
    ControlConnection,
    connect,
    parse_control_address,
)
from cccr_web.onion.key import (
    OnionKey,
    derive_key,
    load_key,
    load_or_create_key,
    new_key,
    write_key,
)
from cccr_web.onion.managed_tor import ManagedTor, find_tor
from cccr_web.onion.manager import (
    Bootstrapping,
    ExternalTor,
    Failed,
    Lost,
    Manager,
    ManagerEvent,
    Publishing,
    StandingBy,
    Unreachable,
    Withdrawn,
)
from cccr_web.onion.service import Published, Service
from cccr_web.onion.status import Bootstrap, Status, fetch_descriptor

__all__ = [
    "Bootstrap",
    "Bootstrapping",
    "ControlAddress",
    "ControlConnection",
    "ExternalTor",
    "Failed",
    "Lost",
    "ManagedTor",
    "Manager",
    "ManagerEvent",
    "OnionKey",
    "Published",
    "Publishing",
    "Service",
    "StandingBy",
    "Status",
    "Unreachable",
    "Withdrawn",
    "connect",
    "derive_key",
    "fetch_descriptor",
    "find_tor",
    "load_key",
    "load_or_create_key",
    "new_key",
    "parse_control_address",
    "read_torrc",
    "write_key",
]
