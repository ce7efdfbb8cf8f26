"""``onion`` with several servers: their own onions, the note of who publishes, and standing by."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import TOP
from support.command import run
from support.faketor import fake_tor
from support.hosting import short_folder, wait_until
from support.serving import environment

from cccr_web.notices import read_promotion
from cccr_web.onion import load_key, new_key
from cccr_web.release import read_public_key

READY = {
    "PROTOCOLINFO": '250-PROTOCOLINFO 1\n250-AUTH METHODS=NULL\n250-VERSION Tor="0.4.9.5"\n'
    "250 OK\n",
    "GETINFO status/bootstrap": "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100\n"
    "250 OK\n",
    "GETINFO onions/current": "250-onions/current=\n250 OK\n",
    "GETINFO onions/detached": "250-onions/detached=\n250 OK\n",
}


@pytest.mark.long
def test_a_note_names_a_server_by_the_onion_derived_for_it(key_file: Path, tmp_path: Path) -> None:
    """Every server derives the same onions from the key; the note is signed by the organisation."""
    key = new_key(tmp_path / "onion.key")
    derived = run("onion", "key", "derive", tmp_path / "onion.key", "root@b")
    written = run(
        "onion", "key", "derive", tmp_path / "onion.key", "root@b", "--out", tmp_path / "b.key"
    )
    address = derived.stdout.strip()
    assert derived.stdout == written.stdout
    assert load_key(tmp_path / "b.key").address == address != key.address
    assert (tmp_path / "b.key").stat().st_mode & 0o777 == 0o600
    other = run("onion", "key", "derive", tmp_path / "onion.key", "root@a").stdout.strip()
    assert other != address

    public = key_file.with_suffix(".pub")
    make: list[object] = ["onion", "promotion", address, "--key", key_file]
    make += ["--out", tmp_path / "promotion", "--passphrase-file", key_file.parent / "passphrase"]
    assert run(*make, "--public-key", public).exit_code == 0
    note = read_promotion((tmp_path / "promotion").read_bytes(), read_public_key(str(public)))
    assert note.publisher == address
    (tmp_path / "promotion").unlink()
    refused = run(*make, "--public-key", f"RW{'Q' * 54}")
    assert refused.exit_code == 1
    assert not (tmp_path / "promotion").exists()


def test_standing_by_is_written_for_the_doctor() -> None:
    """A server that is not the first writes why it does not publish, and adds nothing to tor."""
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as web:
        web.bind(str(folder / "web.sock"))
        new_key(folder / "onion.key")
        a, b = ("a" * 56 + ".onion", "b" * 56 + ".onion")
        (folder / "peers").write_text(f"first {a}\nown {b}\nother {a}\n")
        (folder / "public.key").write_text(f"untrusted comment: x\nRW{'Q' * 54}\n")
        standby = folder / "standby"
        with fake_tor(READY) as (control, commands):
            options = [f"--key={folder}/onion.key", f"--socket={folder}/web.sock"]
            options += [f"--control={control}", f"--peers={folder}/peers"]
            options += [f"--promotion={folder}/promotion", f"--public-key={folder}/public.key"]
            options += ["--socks=127.0.0.1:9", f"--standby={standby}"]
            process = subprocess.Popen(
                [sys.executable, "-m", "cccr_web", "onion", "publish", *options],
                cwd=TOP,
                env=environment(),
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                wait_until(standby.exists, 30)
                assert standby.read_text() == "planned another server publishes the onion\n"
                assert process.stderr is not None
                lines = iter(process.stderr.readline, "")
                assert any(line.startswith("Standby: another server publishes") for line in lines)
            finally:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                assert process.stderr is not None
                process.stderr.close()
        assert not [command for command in commands if command.startswith("ADD_ONION")]


def test_peers_need_all_of_their_options(tmp_path: Path) -> None:
    """Without a note, a key or a proxy, nobody could be asked."""
    new_key(tmp_path / "onion.key")
    (tmp_path / "peers").touch()
    options = ("--key", tmp_path / "onion.key", "--socket", tmp_path / "web.sock")
    done = run("onion", "publish", *options, "--peers", tmp_path / "peers")
    assert done.exit_code == 2
    assert "--peers needs --promotion, --public-key or --policy, and --socks." in done.stderr
