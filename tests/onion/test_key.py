"""The onion key: what is written, what is read, and what is rejected."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deploy.scripts import in_server
from support.hosting import OFFLINE, RunningTor, as_nobody

from cccr_web.errors import KeyExistsError, KeyMissingError, OnionError
from cccr_web.onion import ControlConnection, OnionKey, load_key, load_or_create_key, new_key

# RFC 8032, section 7.1, tests 1 to 3: secret seed and public key.
VECTORS = {
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    ),
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    ),
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    ),
}


@pytest.mark.parametrize("seed", VECTORS)
def test_public_keys_match_the_vectors_of_the_rfc(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    """The address of a new key starts with the RFC's public key for the same seed."""
    monkeypatch.setattr(secrets, "token_bytes", lambda _count: bytes.fromhex(seed))
    key = new_key(folder / "key")
    address = base64.b32decode(key.address.removesuffix(".onion").upper())
    assert address[:32].hex() == VECTORS[seed]


def test_deployment_finds_the_address_in_the_file(folder: Path) -> None:
    """``deploy.sh`` reads the address without our code, which may be damaged."""
    key = new_key(folder / "key")
    assert in_server(f'key_address "{folder}/key"', folder).stdout == f"{key.address}\n"


def test_tor_computes_the_same_address(folder: Path, connection: ControlConnection) -> None:
    """Tor answers ADD_ONION with the address that we computed from the key."""
    for number in range(4):
        key = new_key(folder / f"{number}.key")
        reply = connection.send(f"ADD_ONION {key.blob} Flags=DiscardPK Port=80,127.0.0.1:1")
        assert f"ServiceID={key.address.removesuffix('.onion')}" in str(reply)


def test_a_new_key_has_mode_0600_and_can_be_loaded(folder: Path) -> None:
    """A new key is read back unchanged, from a file of mode 0600 whatever the umask is."""
    old = os.umask(0o777)
    try:
        made = new_key(folder / "key")
    finally:
        os.umask(old)
    assert (folder / "key").stat().st_mode & 0o7777 == 0o600
    assert load_key(folder / "key") == made
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_new_keys_differ(folder: Path) -> None:
    """Two new keys have different addresses."""
    assert new_key(folder / "one").address != new_key(folder / "two").address


def test_repr_hides_the_secret(key: OnionKey) -> None:
    """``repr`` and ``str`` show only the address."""
    assert repr(key) == str(key) == f"OnionKey(address='{key.address}')"


def test_a_key_is_never_overwritten(folder: Path) -> None:
    """A second key at the same path is an error, and the first stays unchanged."""
    path = folder / "key"
    new_key(path)
    before = path.read_bytes()
    with pytest.raises(KeyExistsError, match=str(path)):
        new_key(path)
    assert path.read_bytes() == before


def test_a_key_is_never_overwritten_in_a_race(folder: Path) -> None:
    """When several threads create the key at once, one succeeds and the others leave no file."""
    path = folder / "key"
    made: list[OnionKey] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        with contextlib.suppress(KeyExistsError):
            made.append(new_key(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [load_key(path)]
    assert list(folder.iterdir()) == [path]


def test_load_or_create_key_creates_it_once(folder: Path) -> None:
    """The key is created by the first call and read by the next."""
    assert load_or_create_key(folder / "key") == load_or_create_key(folder / "key")


def test_a_key_that_cannot_be_written_is_named(folder: Path) -> None:
    """If the key cannot be written, the error names its path and the reason."""
    with pytest.raises(OnionError, match=r"cannot be written to .*nowhere/key.*No such file"):
        new_key(folder / "nowhere" / "key")


def test_a_missing_key_error_says_how_to_create_one(folder: Path) -> None:
    """If there is no key, the error gives the command that creates one."""
    with pytest.raises(KeyMissingError, match=f"cccr-web onion key new {folder}/key"):
        load_key(folder / "key")


def test_a_key_of_another_user_cannot_be_read(folder: Path) -> None:
    """A key that this user may not read is reported with the system's reason."""
    new_key(folder / "key")
    (folder / "key").chmod(0)
    folder.chmod(0o755)
    with as_nobody(), pytest.raises(OnionError, match="cannot be read: Permission denied"):
        load_key(folder / "key")


@pytest.mark.parametrize(
    ("make", "reason"),
    [(Path.mkdir, "cannot be read: Is a directory"), (os.mkfifo, "is not a regular file")],
)
def test_a_folder_or_pipe_is_not_a_key(folder: Path, make: object, reason: str) -> None:
    """A folder or a pipe instead of the key is rejected without blocking."""
    assert callable(make)
    make(folder / "key")
    with pytest.raises(OnionError, match=f"{folder}/key {reason}"):
        load_key(folder / "key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601])
def test_a_key_open_to_other_users_is_rejected(folder: Path, mode: int) -> None:
    """A key that other users can access is rejected, and the error shows its mode."""
    new_key(folder / "key")
    (folder / "key").chmod(mode)
    with pytest.raises(OnionError, match=rf"open to other users \(mode {mode:04o}\)"):
        load_key(folder / "key")


def test_a_systemd_credential_may_have_group_bits(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In systemd's credentials folder the group bits show an ACL, and only others' bits count."""
    made = new_key(folder / "key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    (folder / "key").chmod(0o440)
    assert load_key(folder / "key") == made
    (folder / "key").chmod(0o444)
    with pytest.raises(OnionError, match=r"open to other users \(mode 0444\)"):
        load_key(folder / "key")


def test_every_changed_character_is_detected(folder: Path) -> None:
    """A change to any character of the key file is detected, except in its comment."""
    path = folder / "key"
    new_key(path)
    content = path.read_text()
    for at in range(content.index("address"), len(content.rstrip())):
        other = "b" if content[at] == "a" else "a"
        path.write_text(content[:at] + other + content[at + 1 :])
        with pytest.raises(OnionError, match=f"The onion key {path} is damaged: "):
            load_key(path)


def test_a_truncated_key_is_rejected(folder: Path) -> None:
    """A key file truncated at any length is rejected."""
    path = folder / "key"
    new_key(path)
    content = path.read_bytes().rstrip()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(OnionError, match=f"The onion key {path} is damaged: "):
            load_key(path)


@given(content=st.binary(max_size=200) | st.binary(max_size=200).map(lambda b: b"address " + b))
def test_other_content_is_a_damaged_key(content: bytes, tmp_path_factory: object) -> None:
    """A file with any other content is reported as a damaged key."""
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "any.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(OnionError, match=re.escape(f"The onion key {path} is damaged: ")):
        load_key(path)


def test_the_key_of_a_hidden_service_dir_can_be_loaded(folder: Path) -> None:
    """The key file of tor's HiddenServiceDir is read, and damage to it is detected."""
    service = folder / "hs"
    lines = f"{OFFLINE}HiddenServiceDir {service}\nHiddenServicePort 80 127.0.0.1:1\n"
    with RunningTor(folder / "tor", lines) as tor:
        tor.await_control()
    path = service / "hs_ed25519_secret_key"
    content = path.read_bytes()
    assert load_key(path).address == (service / "hostname").read_text().strip()
    for damaged in (
        content[:-1],
        content + b"x",
        bytes([*content[:40], content[40] ^ 8, *content[41:]]),
    ):
        path.write_bytes(damaged)
        with pytest.raises(OnionError, match=f"The onion key {path} is damaged: "):
            load_key(path)
