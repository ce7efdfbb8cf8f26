"""The admin's machine: deploy.sh, settings, keys and releases, in its own network namespace."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cccr_web.release import Signer, allowed_signers, make_release, with_archive
from support import TOP
from support.deploy.acme import NAME
from support.deploy.machine import SERVER, Machine, call
from support.signed import content, facts, known_key, organisation_key, put_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.deploy.machine import Network

DOMAIN = "cccr.example"
NEXT_KEY = known_key(b"the next key of the tests' organisation")
PASSPHRASE = "a passphrase for the tests"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a ``deploy.sh`` command. ``seconds`` is how long it ran."""

    status: int
    stderr: str
    stdout: str
    seconds: float


class AdminMachine:
    """A folder with a copy of ``deploy/`` in which ``cccr-web`` runs the code under test.

    ``key`` signs the releases.
    """

    def __init__(
        self, folder: Path, network: Network, bundle: Path, tools: Path, torrc: str
    ) -> None:
        self.folder = folder
        self.bundle = bundle
        self.tools = tools
        self._network = network
        self.key = organisation_key()
        shutil.copytree(TOP / "deploy", folder / "deploy")
        command = folder / "deploy/cccr-web"
        top, python = shlex.quote(str(TOP)), shlex.quote(sys.executable)
        command.write_text(f'#!/bin/sh\nexport PYTHONPATH={top}\nexec {python} -m cccr_web "$@"\n')
        for name, key in (("organisation", self.key), ("next", NEXT_KEY)):
            (folder / f"{name}.pub").write_bytes(key.public.to_file())
        # Without these lines the server's tor would use the real network.
        (folder / "private.torrc").write_text(torrc)
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        self.write_settings()
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "id")
        (folder / "bin").mkdir()
        wrapper = folder / "bin/ssh"
        # ssh splits the value of UserKnownHostsFile at spaces.
        wrapper.write_text(
            f"#!/bin/sh\ncd {shlex.quote(str(folder))} && exec /usr/bin/ssh -i id -o BatchMode=yes "
            '-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=known "$@"\n'
        )
        wrapper.chmod(0o755)

    def write_settings(self, **changes: str) -> None:
        """Write ``site.env``."""
        settings = {
            "SERVER": f"root@{SERVER}",
            "DOMAIN": DOMAIN,
            "CONTACT": "admin@cccr.example",
            "RELEASE": str(self.release(1)),
            "PUBLIC_KEY": "../organisation.pub" if self.key is not NEXT_KEY else "../next.pub",
            "TORRC": "../private.torrc",
            "ACME_SERVER": f"https://{NAME}:14000/dir",
            "SSH_KEYS_ONLY": "yes",
            "REBOOT_AT": "04:30",
            **changes,
        }
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.folder / "deploy/site.env").touch(mode=0o600)
        (self.folder / "deploy/site.env").write_text(lines)

    def release(self, number: int) -> Path:
        """Return the folder of a release with this sequence number, signed with ``key``.

        It has a page that no other release has.
        """
        folder = self.folder / f"release-{number}-{self.key.public.fingerprint[:4]}"
        if not folder.exists():
            known = facts(
                number,
                clearnet=f"https://{DOMAIN}",
                onions=(),
                fingerprint=self.key.public.fingerprint,
            )
            own = {f"en/only-in-{number}.html": b"a page"} | self._key_files()
            unsigned = with_archive(make_release(content(number) | own, known))
            put_release(Signer(self.key).sign(unsigned), folder)
        return folder

    def _key_files(self) -> dict[str, bytes]:
        public = self.key.public
        return {"allowed_signers": allowed_signers(public), "minisign.pub": public.to_file()}

    def authorize(self, machine: Machine) -> None:
        """Put the admin's ssh key on a fresh server, as a hosting company does."""
        folder = machine.root / "root/.ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_text((self.folder / "id.pub").read_text())
        (self.folder / "known").unlink(missing_ok=True)

    @contextlib.contextmanager
    def another(self, debian: Path, address: str) -> Iterator[Machine]:
        """Boot a machine in the network of the first, whose sshd listens at this address only."""
        with Machine(debian, self._network) as machine:
            (machine.root / "etc/ssh/sshd_config.d/own.conf").write_text(
                f"ListenAddress {address}\n"
            )
            machine.run("systemctl", "reset-failed")
            machine.run("systemctl", "restart", "ssh")
            known = self.folder / "known"
            before = known.read_text() if known.exists() else ""
            self.authorize(machine)
            known.write_text(before)
            yield machine

    def ssh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``ssh`` as the admin does."""
        return subprocess.run(
            ["ip", "netns", "exec", self._network.admin, self.folder / "bin/ssh", *arguments],
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def deploy(self, *arguments: str | Path, status: int | None = 0) -> Result:
        """Run ``deploy.sh`` as the admin does, and check the exit status unless it is ``None``."""
        began = time.monotonic()
        path = f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin"
        done = subprocess.run(
            ["ip", "netns", "exec", self._network.admin, "deploy/deploy.sh", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        seconds = time.monotonic() - began
        assert status in (None, done.returncode), done.stdout + done.stderr
        return Result(done.returncode, done.stderr, done.stdout, seconds)
