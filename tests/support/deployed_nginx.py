"""nginx with the configuration that ``deploy.sh`` writes, on loopback, without a booted machine."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support import TOP
from support.hosting import short_folder
from support.nginx import program, running
from support.reverse_proxy import CertificateAuthority
from support.serving import DOMAIN, ONION
from support.signed import organisation_key, put_release
from support.tornet import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cccr_web.release import Release

# Writes the configuration for the release that CURRENT links to.
WRITE = """\
set -euo pipefail
HERE=deploy/server DATA=$1 ETC=$1 COMMAND=$2/cccr-web DOMAIN=$3 ADDRESSES=$4
for file in common settings release peers nginx; do . deploy/server/$file.sh; done
CERTIFICATE=$1 WEB_SERVERS=(clearnet onion)
onion_address() { echo "$ONION"; }
nginx_write "$1/conf"
"""
# Requests that nginx answers itself, by the status of its response; %s is the host.
OWN_ERRORS = {
    400: b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    405: b"TRACE / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
    413: b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\n\r\nnine byte",
    414: b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: %s\r\n\r\n",
    501: b"GET / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: unknown\r\n\r\n",
}


def written(release: Release, addresses: str = "") -> Mapping[str, str]:
    """Return the configuration that deploy.sh writes for a release: file name → text.

    ``addresses`` are those of all servers, as in the settings.
    """
    with short_folder() as folder:
        put_release(release, folder / str(release.metadata.sequence))
        (folder / "current").symlink_to(folder / str(release.metadata.sequence))
        (folder / "public.key").write_text(str(organisation_key().public))
        (folder / "fullchain.pem").touch()
        subprocess.run(
            [
                "bash",
                "-c",
                WRITE,
                "bash",
                str(folder),
                str(Path(sys.executable).parent),
                DOMAIN,
                addresses,
            ],
            check=True,
            cwd=TOP,
            env=os.environ | {"ONION": ONION, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )
        return {file.name: file.read_text() for file in (folder / "conf").iterdir()}


class DeployedNginx:
    """nginx in ``folder``, which must be short: its sockets are there.

    Its upstreams are ``clearnet.sock`` and ``onion.sock`` in ``folder``; it listens on the
    socket ``onion``, and on the ports ``http`` and ``https``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http, self.https = free_ports(2)
        self.onion = folder / "nginx.sock"
        self._authority = CertificateAuthority(folder)
        self._certificate = self._authority.certify(DOMAIN, 60, 90)

    def write(self, conf: Mapping[str, str], *replaced: tuple[str, str]) -> None:
        """Write the configuration ``conf`` with other paths and ports, and with ``replaced``."""
        folder = self.folder / "conf"
        folder.mkdir(exist_ok=True)
        changes = (
            (r"user www-data;", "daemon off; master_process off;"),
            (r"worker_rlimit_nofile \d+;|backlog=\d+", ""),
            (r"worker_connections \d+", "worker_connections 1000"),
            (r"/run/nginx\.pid", f"{self.folder}/pid"),
            (r"/run/cccr-nginx/onion\.sock", str(self.onion)),
            (r"/run/cccr-web/", f"{self.folder}/"),
            (r"/var/cache/nginx/cccr-web", f"{self.folder}/cache"),
            (r"ssl_certificate(_key)? [^;]+;", rf"ssl_certificate\1 {self._certificate};"),
            (r"/var/lib/cccr-web/acme", f"{self.folder}/acme"),
            (r"listen \[::\]:[^;]*;", ""),
            (r"listen 80\b", f"listen 127.0.0.1:{self.http}"),
            (r"listen 443\b", f"listen 127.0.0.1:{self.https}"),
            *((re.escape(old), new) for old, new in replaced),
        )
        for name, text in conf.items():
            changed = text
            for old, new in changes:
                changed = re.sub(old, new, changed)
            (folder / name).write_text(changed)

    @property
    def command(self) -> list[str]:
        """The command that starts it."""
        return [program(), "-c", f"{self.folder}/conf/nginx.conf", "-e", f"{self.folder}/log"]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run it."""
        try:
            with running(self.folder, self.folder / "conf/nginx.conf", self._is_up):
                yield
        finally:
            self.onion.unlink(missing_ok=True)

    def _is_up(self) -> bool:
        with contextlib.suppress(OSError):
            self.connect().close()
            return True
        return False

    def connect(self, listener: str = "clearnet") -> socket.socket:
        """Return a connection to a listener: ``clearnet``, ``http`` or ``onion``."""
        if listener == "onion":
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(10)
            link.connect(str(self.onion))
            return link
        plain = socket.create_connection(
            ("127.0.0.1", self.http if listener == "http" else self.https), 10
        )
        if listener == "http":
            return plain
        context = ssl.create_default_context(cafile=self._authority.file)
        return context.wrap_socket(plain, server_hostname=DOMAIN)
