"""nginx in front of clearnet and onion, as on a server: TLS, port 80, socket, header policy."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cccr_web.serve import bare_headers
from cccr_web.serve.policy import listener_policy
from support.nginx import HEADERS_MORE, accepts, running, temporary
from support.tls import write_pem
from support.tornet import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cccr_web.release import Release

CONF = """\
{modules}
daemon off;
master_process off;
pid {folder}/pid;
error_log /dev/null emerg;
events {{}}
http {{
    access_log off;
    default_type "";
    merge_slashes off;
    client_max_body_size 1;
    absolute_redirect off;
    {temporary}
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{https} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        {clearnet}
        {more}
        location / {{ proxy_pass http://127.0.0.1:{port}; {extra} }}
    }}
    server {{
        listen 127.0.0.1:{http} default_server;
        server_name _;
        {plain}
        location / {{ {other_hosts} }}
    }}
    server {{
        listen 127.0.0.1:{http};
        server_name {domain};
        {plain}
        location / {{ return 301 {redirects_to}$request_uri; }}
    }}
    server {{
        listen unix:{folder}/proxy.sock;
        {onion}
        location / {{ proxy_pass http://unix:{folder}/onion.sock; {extra} }}
    }}
}}
"""
OWN = """\
more_clear_headers Server;
        error_page 301 400 405 413 414 421 494 497 502 505 /.nginx;
        location = /.nginx {{ internal; more_clear_headers Content-Type; {headers} return 200 ""; }}
"""


@dataclass(frozen=True, slots=True)
class ReverseProxy:
    """Where nginx listens, and changes to its configuration.

    ``with_policy``: whether its own responses have the policy. ``extra`` are further lines
    for proxied requests, ``clearnet`` for the whole clearnet server. ``redirects_to`` is
    the target of port 80, ``other_hosts`` what it does with unknown hosts.
    """

    folder: Path
    release: Release
    domain: str
    port: int
    certificate: Path
    with_policy: bool = True
    extra: str = ""
    clearnet: str = ""
    redirects_to: str = "https://$host"
    other_hosts: str = "return 421;"
    ports: tuple[int, ...] = field(default_factory=lambda: tuple(free_ports(2)))

    @property
    def socket(self) -> Path:
        """The socket that tor connects to."""
        return self.folder / "proxy.sock"

    def conf(self) -> str:
        """Return nginx's configuration."""
        facts = self.release.metadata
        https, http = self.ports
        secure = bare_headers(listener_policy("clearnet", facts))
        plain = bare_headers(listener_policy("onion", facts))
        return CONF.format(
            modules=HEADERS_MORE,
            temporary=temporary(self.folder),
            folder=self.folder,
            https=https,
            http=http,
            port=self.port,
            domain=self.domain,
            certificate=self.certificate,
            extra=self.extra,
            redirects_to=self.redirects_to,
            other_hosts=self.other_hosts,
            more=self.clearnet,
            clearnet=self._rules(secure),
            plain=self._rules(plain),
            onion=self._rules(plain),
        )

    def _rules(self, policy: list[tuple[str, str]]) -> str:
        if not self.with_policy:
            return ""
        lines = [f'more_set_headers "{name}: {_quoted(value)}";' for name, value in policy]
        return OWN.format(headers=" ".join(lines))

    @contextlib.contextmanager
    def running(self) -> Iterator[ReverseProxy]:
        """Run it."""
        try:
            with running(self.folder, self.conf(), lambda: all(map(accepts, self.ports))):
                yield self
        finally:
            self.socket.unlink(missing_ok=True)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


class CertificateAuthority:
    """A certificate authority for tests; ``file`` is its certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the tests")])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            self._builder(self._name, self._key.public_key(), 365, 465)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / "ca.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def certify(self, name: str, days: int, lifetime: int) -> Path:
        """Return a file with a key and a certificate for ``name`` that expires in ``days``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = (
            self._builder(subject, key.public_key(), days, lifetime)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return write_pem(self._folder / f"{name}-{days}.pem", key, made)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int, lifetime: int
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        # Python 3.13 requires both identifiers (RFC 5280, sections 4.2.1.1 and 4.2.1.2).
        own = x509.SubjectKeyIdentifier.from_public_key(key)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days - lifetime, hours=1))
            .not_valid_after(now + timedelta(days=days, hours=1))
            .add_extension(own, critical=False)
            .add_extension(issuer, critical=False)
        )
