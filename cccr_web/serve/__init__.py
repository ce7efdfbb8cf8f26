"""Hand out a release: Flask, Talisman and waitress with the header policy.

Invariant: nothing here imports ``render``, ``content``, Babel or Markdown; the
server never renders.
"""

from cccr_web.serve.app import bare_headers, create_app
from cccr_web.serve.caretaker import RELOAD, Bell, Caretaker
from cccr_web.serve.headers import file_addresses, file_headers, front_headers
from cccr_web.serve.hosts import Hosts, clearnet_hosts, onion_hosts
from cccr_web.serve.policy import NO_CACHE, Policy, clearnet_policy, onion_policy
from cccr_web.serve.prepared import Prepared, prepare
from cccr_web.serve.ready import Front
from cccr_web.serve.server import Site, serve
from cccr_web.serve.sockets import listening
from cccr_web.serve.source import Source
from cccr_web.serve.switch import Switch

__all__ = [
    "NO_CACHE",
    "RELOAD",
    "Bell",
    "Caretaker",
    "Front",
    "Hosts",
    "Policy",
    "Prepared",
    "Site",
    "Source",
    "Switch",
    "bare_headers",
    "clearnet_hosts",
    "clearnet_policy",
    "create_app",
    "file_addresses",
    "file_headers",
    "front_headers",
    "listening",
    "onion_hosts",
    "onion_policy",
    "prepare",
    "serve",
]
