"""Fixtures of the deployment tests: networks, a certificate authority, an admin and a server.

``DEPLOY_SUITE`` names the Debian release; the default is bookworm.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import TOP
from support.deploy.acme import AcmeAuthority
from support.deploy.admin import AdminMachine
from support.deploy.clients import ClearnetClient, Drips, OnionReader
from support.deploy.inspection import onion_address
from support.deploy.machine import Machine, Network, call, entered, interrupt_on_sigterm
from support.tornet import TorNetwork

CACHE = TOP / ".cache"
BUNDLED_MACHINES = {"aarch64", "x86_64"}  # as in deploy/server/wheels.sh


def pytest_configure() -> None:
    """Stop the servers even if the tests are ended."""
    interrupt_on_sigterm()


@dataclass(frozen=True, slots=True)
class Downloads:
    """What the tests download, prepared in the background while the networks start."""

    debian: Future[Path]
    bundle: Future[Path]
    tools: Future[Path]
    next_debian: Future[Path]


@pytest.fixture(scope="session")
def downloads(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Downloads]:
    """Start all downloads. Their threads must start before the tests enter their own network."""
    needed = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    with ThreadPoolExecutor(4) as pool:
        debian = pool.submit(_debian)
        next_debian = Future[Path]()
        if "next_debian" in needed:
            next_debian = pool.submit(lambda: _next_debian(debian.result()))
        yield Downloads(
            debian,
            pool.submit(_bundle),
            pool.submit(_tools, tmp_path_factory.mktemp("tools")),
            next_debian,
        )


def _debian() -> Path:
    """Return the folder with a fresh Debian's root and its packages."""
    suite = os.environ.get("DEPLOY_SUITE", "bookworm")
    made = subprocess.run(
        [TOP / "tests/deploy/root.sh", suite, CACHE], check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(made.stdout.strip())


def _next_debian(fresh: Path) -> Path:
    """Return a repository of the packages that upgrade a Debian 12."""
    script = TOP / "tests/deploy/next.sh"
    return Path(call(script, fresh).stdout.strip())


def _bundle() -> Path:
    """Return what ``--offline`` needs, built again only if the wheels changed.

    The wheels of other machines are left out, as each of many installations would copy them.
    """
    script = TOP / "deploy/server/wheels.sh"
    state = call("bash", "-c", '. "$1" && wheels_state "$2"', "bash", script, TOP).stdout.strip()
    state += hashlib.sha256(script.read_bytes()).hexdigest()[:8]
    bundle = CACHE / f"deploy-bundle-{state}-{platform.machine()}.tar"
    if not bundle.exists():
        for old in CACHE.glob("deploy-bundle-*"):
            old.unlink()
        whole, partial = bundle.with_suffix(".whole"), bundle.with_suffix(".partial")
        settings = {**os.environ, "XDG_CACHE_HOME": str(CACHE)}
        call(TOP / "deploy/deploy.sh", "bundle", whole, env=settings)
        others = tuple(f"_{name}.whl" for name in BUNDLED_MACHINES - {platform.machine()})
        with tarfile.open(whole) as every, tarfile.open(partial, "w") as own:
            for member in every:
                if not member.name.endswith(others):
                    own.addfile(member, every.extractfile(member))
        whole.unlink()
        partial.rename(bundle)
    return bundle


def _tools(folder: Path) -> Path:
    """Download what builds our wheel and stem's into a folder that pip can use as an index."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    pip += ["--no-deps", "--require-hashes", "--dest", str(folder)]
    call(*pip, "--only-binary", ":all:", "-r", TOP / "deploy/lock/build.txt")
    stem = folder / "stem.txt"
    lines = (TOP / "deploy/lock/server.txt").read_text().split("\nstem==")[1].split("\n    #")[0]
    stem.write_text(f"stem=={lines}\n")
    call(*pip, "--no-build-isolation", "-r", stem)
    return folder


@pytest.fixture(scope="session")
def network(downloads: Downloads) -> Iterator[Network]:
    """The server's network namespace. From here on the test process is inside it."""
    assert downloads.debian is not downloads.bundle
    with Network() as made, entered(made.machine):
        yield made


@pytest.fixture(scope="session")
def booting(network: Network, downloads: Downloads) -> Iterator[Future[Machine]]:
    """The server, which boots while the private Tor network starts."""
    # The thread lives as long as the machine: the kernel ends a child with the thread that made it.
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as stack:
        yield pool.submit(lambda: stack.enter_context(Machine(downloads.debian.result(), network)))


@pytest.fixture(scope="session")
def private_tor(network: Network, booting: Future[Machine]) -> Iterator[TorNetwork]:
    """A private Tor network that the server can reach."""
    assert network.machine
    assert not booting.cancelled()
    with TorNetwork() as made:
        yield made


@pytest.fixture(scope="session")
def authority(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AcmeAuthority]:
    """A certificate authority."""
    assert network.machine
    with AcmeAuthority(tmp_path_factory.mktemp("authority")) as made:
        yield made


@pytest.fixture(scope="session")
def admin(
    tmp_path_factory: pytest.TempPathFactory,
    network: Network,
    private_tor: TorNetwork,
    downloads: Downloads,
) -> AdminMachine:
    """The admin's machine."""
    # The server's tor has no country list to read, and needs none.
    lines = [line for line in private_tor.torrc_lines.splitlines() if "GeoIP" not in line]
    return AdminMachine(
        tmp_path_factory.mktemp("admin"),
        network,
        downloads.bundle.result(),
        downloads.tools.result(),
        "\n".join(lines) + "\n",
    )


@pytest.fixture(scope="session")
def debian(downloads: Downloads) -> Path:
    """The folder with a fresh Debian's root and its packages."""
    return downloads.debian.result()


@pytest.fixture(scope="session")
def installed_debian(debian: Path) -> Path:
    """The same of a Debian that has the packages which ``deploy.sh`` installs."""
    return debian / "installed"


@pytest.fixture(scope="session")
def next_debian(downloads: Downloads) -> Path:
    """A repository of the packages that upgrade a Debian 12 to 13."""
    return downloads.next_debian.result()


@pytest.fixture(scope="session")
def server(booting: Future[Machine], authority: AcmeAuthority, admin: AdminMachine) -> Machine:
    """A freshly rented server: Debian, sshd and the admin's key."""
    machine = booting.result()
    admin.authorize(machine)
    authority.install_root_on(machine)
    return machine


@pytest.fixture(scope="session")
def clearnet(authority: AcmeAuthority, server: Machine) -> ClearnetClient:
    """A client on the clearnet that trusts the authority."""
    assert server.pid
    return ClearnetClient(authority.root())


@pytest.fixture(scope="session")
def drips(clearnet: ClearnetClient) -> Drips:
    """Clients that send their requests byte by byte, in the background of other tests."""
    return Drips(clearnet)


@pytest.fixture(scope="session")
def hidden(private_tor: TorNetwork, server: Machine) -> OnionReader:
    """A reader of the onion."""
    return OnionReader(private_tor, onion_address(server))
