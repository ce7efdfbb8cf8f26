"""The stage, for the tests of this folder alone."""

from support.deploy.stage import (
    authority,
    bundle,
    clearnet,
    desk,
    fresh,
    hidden,
    network,
    private_tor,
    server,
    tools,
)

__all__ = [
    "authority",
    "bundle",
    "clearnet",
    "desk",
    "fresh",
    "hidden",
    "network",
    "private_tor",
    "server",
    "tools",
]
