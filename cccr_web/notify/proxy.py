"""Send every connection of this process through tor, whatever library opens it.

Libraries differ in whether they obey a proxy: smtplib has no such setting, and a plug-in may
forget its own. So the sockets themselves are replaced. A socket of another kind, a name that
would be resolved here and this machine's name fail. That is for a process that only sends;
where its unit also has no network (``PrivateNetwork=``), the kernel allows nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any, Final

from cccr_web.listen import Tcp, Unix
from cccr_web.socks import no_proxy, request

# Mail servers put it into the headers of a message.
_OWN_NAME: Final = "localhost"

_REPLACED: Final = (
    *("socket", "getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"),
    *("getnameinfo", "getfqdn", "gethostname"),
)


@contextlib.contextmanager
def only_through(proxy: Tcp | Unix | None) -> Iterator[None]:
    """Within the block, every new connection leads through tor's SOCKS port ``proxy``.

    With ``None``, nothing is changed. Modules that copied ``socket.socket`` before are not
    affected, so import them inside.
    """
    if proxy is None:
        yield
        return
    before = {name: getattr(socket, name) for name in _REPLACED}
    try:
        for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
            setattr(socket, name, _resolve_nothing)
        for name in ("getfqdn", "gethostname"):
            setattr(socket, name, lambda *_: _OWN_NAME)
        socket.getaddrinfo = _leave_to_tor
        socket.socket = _socket_class(proxy)  # type: ignore[misc]  # replaced on purpose
        yield
    finally:
        for name, value in before.items():
            setattr(socket, name, value)


def _resolve_nothing(*_: object) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "only tor resolves names here")


def _leave_to_tor(host: Any, port: Any, *_: Any, **__: Any) -> Any:
    """Return the name in place of its addresses: ``connect`` passes it to tor."""
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, int(port or 0)))]


def _socket_class(proxy: Tcp | Unix) -> type[socket.socket]:
    real = socket.socket
    where: str | tuple[str, int]
    if isinstance(proxy, Unix):
        family, where = socket.AF_UNIX, str(proxy.path)
    else:
        family = socket.AF_INET6 if ":" in proxy.host else socket.AF_INET
        where = (proxy.host, proxy.port)

    class ProxiedSocket(real):  # type: ignore[misc, valid-type]  # a class that a variable holds
        """A TCP socket: a connection to tor, which connects to the host."""

        def __init__(
            self,
            family_: int = -1,
            type: int = -1,  # noqa: A002  # socket's name
            proto: int = -1,
            fileno: int | None = None,
        ) -> None:
            if fileno is not None:  # one that exists: TLS takes it over
                super().__init__(family_, type, proto, fileno)
                return
            if family_ not in {-1, socket.AF_INET, socket.AF_INET6} or type not in {
                -1,
                socket.SOCK_STREAM,
            }:
                raise OSError(errno.EPERM, "only TCP goes through tor")
            super().__init__(family, socket.SOCK_STREAM)

        def setsockopt(self, level: int, *value: Any) -> None:
            # A unix socket has no options of TCP or IP.
            if level == socket.SOL_SOCKET:
                super().setsockopt(level, *value)

        def bind(self, _address: Any, /) -> None:
            raise OSError(errno.EPERM, "nothing listens here")

        def connect(self, address: Any, /) -> None:
            host, port = address[:2]
            try:
                super().connect(where)
            except OSError as error:
                raise no_proxy(proxy, error) from error
            request(self, host if isinstance(host, str) else host.decode("ascii"), port, proxy)

        def connect_ex(self, address: Any, /) -> int:
            try:
                self.connect(address)
            except OSError as error:
                return error.errno or errno.ECONNREFUSED
            return 0

    return ProxiedSocket
