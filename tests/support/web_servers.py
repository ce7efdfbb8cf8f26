"""Mirrors on loopback, in Debian's nginx, Apache and Caddy, as the manual sets them up."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from support.documents import Document
from support.nginx import running_nginx
from support.tornet import end, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What Debian enables, and the two modules that the manual adds.
_MODULES = (
    *("mpm_event", "authz_core", "alias", "autoindex", "deflate", "dir", "env", "filter", "mime"),
    *("negotiation", "reqtimeout", "setenvif", "headers", "rewrite"),
)
_WITH_CONF = ("autoindex", "deflate", "dir", "mime", "negotiation", "reqtimeout", "setenvif")
_APACHE = """\
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ServerName localhost
ErrorLog {folder}/log
LogFormat "%h %r" common
CustomLog {folder}/access common
Listen 127.0.0.1:{port}
{user}
{modules}
Include /etc/apache2/conf-available/security.conf
Include /etc/apache2/conf-available/charset.conf
<Directory />
    Options FollowSymLinks
    AllowOverride None
    Require all denied
</Directory>
{site}
"""


# The file of each server's configuration, as the manual writes it.
_FILES = {
    "nginx": "/etc/nginx/sites-enabled/cccr-mirror.conf",
    "apache": "/etc/apache2/sites-enabled/cccr-mirror.conf",
    "caddy": "/etc/caddy/Caddyfile",
}
SERVERS = tuple(_FILES)


@contextlib.contextmanager
def serving(name: str, mirror: Path) -> Iterator[str]:
    """Serve a mirror with the configuration that the manual gives for this server.

    ``mirror`` must be in a folder that every user can read, such as a ``short_folder``.
    """
    folder = mirror.parent / name
    folder.mkdir()
    mirror.parent.chmod(0o755)
    (port,) = free_ports(1)
    site = _site(name, mirror, port)
    start = {"nginx": _nginx, "apache": _apache, "caddy": _caddy}[name]
    with start(folder, port, site):
        yield f"http://127.0.0.1:{port}"


def _site(name: str, mirror: Path, port: int) -> str:
    """Return what the manual's command writes, with this mirror and port."""
    commands = Document("deploy/mirror/README.md").commands
    (command,) = [line for line in commands if f" >{_FILES[name]} " in line]
    made = subprocess.run(
        ["sh", "-c", command.partition(" >")[0]], check=True, capture_output=True, text=True
    )
    local = f"127.0.0.1:{port}"
    changes = {
        "/srv/cccr-mirror": str(mirror),
        "listen [::]:80;": "",
        "listen 80;": f"listen {local};",
        "*:80": local,
    }
    if name == "caddy":  # no certificate for this name
        changes["MIRROR.EXAMPLE {"] = f"http://{local} {{"
    text = made.stdout
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def _nginx(folder: Path, port: int, site: str) -> Iterator[None]:
    del port
    with running_nginx(folder, server="return 404;", http=site):
        yield


@contextlib.contextmanager
def _apache(folder: Path, port: int, site: str) -> Iterator[None]:
    """Run Apache; as root it becomes Debian's user, who must be able to read."""
    modules = [
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES
    ]
    modules += [f"Include /etc/apache2/mods-available/{name}.conf" for name in _WITH_CONF]
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    text = _APACHE.format(
        folder=folder, port=port, user=user, modules="\n".join(modules), site=site
    )
    (folder / "apache.conf").write_text(text)
    # One process, which ends with the test.
    command = [program("apache2"), "-X", "-d", str(folder), "-f", str(folder / "apache.conf")]
    with running_server(command, port, folder):
        yield


@contextlib.contextmanager
def _caddy(folder: Path, port: int, site: str) -> Iterator[None]:
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{site}")
    command = [program("caddy"), "run", "--adapter", "caddyfile"]
    with running_server([*command, "--config", str(folder / "Caddyfile")], port, folder):
        yield


def program(name: str) -> str:
    """Return the path of a program that may be in ``/usr/sbin``."""
    # Only root has /usr/sbin in its PATH.
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None, f"{name} is missing: tests/run.sh installs it"
    return found


@contextlib.contextmanager
def running_server(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """Run a server that listens on a port of 127.0.0.1; ``folder`` is its home."""
    settings = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(port, process, folder / "output")
        yield
    finally:
        end(process)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server accepts connections; fail with its log if it ends."""
    for _ in range(1500):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())
