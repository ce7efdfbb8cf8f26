"""What may leave the server: a few users on a few ports, and nothing else."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.deploy.acme import DIRECTORY, NAME
from support.deploy.admin import DOMAIN, AdminMachine
from support.deploy.clients import get_over_http
from support.deploy.machine import ADMIN, SERVER, Machine, Network, entered
from support.hosting import wait_until
from support.tornet import end

if TYPE_CHECKING:
    from pathlib import Path

PORT = 14000  # of the certificate authority
# The admin's machine is all that a server of these tests can reach.
CONNECT = """\
import os, socket, sys
user, group, kind, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
os.setgid(group), os.setuid(user)
with socket.socket(type=getattr(socket, kind)) as link:
    link.settimeout(5)
    link.connect(("192.0.2.1", port))
    if kind == "SOCK_DGRAM":
        link.send(b"?")
    print(link.recv(1).decode())
"""
ALLOWED = [
    ("root", "SOCK_STREAM", 443),
    ("root", "SOCK_STREAM", 80),
    ("root", "SOCK_DGRAM", 53),
    ("_apt", "SOCK_STREAM", 80),
    ("_apt", "SOCK_DGRAM", 53),
    ("systemd-timesync", "SOCK_DGRAM", 123),
    ("_tor-cccr", "SOCK_STREAM", 9001),
]
REJECTED = [
    ("root", "SOCK_STREAM", 9001),
    ("root", "SOCK_DGRAM", 123),
    ("_apt", "SOCK_STREAM", 9001),
    ("_tor-cccr", "SOCK_DGRAM", 123),
    ("www-data", "SOCK_STREAM", 80),
    ("www-data", "SOCK_STREAM", 443),
    ("www-data", "SOCK_DGRAM", 53),
    ("nobody", "SOCK_STREAM", 443),
]


@pytest.fixture
def outside(network: Network) -> Iterator[None]:
    """Programs on the admin's machine that answer on every port of the tests with one byte."""
    with contextlib.ExitStack() as stack, entered(network.admin):
        for port in (80, 443, 9001):
            listener = stack.enter_context(socket.create_server((ADMIN, port)))
            threading.Thread(target=_answer_stream, args=(listener,), daemon=True).start()
            stack.callback(_end, listener)
        for port in (53, 123):
            datagrams = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            datagrams.bind((ADMIN, port))
            threading.Thread(target=_answer_datagram, args=(datagrams,), daemon=True).start()
            stack.callback(_end, datagrams)
        yield


def _end(link: socket.socket) -> None:
    """Wake the thread that waits for it; on datagrams this also fails."""
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)


def _answer_stream(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            with listener.accept()[0] as link:
                link.sendall(b"!")


def _answer_datagram(datagrams: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sender := datagrams.recvfrom(1)[1]:
            datagrams.sendto(b"!", sender)


def leaves(server: Machine, user: str, kind: str, port: int) -> bool:
    """Return whether a process of this user gets an answer from the admin's machine."""
    ids = [server.run("id", option, user).strip() for option in ("--user", "--group")]
    done = server.try_run("python3", "-c", CONNECT, *ids, kind, str(port))
    return done.stdout == "!\n"


@pytest.mark.usefixtures("outside")
def test_only_some_users_reach_some_ports(server: Machine) -> None:
    """tor, apt, DNS, time and certbot may leave; the user of nginx and all others may not."""
    assert [one for one in ALLOWED if not leaves(server, *one)] == []
    assert [one for one in REJECTED if leaves(server, *one)] == []


class _Forward(socketserver.BaseRequestHandler):
    """Passes a connection on to the same port of the server's loopback."""

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.request.getsockname()[1])) as inside:
            back = threading.Thread(target=_copy, args=(inside, self.request))
            back.start()
            _copy(self.request, inside)
            back.join()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


