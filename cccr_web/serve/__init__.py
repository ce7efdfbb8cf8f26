"""Serve a release: Flask, Talisman and waitress with the header policy.

Invariant: nothing here imports ``render``, ``content``, Babel or Markdown; the
server never renders.
"""

from cccr_web.serve.app import (
    bare_headers,
    create_app,
    file_addresses,
    file_headers,
    root_headers,
)
from cccr_web.serve.encoding import decompress
from cccr_web.serve.hosts import Hosts, clearnet_hosts, onion_hosts
from cccr_web.serve.policy import (
    NO_CACHE,
    Listener,
    Policy,
    clearnet_policy,
    listener_policy,
    onion_policy,
)
from cccr_web.serve.prepared import ResponseCache, prepare
from cccr_web.serve.redirects import redirect_pages, redirect_targets
from cccr_web.serve.reloader import RELOAD, Reloader, ReloadQueue, serve_source
from cccr_web.serve.server import serve
from cccr_web.serve.sites import AppSwitch, Listeners
from cccr_web.serve.source import Source

__all__ = [
    "NO_CACHE",
    "RELOAD",
    "AppSwitch",
    "Hosts",
    "Listener",
    "Listeners",
    "Policy",
    "ReloadQueue",
    "Reloader",
    "ResponseCache",
    "Source",
    "bare_headers",
    "clearnet_hosts",
    "clearnet_policy",
    "create_app",
    "decompress",
    "file_addresses",
    "file_headers",
    "listener_policy",
    "onion_hosts",
    "onion_policy",
    "prepare",
    "redirect_pages",
    "redirect_targets",
    "root_headers",
    "serve",
    "serve_source",
]
