"""Serve a release: Flask, Talisman and waitress with the header policy.

Invariant: nothing here imports ``render``, ``content``, Babel or Markdown; the
server never renders.
"""

from cccr_web.serve.app import bare_headers, create_app, file_headers, root_headers
from cccr_web.serve.decision import ServedSite, file_addresses
from cccr_web.serve.encoding import EncodedBodies, decompress
from cccr_web.serve.hosts import HostMatch, clearnet_hosts
from cccr_web.serve.policy import NO_CACHE, Listener, Policy, listener_policy
from cccr_web.serve.redirects import TYPED_TAGS, redirect_pages, redirect_targets
from cccr_web.serve.reloader import RELOAD, ReloadQueue, serve_source
from cccr_web.serve.sites import AppSwitch, Listeners
from cccr_web.serve.source import Source

__all__ = [
    "NO_CACHE",
    "RELOAD",
    "TYPED_TAGS",
    "AppSwitch",
    "EncodedBodies",
    "HostMatch",
    "Listener",
    "Listeners",
    "Policy",
    "ReloadQueue",
    "ServedSite",
    "Source",
    "bare_headers",
    "clearnet_hosts",
    "create_app",
    "decompress",
    "file_addresses",
    "file_headers",
    "listener_policy",
    "redirect_pages",
    "redirect_targets",
    "root_headers",
    "serve_source",
]
