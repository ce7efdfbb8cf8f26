"""The scripts below ``deploy/`` without a booted machine: their functions, and the admin's side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

from support import TOP
from support.deploy.machine import call

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What server/run.sh sets, with every folder below one of the test.
SERVER = """\
set -euo pipefail
shopt -s lastpipe
HERE=$1/deploy/server FOLDER=$2 ETC=$2/etc DATA=$2/srv CODE=$2/opt BUNDLE=$2/bundle WORK=$2/work
WARNINGS=() COMMAND_NAME=install SWITCHED=no JSON=no REPLACE_ONION=no LOCAL=no
mkdir -p "$ETC" "$DATA" "$CODE" "$BUNDLE/settings" "$WORK"
for file in common interrupted settings packages wheels code release tor peers nginx \\
  certificate units firewall balance ssh system notify watch backup status; do
  . "$HERE/$file.sh"
done
LOCK=$2/lock POLICY=$2/policy-rc.d KEPT=$2/root RUNNING_KEY=$2/running.key NGINX_DEBIAN=$2/nginx
STATES=$2/lib
settings_clear
"""
# In place of server/run.sh: write down what arrived, and exit as the test wants.
RECORDER = """\
bundle=$(cd "$(dirname "$0")/.." && pwd)
echo "$*" >>"@/commands"
rm -rf "@/received" && cp -R "$bundle" "@/received"
case "$*" in *keep | *backup) tar --create --directory "@/kept" . ;; esac
[[ $* == *--drop-domain* ]] || exit "$(cat "@/status")"
"""
# BSD's programs know no long options, nor -T. tar is bsdtar.
BSD = """\
#!/bin/sh
for argument in "$@"; do
  case $argument in --?* | -T) echo "$0: illegal option $argument" >&2 && exit 64 ;; esac
done
exec /usr/bin/env PATH=/usr/bin:/bin NAME "$@"
"""
BSD_PROGRAMS = "basename cat cp cut df dirname du find ln ls mkdir mktemp mv rm sed sort tail touch"
BSD_PROGRAMS += " wc xargs"
SAME_PROGRAMS = "awk chmod env gpg gpg-agent grep id sh shasum"


def in_server(
    script: str, folder: Path, prefix: tuple[str, ...] = (), **options: object
) -> subprocess.CompletedProcess[str]:
    """Run ``script`` after the functions in ``deploy/server/`` have been read."""
    command = [*prefix, "bash", "-c", SERVER + script, "bash", str(TOP), str(folder)]
    done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
        command,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"},
        **options,
    )
    return done


def bsd_programs(folder: Path) -> Path:
    """Return a folder with programs that take the options of macOS's, and no others.

    If this machine has macOS's bash, as ``bash-3.2``, that is used.
    """
    folder.mkdir()
    for name in BSD_PROGRAMS.split():
        (folder / name).write_text(BSD.replace("NAME", name))
        (folder / name).chmod(0o755)
    for name in SAME_PROGRAMS.split():
        (folder / name).symlink_to(shutil.which(name) or "/missing")
    (folder / "bash").symlink_to(shutil.which("bash-3.2") or shutil.which("bash") or "/missing")
    (folder / "python3").symlink_to(sys.executable)
    (folder / "tar").symlink_to("/usr/bin/bsdtar")
    return folder


class AdminSide:
    """An admin's checkout, with a server that only writes down what it receives.

    ``ssh`` runs its command on this machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home: str | None = str(folder)
        shutil.copytree(TOP / "deploy", folder / "deploy")
        (folder / "deploy/cccr-web").write_text("#!/bin/sh\n")
        (folder / "deploy/server/run.sh").write_text(RECORDER.replace("@", str(folder)))
        (folder / "status").write_text("0")
        (folder / "organisation.pub").write_text("a key\n")
        (folder / "release").mkdir()
        (folder / "release/SHA256SUMS").write_text("sums\n")
        (folder / "kept/settings").mkdir(parents=True)
        (folder / "kept/settings/onion.key").write_text("the onion's key\n")
        (folder / "passphrase").write_text("a passphrase\n")
        with tarfile.open(folder / "wheels.tar", "w") as packed:
            packed.add(folder / "passphrase", "requirements.txt")
        (folder / "bin").mkdir()
        self.ssh('PATH=/usr/sbin:/usr/bin:/bin exec sh -c "$2"')
        self.settings("SERVER=root@server.example\nPUBLIC_KEY=../organisation.pub\n")

    def ssh(self, script: str) -> None:
        """Let ``ssh`` be this script."""
        wrapper = self.folder / "bin/ssh"
        wrapper.write_text(f"#!/bin/sh\n{script}\n")
        wrapper.chmod(0o755)

    def settings(self, text: str, encoding: str = "utf-8") -> None:
        """Write ``site.env``."""
        (self.folder / "deploy/site.env").write_bytes(text.encode(encoding))

    def environment(self, path: str = "/usr/sbin:/usr/bin:/bin") -> Mapping[str, str]:
        """Return the environment of ``deploy.sh``."""
        home = {} if self.home is None else {"HOME": self.home}
        return {"PATH": f"{self.folder}/bin:{path}", "LANG": "C.UTF-8", **home}

    def run(self, *arguments: str, path: str = "/usr/sbin:/usr/bin:/bin", status: int = 0) -> str:
        """Run ``deploy.sh`` in the checkout, check its exit status and return its messages."""
        done = subprocess.run(
            ["/usr/bin/env", "bash", "deploy/deploy.sh", *arguments],
            cwd=self.folder,
            env=self.environment(path),
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr

    def commands(self) -> list[str]:
        """Return the command lines of ``server/run.sh`` so far."""
        file = self.folder / "commands"
        return [line.strip() for line in file.read_text().splitlines()] if file.exists() else []

    def received(self, name: str) -> str:
        """Return a file that the server received."""
        return (self.folder / "received" / name).read_text()

    def kept_settings(self) -> dict[str, str]:
        """Return the settings that the server reads from the ``site.env`` it received."""
        script = 'settings_read "$FOLDER/received/settings/site.env" && settings_kept'
        done = call("bash", "-c", SERVER + script, "bash", TOP, self.folder)
        lines = done.stdout.splitlines()[1:]
        return dict(line.split("=", 1) for line in lines)
