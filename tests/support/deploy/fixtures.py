"""The story's stage: a network, a private Tor network and an authority in it, a desk, a server.

``DEPLOY_SUITE`` names the Debian; without it, bookworm.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.deploy.acme import Authority
from support.deploy.desk import Desk
from support.deploy.looks import onion_of
from support.deploy.machine import TOP, Machine, Network, call
from support.deploy.readers import Clearnet, onion_reader
from support.tornet import Reply, TorNetwork


@pytest.fixture(scope="session")
def fresh() -> Path:
    """A fresh Debian's disk, and its packages."""
    suite = os.environ.get("DEPLOY_SUITE", "bookworm")
    made = subprocess.run(
        [TOP / "tests/deploy/root.sh", suite, TOP / ".cache"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(made.stdout.strip())


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``--offline`` needs, made where there is a package index."""
    file = tmp_path_factory.mktemp("bundle") / "bundle.tar"
    settings = {**os.environ, "XDG_CACHE_HOME": str(TOP / ".cache")}
    call(TOP / "deploy/deploy.sh", "bundle", file, env=settings)
    return file


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What builds our wheel and stem's, as a folder in which pip can find it."""
    folder = tmp_path_factory.mktemp("tools")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    pip += ["--no-deps", "--require-hashes", "--dest", str(folder)]
    call(*pip, "--only-binary", ":all:", "-r", TOP / "deploy/lock/build.txt")
    stem = folder / "stem.txt"
    lines = (TOP / "deploy/lock/server.txt").read_text().split("\nstem==")[1].split("\n    #")[0]
    stem.write_text(f"stem=={lines}\n")
    call(*pip, "--no-build-isolation", "-r", stem)
    return folder


@pytest.fixture(scope="session")
def network(fresh: Path, bundle: Path, tools: Path) -> Iterator[Network]:
    """The machine's network, entered: what tests do from here on, they do in it."""
    assert fresh.exists()
    assert bundle.exists()
    assert tools.exists()
    with Network() as made, made.entered():
        yield made


@pytest.fixture(scope="session")
def private_tor(network: Network) -> Iterator[TorNetwork]:
    """A Tor network that the machine can reach."""
    assert network.machine
    with TorNetwork() as made:
        yield made


@pytest.fixture(scope="session")
def authority(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """An authority that gives certificates."""
    assert network.machine
    with Authority(tmp_path_factory.mktemp("authority")) as made:
        yield made


@pytest.fixture(scope="session")
def desk(
    tmp_path_factory: pytest.TempPathFactory,
    network: Network,
    bundle: Path,
    tools: Path,
    private_tor: TorNetwork,
) -> Desk:
    """The admin's desk."""
    # The machine's tor has no country list to read, and needs none.
    lines = [line for line in private_tor.torrc_lines.splitlines() if "GeoIP" not in line]
    return Desk(tmp_path_factory.mktemp("desk"), network, bundle, tools, "\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def server(fresh: Path, network: Network, authority: Authority, desk: Desk) -> Iterator[Machine]:
    """A server as it was rented: Debian, sshd, the admin's key."""
    with Machine(fresh, network) as machine:
        desk.let_in(machine)
        authority.be_trusted_by(machine)
        yield machine


@pytest.fixture(scope="session")
def clearnet(authority: Authority, server: Machine) -> Clearnet:
    """A reader on the clearnet, who trusts the authority."""
    assert server.pid
    return Clearnet(authority.root())


@pytest.fixture(scope="session")
def hidden(private_tor: TorNetwork, server: Machine) -> Callable[[str], Reply]:
    """A reader of the onion."""
    return onion_reader(private_tor.socks_port, onion_of(server))
