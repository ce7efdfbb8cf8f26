"""Key files: made once, readable by minisign, never overwritten."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.hosting import as_nobody
from support.signed import KEY, PUBLIC

from cccr_web.errors import CccrError
from cccr_web.release import SigningKey, new_key, read_locked_key, read_public_key

PASSPHRASE = "six words that nobody else knows"


@pytest.fixture
def quickly_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encrypt no key, which takes a second."""
    monkeypatch.setattr(SigningKey, "to_file", lambda *_: b"x")


def test_new_key_is_two_files(tmp_path: Path) -> None:
    """The secret key is readable by its owner only; the public key is in a .pub file."""
    public = new_key(tmp_path / "cccr.key", PASSPHRASE)
    assert stat.S_IMODE((tmp_path / "cccr.key").stat().st_mode) == 0o600
    assert (tmp_path / "cccr.pub").read_bytes() == public.to_file()
    assert read_public_key(str(tmp_path / "cccr.pub")) == public
    assert read_locked_key(tmp_path / "cccr.key").unlock(PASSPHRASE).public == public


def test_minisign_signs_with_our_key(tmp_path: Path) -> None:
    """The minisign command unlocks the key with its passphrase and signs."""
    new_key(tmp_path / "cccr.key", PASSPHRASE)
    (tmp_path / "m").write_bytes(b"words")
    for arguments in (["-S", "-s", "cccr.key"], ["-V", "-p", "cccr.pub"]):
        done = subprocess.run(
            ["minisign", *arguments, "-m", "m"],
            input=f"{PASSPHRASE}\n".encode(),
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("there", ["cccr.key", "cccr.pub"])
def test_no_key_is_overwritten(tmp_path: Path, there: str) -> None:
    """If either file exists, nothing is written."""
    (tmp_path / there).write_text("mine")
    with pytest.raises(CccrError, match=f"{there} exists already"):
        new_key(tmp_path / "cccr.key", PASSPHRASE)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(there, "mine")]


@pytest.mark.usefixtures("quickly_encrypted")
def test_a_dangling_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is not written to the target of a link, also of one that was made meanwhile."""
    (tmp_path / "cccr.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CccrError, match=r"cccr\.key exists already"):
        new_key(tmp_path / "cccr.key", PASSPHRASE)
    monkeypatch.setattr(os.path, "lexists", lambda _path: False)
    with pytest.raises(CccrError, match=r"cccr\.key exists already"):
        new_key(tmp_path / "cccr.key", PASSPHRASE)
    assert not (tmp_path / "elsewhere").exists()


def test_secret_key_is_not_named_like_a_public_one(tmp_path: Path) -> None:
    """The suffix .pub is for public keys."""
    with pytest.raises(CccrError, match=r"ends in \.pub"):
        new_key(tmp_path / "cccr.pub", PASSPHRASE)


def test_an_empty_passphrase_is_rejected(tmp_path: Path) -> None:
    """No key is made without a passphrase, and no file is left."""
    with pytest.raises(CccrError, match="is empty"):
        new_key(tmp_path / "cccr.key", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("passphrase", ["x", "11 letters!", "       words       "])
def test_a_short_passphrase_is_rejected(tmp_path: Path, passphrase: str) -> None:
    """Fewer than 12 characters, without blanks around them, protect nothing."""
    with pytest.raises(CccrError, match=r"fewer than 12 characters\. Choose one of six words"):
        new_key(tmp_path / "cccr.key", passphrase)
    assert list(tmp_path.iterdir()) == []


SECRET = bytes(KEY._secret)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b" \t\n\n \n",
        lambda text: text.rstrip(b"\n").replace(b"\n", b" \n"),
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n") + b"\r\n\r\n",
        lambda text: b"\n  " + text,
    ],
)
def test_a_key_file_with_blanks_around_its_lines_is_read(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    """Editors and mail programs add blanks, empty lines, a byte order mark and CR LF."""
    (tmp_path / "pub").write_bytes(change(PUBLIC.to_file()))
    (tmp_path / "key").write_bytes(change(SECRET))
    assert read_public_key(str(tmp_path / "pub")) == PUBLIC
    assert read_locked_key(tmp_path / "key").unlock("").public == PUBLIC


@pytest.mark.long
def test_a_wrong_passphrase_is_rejected(tmp_path: Path) -> None:
    """A wrong passphrase does not unlock the key."""
    (tmp_path / "key").write_bytes(KEY.to_file(PASSPHRASE))
    locked = read_locked_key(tmp_path / "key")
    with pytest.raises(CccrError, match="That is not the passphrase"):
        locked.unlock("other words")
    assert locked.unlock(PASSPHRASE).public == PUBLIC


@pytest.mark.usefixtures("quickly_encrypted")
def test_an_unwritable_path_is_an_error(tmp_path: Path) -> None:
    """The error names the file."""
    with as_nobody(), pytest.raises(CccrError, match=r"/proc/cccr\.key cannot be written"):
        new_key(Path("/proc/cccr.key"), PASSPHRASE)
    with pytest.raises(CccrError, match=r"none/cccr\.key cannot be written"):
        new_key(tmp_path / "none" / "cccr.key", PASSPHRASE)


@pytest.mark.parametrize("text", [b"", b"untrusted comment: x\n", b"words\nRWQ\n", b"\xff\xfe"])
def test_a_damaged_key_file_is_an_error(tmp_path: Path, text: bytes) -> None:
    """The error names a file that holds no secret key, or no public key."""
    (tmp_path / "key").write_bytes(text)
    with pytest.raises(CccrError, match="holds no minisign secret key"):
        read_locked_key(tmp_path / "key")
    with pytest.raises(CccrError, match="holds no minisign public key"):
        read_public_key(str(tmp_path / "key"))


def test_a_missing_key_file_is_an_error(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(CccrError, match="gone cannot be read: No such file"):
        read_locked_key(tmp_path / "gone")
    with pytest.raises(CccrError, match="gone cannot be read: No such file"):
        read_public_key(str(tmp_path / "gone"))


def test_public_key_may_be_given_as_text() -> None:
    """A public key can be given as a file or as RW… itself."""
    assert read_public_key(str(PUBLIC)) == PUBLIC
    assert read_public_key(f" {PUBLIC} \n") == PUBLIC
