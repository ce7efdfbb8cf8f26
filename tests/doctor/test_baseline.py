"""What has changed on a server since it was set up: ssh keys, ports, files."""

from __future__ import annotations

import base64
import hashlib
import json
import pwd
import socket
import subprocess
from pathlib import Path

import pytest
from support.command import run

from cccr_web.doctor import CheckResult
from cccr_web.doctor import baseline as module
from cccr_web.doctor.baseline import authorized_keys, check_baseline, listening_ports

BLOB = base64.b64encode(b"a key").decode()
HEAD = "  sl  local_address rem_address   st\n"


def fingerprint(blob: bytes) -> str:
    """Return a fingerprint as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class KnownServer:
    """A server of which the baseline was recorded: a home, two files and open ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ssh = folder / "home/.ssh/authorized_keys"
        self.ssh.parent.mkdir(parents=True)
        self.ssh.write_text(f"# The admin.\nssh-ed25519 {BLOB} admin\n")
        (folder / "code/bin").mkdir(parents=True)
        (folder / "code/bin/cccr-web").write_text("#!/bin/sh\n")
        (folder / "code/python").symlink_to("/usr/bin/python3")
        (folder / "unit").write_text("[Service]\n")
        self.listen("0A")
        done = run("baseline", "--out", self.file, folder / "code", folder / "unit")
        assert done.exit_code == 0, done.output

    @property
    def file(self) -> Path:
        """The baseline."""
        return self.folder / "baseline.json"

    def listen(self, state: str, address: str = "00000000") -> None:
        """Let the kernel's table have port 22, and port 8080 in this state at this address."""
        (self.folder / "tcp").write_text(
            f"{HEAD}   0: 00000000:0016 00000000:0000 0A\n"
            f"   1: {address}:1F90 00000000:0000 {state}\n"
        )

    def results(self) -> dict[str, CheckResult]:
        """Compare the server with the baseline."""
        return {result.name: result for result in check_baseline(self.file)}

    def wrong(self) -> list[str]:
        """Return what is said of checks that are wrong."""
        return [found.sentence for found in self.results().values() if found.verdict == "wrong"]


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownServer:
    """Such a server."""
    user = list(pwd.getpwuid(0))
    user[5] = str(tmp_path / "home")
    monkeypatch.setattr(pwd, "getpwall", lambda: [pwd.struct_passwd(user)])
    monkeypatch.setattr(module, "_PROC", tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/dpkg").write_text("#!/bin/sh\ncat " + str(tmp_path / "verified") + "\n")
    (tmp_path / "bin/dpkg").chmod(0o755)
    (tmp_path / "verified").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return KnownServer(tmp_path)


def test_a_server_that_nobody_changed_is_ok(known: KnownServer) -> None:
    """Each part has a line; the baseline itself holds no key, only fingerprints."""
    found = known.results()
    assert [*found] == ["ssh keys", "ports", "installed files", "packages"]
    assert {result.verdict.value for result in found.values()} == {"ok"}
    assert "3 files are as" in found["installed files"].sentence
    written = json.loads(known.file.read_text())
    assert written["keys"] == {fingerprint(b"a key"): str(known.ssh)}
    assert (written["ports"], BLOB in known.file.read_text()) == ([22, 8080], False)


def test_an_ssh_key_that_is_new_is_wrong(known: KnownServer) -> None:
    """It is named by its fingerprint and file; a key that was removed is no danger."""
    other = base64.b64encode(b"another").decode()
    known.ssh.write_text(f'from="192.0.2.1",command="a b" ssh-rsa {other} x\n')
    (said,) = known.wrong()
    assert said.endswith(f"last installation: {fingerprint(b'another')} in {known.ssh}.")
    known.ssh.write_text("")
    assert known.wrong() == []


def test_a_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    """So that an admin finds the key."""
    key = tmp_path / ".ssh/id"
    key.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", key], check=True)
    key.with_suffix(".pub").rename(tmp_path / ".ssh/authorized_keys2")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / ".ssh/authorized_keys2"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert [*authorized_keys([str(tmp_path)])] == [shown.stdout.split()[1]]


def test_a_port_that_is_new_is_wrong(known: KnownServer) -> None:
    """A port that other machines reach is named; loopback and connections do not count."""
    known.listen("01")
    assert known.wrong() == []
    written = json.loads(known.file.read_text())
    known.file.write_text(json.dumps(written | {"ports": [22]}))
    known.listen("0A")
    assert known.wrong() == ["A program listens on a port that was closed before: 8080."]
    for loopback in ("0100007F", "0500007F"):
        known.listen("0A", loopback)
        assert known.wrong() == []


def test_ports_are_those_of_this_machine() -> None:
    """A socket on all addresses is found, of IPv4 and of IPv6, and one on loopback is not."""
    with (
        socket.create_server(("127.0.0.1", 0)) as near,
        socket.create_server(("127.0.0.2", 0)) as also,
    ):
        found = listening_ports(Path("/proc/self/net"))
        assert not {each.getsockname()[1] for each in (near, also)} & {*found}
    if socket.has_dualstack_ipv6():
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
            assert six.getsockname()[1] not in listening_ports(Path("/proc/self/net"))


def test_an_installed_file_that_differs_is_wrong(known: KnownServer) -> None:
    """A changed, a new and a missing file, and a link that leads elsewhere, are named."""
    code = known.folder / "code"
    (code / "bin/cccr-web").write_text("#!/bin/sh\ncurl\n")
    (code / "evil.pth").write_text("import evil\n")
    (known.folder / "unit").unlink()
    (said,) = known.wrong()
    assert said == (
        f"Files that deploy.sh installed differ: {code}/bin/cccr-web has changed; "
        f"{code}/evil.pth is new; {known.folder}/unit is missing."
    )
    (code / "evil.pth").unlink()
    (code / "bin/cccr-web").write_text("#!/bin/sh\n")
    (known.folder / "unit").write_text("[Service]\n")
    (code / "python").unlink()
    (code / "python").symlink_to("/tmp/python3")
    assert known.wrong() == [f"Files that deploy.sh installed differ: {code}/python has changed."]


def test_a_changed_file_of_a_package_is_wrong(known: KnownServer) -> None:
    """Configuration may be changed, and documentation left out; a program may not be changed."""
    verified = known.folder / "verified"
    verified.write_text("??5?????? c /etc/nginx/nginx.conf\nmissing     /usr/share/doc/tor\n")
    assert known.wrong() == []
    verified.write_text("??5??????   /usr/sbin/nginx\n??5?????? c /etc/a\n")
    assert known.wrong() == ["Files of Debian's packages have changed: /usr/sbin/nginx."]


@pytest.mark.parametrize("body", [None, "", "[]", '{"format": 2}', '{"format": 1, "other": 1}'])
def test_a_baseline_that_cannot_be_read_is_wrong(known: KnownServer, body: str | None) -> None:
    """Nothing is compared with a damaged one, and the remedy is to record another."""
    if body is None:
        known.file.unlink()
    else:
        known.file.write_text(body)
    (result,) = known.results().values()
    assert (result.name, result.verdict.value) == ("baseline", "wrong")
    assert result.remedy == "Run deploy.sh again: it records one."
