"""nginx on loopback: a static host for a mirror, or a reverse proxy."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

from support.hosting import wait_until
from support.tornet import end, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# One process, so that no worker drops root and loses access to the test's folder.
CONF = """\
{modules}
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
    access_log off;
    {temporary}
    {http}
    server {{
        listen 127.0.0.1:{port};
        {server}
    }}
}}
"""


HEADERS_MORE = "load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;"


def nginx(
    folder: Path, mirror: Path, *, rules: bool = True
) -> contextlib.AbstractContextManager[str]:
    """Serve ``mirror`` with its header rules, or without; yield the address."""
    include = f"include {mirror}/headers/nginx.conf;" if rules else ""
    return running_nginx(folder, server=f"root {mirror}/site; {include}")


@contextlib.contextmanager
def running_nginx(folder: Path, *, server: str, http: str = "", modules: str = "") -> Iterator[str]:
    """Run nginx with these lines in its server, http and main blocks; yield the address."""
    (port,) = free_ports(1)
    values = {"port": port, "server": server, "http": http, "modules": modules}
    text = CONF.format(folder=folder, temporary=temporary(folder), **values)
    with running(folder, text, lambda: accepts(port)):
        yield f"http://127.0.0.1:{port}"


def temporary(folder: Path) -> str:
    """Return the lines that keep nginx's temporary files in ``folder``: others are root's."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


def program() -> str:
    """Return the path of nginx: only root has ``/usr/sbin`` in its ``PATH``."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None, "Install Debian's package nginx-light."
    return found


@contextlib.contextmanager
def running(folder: Path, conf: str | Path, is_up: Callable[[], bool]) -> Iterator[None]:
    """Run nginx with a configuration, or the file of one; wait until ``is_up``."""
    if isinstance(conf, str):
        (folder / "nginx.conf").write_text(conf, encoding="utf-8")
        conf = folder / "nginx.conf"
    log = folder / "log"
    command = [program(), "-p", str(folder), "-c", str(conf), "-e", str(log)]
    with log.open("ab") as words:
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stderr=words)

    def has_started() -> bool:
        assert process.poll() is None, log.read_text()
        return is_up()

    try:
        wait_until(has_started, 10)
        yield
    finally:
        end(process)


def accepts(port: int) -> bool:
    """Whether a program accepts connections on a port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
