"""Runs jobs, such as build, sign and publish, in child processes and kills them (``killer.py``).

It has imported everything, so a victim begins its work at once. Each line of its
input is a job in JSON: ``job`` (a function below), ``folder``, ``sequence`` and
``seconds`` after which the victim is killed; until then it does its job again and
again. ``null`` lets it end after one. The answer is a line: how many seconds the
victim lived, and its exit status or signal.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import time
import tomllib
from datetime import date
from pathlib import Path

from cccr_web import config
from cccr_web.cli import main as main_command
from cccr_web.content.dates import parse_date
from cccr_web.mirror import fetch_mirror
from cccr_web.publish import Releases, is_signed
from cccr_web.release import (
    MANIFEST,
    Signer,
    load,
    make_release,
    read_request,
    with_archive,
    with_signatures,
    write,
    write_request,
)
from cccr_web.watch import Address, CheckSettings, RequestLimits
from cccr_web.write import add_name, import_document, new_text
from support.policies import policy_release, signatures
from support.signed import ServerFolder, content, facts, organisation_key


def build(folder: Path, sequence: int) -> None:
    """Build a release over the one before, and that one over it."""
    for number in (sequence, 3 - sequence):
        write(with_archive(make_release(content(number), facts(number))), folder)


def sign(folder: Path, _sequence: int) -> None:
    """Sign a release where it lies."""
    write(Signer(organisation_key()).sign(load(folder)), folder)


def switch(folder: Path, sequence: int) -> None:
    """Start on the current release and take the next three, one after the other."""
    server_folder = ServerFolder(folder)
    reloader = server_folder.reloader()
    for number in range(sequence, sequence + 3):
        server_folder.point(folder / f"release-{number}")
        reloader.reload()


def fetch(folder: Path, _sequence: int) -> None:
    """Fetch a mirror from the address that is in the file ``url``."""
    address = Address.parse((folder / "url").read_text())
    fetch_mirror(
        address, folder / "mirror", CheckSettings(organisation_key().public, RequestLimits(60.0))
    )


def edit(folder: Path, number: int) -> None:
    """Create a text, import a document into it, and add a name."""
    texts = len([*folder.glob("en/statements/*.md")])
    new_text(folder, [f"Text {number} {texts}"], None, parse_date("2013"), date(2026, 11, 29))
    import_document(folder, folder / "text.html", f"2013-text-{number}-{texts}")
    names = (folder / "names.toml").read_text(encoding="utf-8").count("=")
    # Their characters are the same in both scripts.
    add_name(folder, f"\u4e01{chr(0x2A700 + names)}", f"\u4e01{chr(0x2A700 + names)}", str)


def publish(folder: Path, _sequence: int) -> None:
    """Publish a release of two signers as the command does; the second signs its request."""
    releases = Releases(folder / "releases", folder / "translations")
    site = (folder / "translations/site.toml").read_text(encoding="utf-8")
    sequence: int = tomllib.loads(site)["sequence"]
    releases.finish_adding(sequence)
    release = releases.newest()
    if release is None or is_signed(release):
        following = release.metadata.sequence + 1 if release else 1
        release = policy_release("editor", sequence=max(sequence, following))
        releases.add(release)
    file = releases.request(release.metadata.sequence)
    while not is_signed(release := releases.with_request(release)):
        releases.forget_requests(but=release.metadata.sequence)
        write_request(release, file)
        second = signatures(release.files[MANIFEST].body, "second")
        write_request(with_signatures(read_request(file)[0], second), file)
    releases.replace(release)
    releases.forget_requests()


def command(folder: Path, _sequence: int) -> None:
    """Publish the texts in ``folder`` with the command, and say yes."""
    # No settings of servers are below this folder.
    config.PACKAGE = folder / "cccr_web"
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    sys.stdin = io.StringIO("y\n")
    options = {
        "--translations": folder / "translations",
        "--key": folder / "organisation.key",
        "--out": folder / "releases",
        "--cache": folder / "cache",
    }
    words = [word for name, value in options.items() for word in (name, str(value))]
    with contextlib.redirect_stdout(io.StringIO()):
        main_command(["publish", *words], standalone_mode=False)


JOBS = {
    "command": command,
    "edit": edit,
    "build": build,
    "publish": publish,
    "sign": sign,
    "switch": switch,
    "fetch": fetch,
}


def main() -> None:
    """Do jobs until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        began = time.monotonic()
        victim = os.fork()
        if victim == 0:
            os.close(0)
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # to the victim's end
            folder, sequence = Path(order["folder"]), order["sequence"]
            JOBS[order["job"]](folder, sequence)
            while order["seconds"] is not None:
                JOBS[order["job"]](folder, sequence)
            os._exit(0)
        if order["seconds"] is not None:
            time.sleep(order["seconds"])
            os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        lived = time.monotonic() - began
        print(json.dumps([lived, os.waitstatus_to_exitcode(status)]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
