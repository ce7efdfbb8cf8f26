"""nginx on loopback: a static host for a mirror, or a reverse proxy."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from support.tornet import end, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    client_body_temp_path {folder}/1;
    proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4;
    scgi_temp_path {folder}/5;
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
    conf = folder / "nginx.conf"
    conf.write_text(
        CONF.format(folder=folder, port=port, server=server, http=http, modules=modules)
    )
    # Only root has /usr/sbin in its PATH.
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None
    command = ["setpriv", "--pdeathsig", "KILL", program, "-p", str(folder), "-c", str(conf)]
    process = subprocess.Popen([*command, "-e", str(folder / "log")])
    try:
        _await(port, process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(500):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())