class _Forwarding(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextlib.contextmanager
def forwarded(network: Network, port: int) -> Iterator[None]:
    """On the admin's machine, let a port lead to the same port of the server's loopback."""
    with entered(network.admin):
        forwarding = _Forwarding((ADMIN, port), _Forward)
    with forwarding:
        threading.Thread(target=forwarding.serve_forever).start()
        try:
            yield
        finally:
            forwarding.shutdown()


@contextlib.contextmanager
def at_admins_address(server: Machine, *names: str) -> Iterator[None]:
    """Let these names lead to the admin's machine, as seen from the server."""
    hosts = server.root / "etc/hosts"
    before = hosts.read_text()
    others = [line for line in before.splitlines() if not {*line.split()} & {*names}]
    hosts.write_text("\n".join([*others, f"{ADMIN} {' '.join(names)}", ""]))
    try:
        yield
    finally:
        hosts.write_text(before)


def test_a_certificate_is_renewed(server: Machine, network: Network) -> None:
    """certbot reaches an authority that is on another machine, and nginx gets the certificate."""
    live = server.root / "etc/letsencrypt/live/cccr-web/fullchain.pem"
    before = (live.parent / live.readlink()).read_text()
    with forwarded(network, PORT), at_admins_address(server, NAME):
        server.run("certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew")
    assert (live.parent / live.readlink()).read_text() != before


def answers(host: str) -> bool:
    """Whether a web server answers at port 80."""
    with contextlib.suppress(OSError):
        return get_over_http("/", {}, host).status == 200
    return False


@contextlib.contextmanager
def web_of_a_peer(network: Network, folder: Path) -> Iterator[None]:
    """Serve a folder at port 80 of the admin's address, as another server of the site does."""
    web = [sys.executable, "-m", "http.server", "80", "--bind", ADMIN, "--directory", str(folder)]
    process = subprocess.Popen(
        ["ip", "netns", "exec", network.admin, "setpriv", "--pdeathsig", "KILL", *web],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(ADMIN), 20)
        yield
    finally:
        end(process)


@pytest.fixture
def a_peer_in_the_settings(admin: AdminMachine) -> Iterator[None]:
    """The site has another server, at the admin's address."""
    settings = admin.folder / "deploy/site.env"
    before = settings.read_text()
    settings.write_text(f"{before}ADDRESSES={SERVER} {ADMIN}\n")
    admin.deploy("--offline", admin.bundle)
    yield
    settings.write_text(before)
    admin.deploy("--offline", admin.bundle)


@pytest.mark.usefixtures("a_peer_in_the_settings")
def test_the_authority_may_ask_any_server(server: Machine, network: Network) -> None:
    """certbot on one server gets its certificate although pebble asks another."""
    # Another server's certbot: its files are not in this one's webroot.
    webroot = server.root / "root/peer"
    webroot.mkdir()
    certbot = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--domain", DOMAIN]
    certbot += ["--register-unsafely-without-email", "--server", DIRECTORY, "--webroot"]
    certbot += ["--webroot-path", "/root/peer"]
    for name in ("config", "work", "logs"):
        certbot += [f"--{name}-dir", f"/root/{name}"]
    alone = server.try_run(*certbot, "--cert-name", "alone")
    assert "Some challenges have failed" in alone.stderr
    with web_of_a_peer(network, webroot):
        server.run(*certbot, "--cert-name", "peer")
    assert (server.root / "root/config/live/peer/fullchain.pem").exists()


def test_apt_installs_over_http(server: Machine, network: Network) -> None:
    """apt fetches its lists and a package from another machine."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=server.apt["apt"])
    with entered(network.admin):
        web = http.server.ThreadingHTTPServer((ADMIN, 80), handler)
    with web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        (server.root / "root/http.list").write_text(f"deb [trusted=yes] http://{ADMIN}/ ./\n")
        folder = "/root/apt-over-http"
        server.run("mkdir", "--parents", f"{folder}/partial")
        options = [
            "-o",
            "Dir::Etc::SourceList=/root/http.list",
            "-o",
            f"Dir::State::Lists={folder}",
        ]
        server.run("chown", "--recursive", "_apt", folder)
        server.run("apt-get", *options, "-o", "APT::Update::Error-Mode=any", "update")
        server.run("apt-get", "clean")
        server.run("apt-get", *options, "--yes", "install", "--reinstall", "python3-venv")
        web.shutdown()


def test_a_mirror_is_fetched(server: Machine, network: Network) -> None:
    """``mirror fetch`` gets a release over https from another machine."""
    with forwarded(network, 443), at_admins_address(server, "cccr.example"):
        fetch = ["/opt/cccr-web/current/bin/cccr-web", "mirror", "fetch", "https://cccr.example"]
        fetch += ["--to", "/root/mirror", "--public-key", "/etc/cccr-web/public.key"]
        server.run(*fetch)
    assert (server.root / "root/mirror/site/SHA256SUMS").exists()
