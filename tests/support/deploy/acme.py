"""A certificate authority for tests: Debian's pebble and its name server."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Self

from support.deploy.machine import call
from support.tornet import end

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.machine import Machine

# What servers call it.
NAME = "acme.example"
DIRECTORY = "https://localhost:14000/dir"
_OPENSSL = ("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "rsa:2048")


class AcmeAuthority:
    """Issues certificates for any name; all names resolve to 127.0.0.1.

    ``trust`` is the certificate of its own https port.
    """

    def __init__(self, folder: Path) -> None:
        self.trust = folder / "pebble.crt"
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        key = self._folder / "pebble.key"
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:" + NAME)
        call(*_OPENSSL, *subject, "-keyout", key, "-out", self.trust)
        config = self._folder / "pebble.json"
        settings = {
            "listenAddress": "127.0.0.1:14000",
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": str(self.trust),
            "privateKey": str(key),
            "httpPort": 80,
            "tlsPort": 443,
        }
        config.write_text(json.dumps({"pebble": settings}))
        names = ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
        names += ["-dns01", "127.0.0.1:8053", "-management", "127.0.0.1:8055"]
        for other in ("-http01", "-https01", "-tlsalpn01"):
            names += [other, ""]
        self._start(names)
        self._start(["pebble", "-config", str(config), "-dnsserver", "127.0.0.1:8053"])
        self._await()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            end(process)

    def _start(self, command: list[str]) -> None:
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        with (self._folder / command[0]).open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                )
            )

    def _await(self) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                self.fetch(DIRECTORY)
                return
            time.sleep(0.05)
        raise AssertionError((self._folder / "pebble").read_text())

    def fetch(self, url: str) -> bytes:
        """Fetch a URL of the authority."""
        context = ssl.create_default_context(cafile=str(self.trust))
        with urllib.request.urlopen(url, timeout=5, context=context) as reply:
            body: bytes = reply.read()
        return body

    def root(self) -> str:
        """Return the root certificate that clients must trust, in PEM."""
        return self.fetch("https://localhost:15000/roots/0").decode("ascii")

    def install_root_on(self, machine: Machine) -> None:
        """Let a server trust this authority, as every Debian trusts Let's Encrypt."""
        folder = machine.root / "usr/local/share/ca-certificates"
        (folder / "pebble.crt").write_bytes(self.trust.read_bytes())
        (folder / "pebble-root.crt").write_text(self.root())
        machine.run("update-ca-certificates")
        with (machine.root / "etc/hosts").open("a") as hosts:
            hosts.write(f"127.0.0.1 {NAME}\n")
