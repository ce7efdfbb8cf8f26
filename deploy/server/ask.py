"""Ask a web server on a unix socket for one address; print the body of a good answer.

ask.py SOCKET HOST PATH
"""

import http.client
import socket
import sys

path, host, address = sys.argv[1:]
connection = http.client.HTTPConnection(host, timeout=5)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.settimeout(5)
connection.sock.connect(path)
connection.request("GET", address, headers={"Host": host})
reply = connection.getresponse()
body = reply.read()
if reply.status != 200:
    sys.exit(f"{address} answers {reply.status}")
sys.stdout.buffer.write(body)
