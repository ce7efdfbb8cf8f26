"""Copies of a release as ``verify.py`` meets them, and what it must say of each.

Its fixtures are available to all tests: ``conftest.py`` loads this module as a plugin.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cccr_web.release import manifest, read_locked_key, sshsig
from cccr_web.release.archive import make_archive
from cccr_web.standalone import verify
from support.command import run_script
from support.signed import organisation_key, signed_release

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(verify.__file__)
run = functools.partial(run_script, SCRIPT)

FILES = {
    ".well-known/security.txt": b"Contact: none\n",
    "RELEASE.json": b"{}\n",
    "en/index.html": b"<p>What the organisation wrote.</p>\n" * 20,
    "verify.py": SCRIPT.read_bytes(),
    "zh-hans/index.html": "<p>本组织写的话。</p>\n".encode() * 20,
}


TIME = datetime(2026, 11, 22, 10, 20, 31, tzinfo=UTC)


def comment(days: int) -> str:
    """Return the signed comment of a release that expires in that many days and an hour."""
    expires = datetime.now(UTC) + timedelta(days=days, hours=1)
    return f"sequence:7 issued:{TIME:%Y-%m-%dT%H:%M:%SZ} expires:{expires:%Y-%m-%dT%H:%M:%SZ}"


COMMENT = comment(300)
UNTRUSTED = "SHA256SUMS.minisig (untrusted comment)"


@dataclass(frozen=True)
class MinisignSigner:
    """A key of minisign's own making, without a passphrase, and the command that signs."""

    folder: Path

    @property
    def public(self) -> bytes:
        """The public key's file."""
        return (self.folder / "minisign.pub").read_bytes()

    @property
    def fingerprint(self) -> str:
        """The fingerprint as the organisation prints it."""
        raw = base64.b64decode(self.public.splitlines()[1])[10:]
        digits = hashlib.sha256(raw).hexdigest()[:32].upper()
        return " ".join(digits[i : i + 4] for i in range(0, 32, 4))

    def sign(self, data: bytes, *options: str) -> bytes:
        """Return the signature file that minisign writes for ``data``."""
        file = self.folder / "data"
        file.write_bytes(data)
        command = ["minisign", "-S", "-s", "secret.key", "-m", "data", "-x", "data.minisig"]
        subprocess.run(
            [*command, *options], cwd=self.folder, check=True, capture_output=True, timeout=30
        )
        return (self.folder / "data.minisig").read_bytes()

    def sign_for_ssh(self, data: bytes) -> bytes:
        """Return the SSH signature file of the same key for ``data``."""
        return sshsig.sign(data, read_locked_key(self.folder / "secret.key").unlock(""))


def make_signer(folder: Path) -> MinisignSigner:
    """Make a new key in ``folder``, with minisign, as the organisation may."""
    assert shutil.which("minisign"), "Install Debian's package minisign."
    subprocess.run(
        ["minisign", "-G", "-W", "-p", "minisign.pub", "-s", "secret.key"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=30,
    )
    return MinisignSigner(folder)


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> MinisignSigner:
    """The organisation's key."""
    return make_signer(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def other_signer(tmp_path_factory: pytest.TempPathFactory) -> MinisignSigner:
    """Somebody else's key."""
    return make_signer(tmp_path_factory.mktemp("other"))


def sums(files: dict[str, bytes]) -> bytes:
    """Return the list over some files."""
    return manifest.format_manifest({path: manifest.digest(body) for path, body in files.items()})


def signed(signer: MinisignSigner, files: dict[str, bytes], *options: str) -> dict[str, bytes]:
    """Return a whole signed copy."""
    files = {**files, "minisign.pub": signer.public}
    text = sums(files)
    return {
        **files,
        "SHA256SUMS": text,
        "SHA256SUMS.minisig": signer.sign(text, *options),
        "SHA256SUMS.sshsig": signer.sign_for_ssh(text),
    }


@pytest.fixture(scope="session")
def good(signer: MinisignSigner) -> dict[str, bytes]:
    """A whole signed copy, file by file; not to be changed."""
    return signed(signer, FILES, "-t", COMMENT)


def pack(files: dict[str, bytes]) -> bytes:
    """Return the ZIP of a copy, as the organisation packs it."""
    return make_archive(files, TIME)


def assert_rejected(done: subprocess.CompletedProcess[str], english: str, chinese: str) -> None:
    """The copy was rejected for this reason, in both languages."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first.startswith("NOT GOOD: do not trust this copy. ")
    assert english in first
    assert second.startswith("核对失败：不要相信这份副本。")
    assert chinese in second


def assert_differs(done: subprocess.CompletedProcess[str], *differences: str) -> None:
    """Everything of ours is genuine, but for exactly these differences."""
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stderr == ""
    first, second, *lines = done.stdout.splitlines()
    assert first.startswith("GENUINE, BUT SEE BELOW. ")
    assert second.startswith("内容是真的，但请看下面几点。")
    assert [line for line in lines if line.startswith("- ")] == [
        f"- {each}" for each in differences
    ]


def count_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how many bytes of each file of a folder ``verify.py`` reads from now on."""
    read: Counter[str] = Counter()
    real = verify.Folder.blocks

    def blocks(folder: verify.Folder, name: str) -> Iterator[bytes]:
        for block in real(folder, name):
            read[name] += len(block)
            yield block

    monkeypatch.setattr(verify.Folder, "blocks", blocks)
    return read


_is_signed = functools.cache(verify.is_signed)


@pytest.fixture
def each_signature_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``verify.py`` in this process verify a signature once, which takes it 12 ms or more."""
    monkeypatch.setattr(verify, "is_signed", _is_signed)


def unverified(done: subprocess.CompletedProcess[str]) -> str:
    """Return what was reported as not verified."""
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Not verified · 未经核对："), done.stdout
    return last.partition("：")[2]


def missing(name: str) -> str:
    """Return the line about a file that is missing."""
    return f"Missing · 缺少：{name}"


def by_a_system(name: str) -> str:
    """Return the line about a file of macOS or Windows."""
    kind = "macOS and Windows add files with such names · macOS和Windows会自动添加这类名字的文件"
    return f"Not ours · 不是本组织的文件：{name!r} ({kind})"


def unknown(name: str) -> str:
    """Return the line about a file that nobody knows."""
    kind = "unknown, do not open it · 来历不明，不要打开"
    return f"Not ours · 不是本组织的文件：{name!r} ({kind})"


def moved(name: str, place: str) -> str:
    """Return the line about a genuine file that is not where the list names it."""
    kind = f"a genuine copy of {place} · 内容与{place}完全相同，是真的"
    return f"In another place · 不在原来的位置：{name!r} ({kind})"


def zip_of(tmp_path: Path, body: bytes) -> Path:
    """Write a ZIP and return its path."""
    file = tmp_path / "cccr-web.zip"
    file.write_bytes(body)
    return file


ORGANISATION = str(organisation_key().public.fingerprint)


def released(*names: str) -> dict[str, bytes]:
    """Return files of a release, without their folders, and the list with its signatures."""
    files = signed_release(2).files
    lists = ("SHA256SUMS", "SHA256SUMS.minisig", "SHA256SUMS.sshsig")
    return {name.rpartition("/")[2]: files[name].body for name in (*lists, *names)}
