"""Fill nginx’s cache: request every URL of a release in each coding.

warm.py RELEASE unix:SOCKET HOST CODING…      through the onion’s socket
warm.py RELEASE https HOST CODING…            over https, as on the clearnet
"""

import http.client
import pathlib
import socket
import ssl
import sys

from cccr_web.release import load
from cccr_web.serve import file_addresses

release, route, host, *codings = sys.argv[1:]


def connect() -> http.client.HTTPConnection:
    """Connect to nginx on this machine."""
    if route.startswith("unix:"):
        plain = http.client.HTTPConnection(host, timeout=10)
        plain.sock = socket.socket(socket.AF_UNIX)
        plain.sock.settimeout(10)
        plain.sock.connect(route.removeprefix("unix:"))
        return plain
    # The connection stays on this machine, so the certificate does not matter.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    secure = http.client.HTTPSConnection(host, timeout=10, context=context)
    secure.sock = context.wrap_socket(
        socket.create_connection(("127.0.0.1", 443), 10), server_hostname=host
    )
    return secure


paths = sorted(file_addresses(load(pathlib.Path(release).resolve())))
requests = [(path, coding) for path in paths for coding in codings]
failed = 0
connection = connect()
for path, coding in requests:
    try:
        connection.request("GET", path, headers={"Host": host, "Accept-Encoding": coding})
        response = connection.getresponse()
        response.read()
        failed += response.status not in (200, 301)
        if not connection.sock:
            connection = connect()
    except (OSError, http.client.HTTPException):
        failed += 1
        connection = connect()
sys.exit(f"{failed} of {len(requests)} requests failed" if failed else 0)
