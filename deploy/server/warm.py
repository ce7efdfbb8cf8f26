"""Ask nginx for every address of a release, in each coding, so that its cache holds them.

warm.py RELEASE unix:SOCKET HOST CODING…      the onion’s road
warm.py RELEASE https HOST CODING…            the clearnet’s
"""

import http.client
import pathlib
import socket
import ssl
import sys

release, road, host, *codings = sys.argv[1:]


def connect() -> http.client.HTTPConnection:
    """Connect to nginx on this machine."""
    if road.startswith("unix:"):
        plain = http.client.HTTPConnection(host, timeout=10)
        plain.sock = socket.socket(socket.AF_UNIX)
        plain.sock.settimeout(10)
        plain.sock.connect(road.removeprefix("unix:"))
        return plain
    # Only our own cache is asked, on this machine: whose certificate it is does not matter.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    secure = http.client.HTTPSConnection(host, timeout=10, context=context)
    secure.sock = context.wrap_socket(
        socket.create_connection(("127.0.0.1", 443), 10), server_hostname=host
    )
    return secure


addresses = set()
for line in pathlib.Path(release, "SHA256SUMS").read_text("utf-8").splitlines():
    path = line.split("  ", 1)[1]
    addresses.add("/" + path)
    if path.endswith("/index.html"):
        addresses.add("/" + path.removesuffix("index.html"))
addresses |= {
    f"/{file.name}" for file in pathlib.Path(release).glob("SHA256SUMS*") if file.is_file()
}

asked = failed = 0
connection = connect()
for address in sorted(addresses):
    for coding in codings:
        asked += 1
        try:
            connection.request("GET", address, headers={"Host": host, "Accept-Encoding": coding})
            reply = connection.getresponse()
            reply.read()
            failed += reply.status not in (200, 301)
            if not connection.sock:
                connection = connect()
        except (OSError, http.client.HTTPException):
            failed += 1
            connection = connect()
sys.exit(f"{failed} of {asked} addresses did not answer" if failed else 0)
