"""The onion key: what is written, what is read, and what is refused."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hosting import OFFLINE, RunningTor, as_nobody

from cccr_web.errors import (
    KeyExistsError,
    KeyMissingError,
    OnionError,
)
from cccr_web.onion import Link, OnionKey, ed25519, load_key, load_or_make, new_key

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
def test_public_key_of_the_rfc(seed: str) -> None:
    """The arithmetic gives the public keys of the RFC's own examples."""
    public = ed25519.public_key(ed25519.expand(bytes.fromhex(seed)))
    assert public.hex() == VECTORS[seed]


def test_address_is_what_tor_says(folder: Path, link: Link) -> None:
    """A tor that is given the key answers with the address that we computed."""
    for number in range(4):
        key = new_key(folder / f"{number}.key")
        reply = link.ask(f"ADD_ONION {key.blob} Flags=DiscardPK Port=80,127.0.0.1:1")
        assert f"ServiceID={key.address.removesuffix('.onion')}" in str(reply)


def test_new_key_can_be_loaded(folder: Path) -> None:
    """What was made is what is read, from a file of mode 0600 whatever the umask."""
    old = os.umask(0o777)
    try:
        made = new_key(folder / "key")
    finally:
        os.umask(old)
    assert (folder / "key").stat().st_mode & 0o7777 == 0o600
    assert load_key(folder / "key") == made
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_two_keys_differ(folder: Path) -> None:
    """Each new key is another."""
    assert new_key(folder / "one").address != new_key(folder / "two").address


def test_repr_hides_the_secret(key: OnionKey) -> None:
    """Neither ``repr`` nor ``str`` shows anything but the address."""
    assert repr(key) == str(key) == f"OnionKey(address='{key.address}')"


def test_key_is_never_overwritten(folder: Path) -> None:
    """A second key at the same path is an error, and the first stays as it was."""
    path = folder / "key"
    new_key(path)
    before = path.read_bytes()
    with pytest.raises(KeyExistsError, match=str(path)):
        new_key(path)
    assert path.read_bytes() == before


def test_key_is_never_overwritten_in_a_race(folder: Path) -> None:
    """Of many makers at once exactly one wins, and nothing of the others stays behind."""
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


def test_load_or_make(folder: Path) -> None:
    """The key is made the first time and read from then on."""
    assert load_or_make(folder / "key") == load_or_make(folder / "key")


def test_no_folder_for_the_key(folder: Path) -> None:
    """A key that cannot be written says where it should have gone."""
    with pytest.raises(OnionError, match=r"nowhere/key.*No such file"):
        new_key(folder / "nowhere" / "key")


def test_no_key(folder: Path) -> None:
    """A missing key says how to make one."""
    with pytest.raises(KeyMissingError, match=f"cccr-web onion key new {folder}/key"):
        load_key(folder / "key")


def test_key_of_somebody_else(folder: Path) -> None:
    """A key that we may not read says so."""
    new_key(folder / "key")
    (folder / "key").chmod(0)
    folder.chmod(0o755)
    with as_nobody(), pytest.raises(OnionError, match="Permission denied"):
        load_key(folder / "key")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_not_a_plain_file(folder: Path, make: object) -> None:
    """A folder or a pipe in the key's place is refused at once, without waiting."""
    assert callable(make)
    make(folder / "key")
    with pytest.raises(OnionError):
        load_key(folder / "key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601])
def test_key_open_to_others(folder: Path, mode: int) -> None:
    """A key that others can reach is refused with its mode."""
    new_key(folder / "key")
    (folder / "key").chmod(mode)
    with pytest.raises(OnionError, match=f"mode {mode:04o}"):
        load_key(folder / "key")


def test_systemd_credential(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In systemd's folder of credentials the bits of the group are an access list's."""
    made = new_key(folder / "key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    (folder / "key").chmod(0o440)
    assert load_key(folder / "key") == made
    (folder / "key").chmod(0o444)
    with pytest.raises(OnionError):
        load_key(folder / "key")


def test_every_changed_character_is_noticed(folder: Path) -> None:
    """No character of the key file, but of its comment, can change without being noticed."""
    path = folder / "key"
    new_key(path)
    content = path.read_text()
    for at in range(content.index("address"), len(content.rstrip())):
        other = "b" if content[at] == "a" else "a"
        path.write_text(content[:at] + other + content[at + 1 :])
        with pytest.raises(OnionError):
            load_key(path)


def test_cut_key(folder: Path) -> None:
    """A key file that was cut anywhere is refused."""
    path = folder / "key"
    new_key(path)
    content = path.read_bytes().rstrip()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(OnionError, match=str(path)):
            load_key(path)


@given(content=st.binary(max_size=200) | st.binary(max_size=200).map(lambda b: b"address " + b))
def test_anything_else_is_a_damaged_key(content: bytes, tmp_path_factory: object) -> None:
    """Whatever bytes lie in the key's place, the answer is the named error."""
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    path = tmp_path_factory.getbasetemp() / "any.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(OnionError):
        load_key(path)


def test_key_of_a_hidden_service_folder(folder: Path) -> None:
    """The key file of a tor HiddenServiceDir is read, and its damage is noticed."""
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
        with pytest.raises(OnionError):
            load_key(path)
