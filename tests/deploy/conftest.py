"""Make the fixtures of the deployment tests available to this folder only."""

from support.deploy.fixtures import (
    admin,
    authority,
    booting,
    clearnet,
    debian,
    downloads,
    drips,
    hidden,
    installed_debian,
    network,
    next_debian,
    private_tor,
    pytest_configure,
    server,
)

__all__ = [
    "admin",
    "authority",
    "booting",
    "clearnet",
    "debian",
    "downloads",
    "drips",
    "hidden",
    "installed_debian",
    "network",
    "next_debian",
    "private_tor",
    "pytest_configure",
    "server",
]
