"""``verify.py``, run alone as a reader runs it, on copies that are good and that are not."""

from __future__ import annotations

import ast
import base64
import binascii
import functools
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.command import PYTHON, run_script
from support.signed import put

from cccr_web.release import manifest
from cccr_web.standalone import verify

SCRIPT = Path(verify.__file__)
run = functools.partial(run_script, SCRIPT)

FILES = {
    ".well-known/security.txt": b"Contact: none\n",
    "RELEASE.json": b"{}\n",
    "en/index.html": b"<p>What the organisation wrote.</p>\n" * 20,
    "verify.py": SCRIPT.read_bytes(),
    "zh-hans/index.html": "<p>本组织写的话。</p>\n".encode() * 20,
}


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


def make_signer(folder: Path) -> MinisignSigner:
    """Make a new key in ``folder``."""
    subprocess.run(
        ["minisign", "-G", "-W", "-p", "minisign.pub", "-s", "secret.key"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=30,
    )
    return MinisignSigner(folder)


@pytest.fixture(autouse=True, scope="session")
def minisign_is_there() -> None:
    """The tests sign with the minisign command, as the organisation may."""
    assert shutil.which("minisign"), "Install Debian's package minisign."


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
    return {**files, "SHA256SUMS": text, "SHA256SUMS.minisig": signer.sign(text, *options)}


@pytest.fixture(scope="session")
def good(signer: MinisignSigner) -> dict[str, bytes]:
    """A whole signed copy, file by file; not to be changed."""
    return signed(signer, FILES, "-t", "release 7 of 2026-11-22")


def pack(files: dict[str, bytes], top: str = "cccr-web/") -> bytes:
    """Return a ZIP of a copy."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(top + name), body, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def assert_rejected(done: subprocess.CompletedProcess[str], english: str, chinese: str) -> None:
    """The copy was rejected for this reason, in both languages."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first.startswith("NOT GOOD: do not trust this copy. ")
    assert english in first
    assert second.startswith("核对失败：不要相信这份副本。")
    assert chinese in second


def test_a_good_folder_passes(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A complete signed folder passes in both languages, with its trusted comment."""
    done = run(put(good, tmp_path), signer.fingerprint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"GOOD. All 6 files are exactly what was signed with the key {signer.fingerprint}.",
        f"核对无误。全部6个文件都与密钥{signer.fingerprint}签名的内容完全相同。",
        "Signed with it · 一并签名的说明：release 7 of 2026-11-22",
    ]


def test_a_good_zip_passes(tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner) -> None:
    """The ZIP of a copy is verified without being unpacked."""
    file = tmp_path / "cccr-web.zip"
    file.write_bytes(pack(good))
    done = run(file, signer.fingerprint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cccr-web.zip"]


def test_without_a_folder_the_script_checks_its_own(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """With only the fingerprint, the script checks its own folder."""
    put(good, tmp_path)
    done = subprocess.run(
        [PYTHON, "-I", "-S", tmp_path / "verify.py", *signer.fingerprint.split()],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    # A file left behind would make the next check reject the copy.
    assert run(tmp_path, signer.fingerprint).returncode == 0


@pytest.mark.parametrize(
    "typed",
    [
        lambda fingerprint: [fingerprint],
        lambda fingerprint: fingerprint.split(),
        lambda fingerprint: [fingerprint.replace(" ", "").lower()],
        lambda fingerprint: [fingerprint.replace(" ", ":")],
    ],
)
def test_a_fingerprint_may_be_typed_with_or_without_gaps(
    tmp_path: Path,
    good: dict[str, bytes],
    signer: MinisignSigner,
    typed: Callable[[str], list[str]],
) -> None:
    """The fingerprint is accepted in every usual spelling."""
    assert run(put(good, tmp_path), *typed(signer.fingerprint)).returncode == 0


def test_other_signatures_may_be_next_to_the_manifest(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The SSH and OpenPGP signatures are not unlisted files."""
    more = {"SHA256SUMS.sshsig": b"x", "SHA256SUMS.asc": b"x"}
    assert run(put({**good, **more}, tmp_path), signer.fingerprint).returncode == 0


@pytest.mark.parametrize("name", [*FILES, "minisign.pub", "SHA256SUMS", "SHA256SUMS.minisig"])
def test_a_changed_bit_is_found_in_every_file(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """With one bit changed in any file, the copy is rejected."""
    body = bytearray(good[name])
    body[len(body) // 2] ^= 1
    done = run(put({**good, name: bytes(body)}, tmp_path), signer.fingerprint)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("NOT GOOD")


def test_a_changed_page_is_named(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The error names the changed page."""
    copy = put({**good, "en/index.html": b"<p>Forged.</p>"}, tmp_path)
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "en/index.html was changed.", "en/index.html被改动过。")


def test_an_added_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A file that the manifest does not list is an error."""
    done = run(put({**good, "en/extra.html": b""}, tmp_path), signer.fingerprint)
    assert_rejected(done, "'en/extra.html' is not in the list", "清单里没有'en/extra.html'")


def test_a_missing_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The error names the listed file that is missing."""
    copy = put(good, tmp_path)
    (copy / "zh-hans/index.html").unlink()
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "zh-hans/index.html is missing.", "缺少zh-hans/index.html。")


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.minisig", "minisign.pub"])
def test_an_unsigned_copy_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """The manifest, its signature and the key are all required."""
    copy = put(good, tmp_path)
    (copy / name).unlink()
    done = run(copy, signer.fingerprint)
    assert_rejected(done, f"{name} is missing", f"缺少{name}")


def test_a_link_to_a_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A link is rejected even if its target has the right bytes."""
    copy = put(good, tmp_path / "copy")
    (copy / "en/index.html").rename(tmp_path / "elsewhere")
    (copy / "en/index.html").symlink_to(tmp_path / "elsewhere")
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "'en/index.html' is a link", "'en/index.html'是链接")


def test_a_link_to_a_folder_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A folder that is a link is rejected, and so is a loop of links."""
    copy = put(good, tmp_path / "copy")
    (copy / "loop").symlink_to(copy, target_is_directory=True)
    assert_rejected(run(copy, signer.fingerprint), "'loop' is a link", "'loop'是链接")


def test_a_pipe_is_rejected(tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner) -> None:
    """A named pipe in place of a page does not block the script."""
    copy = put(good, tmp_path)
    (copy / "en/index.html").unlink()
    os.mkfifo(copy / "en/index.html")
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "'en/index.html' is a link or not a file", "'en/index.html'是链接")


def test_another_fingerprint_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, other_signer: MinisignSigner
) -> None:
    """A complete copy that is signed by another key is rejected."""
    done = run(put(good, tmp_path), other_signer.fingerprint)
    assert_rejected(done, f"another key, {signer.fingerprint}", "另一把密钥")


def test_a_signature_by_another_key_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, other_signer: MinisignSigner
) -> None:
    """The right public key does not help a manifest that another key signed."""
    forged = {**good, "SHA256SUMS.minisig": other_signer.sign(good["SHA256SUMS"])}
    done = run(put(forged, tmp_path), signer.fingerprint)
    assert_rejected(done, "made with another key", "另一把密钥签的")


def test_a_signature_by_another_key_with_our_number_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, other_signer: MinisignSigner
) -> None:
    """The key number in a signature proves nothing."""
    ours = good["SHA256SUMS.minisig"].split(b"\n")
    theirs = other_signer.sign(good["SHA256SUMS"]).split(b"\n")
    head = base64.b64decode(ours[1])[:10] + base64.b64decode(theirs[1])[10:]
    theirs[1] = base64.b64encode(head)
    done = run(
        put({**good, "SHA256SUMS.minisig": b"\n".join(theirs)}, tmp_path), signer.fingerprint
    )
    assert_rejected(done, "does not match SHA256SUMS", "签名与SHA256SUMS不符")


def test_a_signature_of_another_manifest_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A true signature of an older manifest does not match this one."""
    old = signed(signer, {**FILES, "en/index.html": b"older"})
    done = run(
        put({**good, "SHA256SUMS.minisig": old["SHA256SUMS.minisig"]}, tmp_path),
        signer.fingerprint,
    )
    assert_rejected(done, "does not match SHA256SUMS", "签名与SHA256SUMS不符")


def test_a_legacy_signature_is_rejected(tmp_path: Path, signer: MinisignSigner) -> None:
    """A valid signature of the older kind, which is not prehashed, is rejected."""
    done = run(put(signed(signer, FILES, "-l"), tmp_path), signer.fingerprint)
    assert_rejected(done, "a kind that the organisation does not use", "不是本组织使用的签名种类")


def test_a_changed_comment_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The trusted comment cannot be changed, for example to call an old release new."""
    forged = good["SHA256SUMS.minisig"].replace(b"release 7", b"release 9")
    assert forged != good["SHA256SUMS.minisig"]
    done = run(put({**good, "SHA256SUMS.minisig": forged}, tmp_path), signer.fingerprint)
    assert_rejected(done, "comment in SHA256SUMS.minisig was changed", "说明被人改动过")


def _other_base64(text: bytes) -> bytes:
    """Write the same signature differently, by changing a bit that has no meaning."""
    before, after = text.split(b"=", 1)
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    changed = before[:-1] + letters[letters.index(before[-1]) ^ 1 :][:1] + b"=" + after
    line, other = text.split(b"\n")[1], changed.split(b"\n")[1]
    assert line != other
    assert base64.b64decode(line) == base64.b64decode(other)
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:0],
        lambda text: text[:-1],
        lambda text: text + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"untrusted comment: ", b""),
        lambda text: text.replace(b"trusted comment: release", b"comment: release"),
        lambda text: text.replace(b"=", b"", 1),
        lambda text: text.replace(b"\n", b"\n ", 1),
        _other_base64,
    ],
)
def test_a_malformed_signature_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, change: Callable[[bytes], bytes]
) -> None:
    """A signature file that is not exactly in minisign's format is rejected."""
    broken = change(good["SHA256SUMS.minisig"])
    done = run(put({**good, "SHA256SUMS.minisig": broken}, tmp_path), signer.fingerprint)
    assert_rejected(done, "SHA256SUMS.minisig is damaged.", "SHA256SUMS.minisig已损坏。")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:0],
        lambda text: text[:-1],
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text + text.splitlines()[-1] + b"\n",
        lambda text: b"".join(reversed(text.splitlines(keepends=True))),
        lambda text: text.replace(b"  en/", b" *en/"),
        lambda text: text.replace(b"  en/", b"  ../en/"),
        lambda text: text.replace(b"  en/", b"  /en/"),
        lambda text: text.replace(b"  en/", b"  en\\"),
        lambda text: text.replace(b"  en/", b"  EN\0/"),
        lambda text: text.upper(),
        lambda text: text + b"\n",
    ],
)
def test_a_malformed_manifest_is_rejected_even_if_signed(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, change: Callable[[bytes], bytes]
) -> None:
    """A manifest that two programs could read differently is rejected."""
    text = change(good["SHA256SUMS"])
    assert text != good["SHA256SUMS"]
    copy = {**good, "SHA256SUMS": text, "SHA256SUMS.minisig": signer.sign(text)}
    done = run(put(copy, tmp_path), signer.fingerprint)
    assert done.returncode == 1, done.stdout
    assert "SHA256SUMS" in done.stdout
    assert "已损坏" in done.stdout or "不完整" in done.stdout or "缺少" in done.stdout


def test_a_manifest_that_lists_a_signature_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A signature is made after the manifest, so the manifest cannot list it."""
    files = {path: good[path] for path in (*FILES, "minisign.pub")}
    copy = signed(signer, {**files, "SHA256SUMS.asc": b"x"})
    done = run(put(copy, tmp_path), signer.fingerprint)
    assert_rejected(done, "SHA256SUMS, line 3, is damaged.", "SHA256SUMS第3行已损坏。")


def test_a_huge_manifest_is_not_parsed(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A manifest longer than any of ours is rejected before it is parsed."""
    copy = put(good, tmp_path)
    with (copy / "SHA256SUMS").open("r+b") as file:
        file.truncate(verify.MAX_LIST + 1)
    assert_rejected(run(copy, signer.fingerprint), "SHA256SUMS is too long", "SHA256SUMS太长")


def zip_of(tmp_path: Path, body: bytes) -> Path:
    """Write a ZIP and return its path."""
    file = tmp_path / "cccr-web.zip"
    file.write_bytes(body)
    return file


def rewrite(files: dict[str, bytes], add: Callable[[zipfile.ZipFile], None]) -> bytes:
    """Return the ZIP of a copy to which ``add`` has added something."""
    packed = io.BytesIO(pack(files))
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        add(archive)
    return packed.getvalue()


def test_a_zip_with_a_changed_page_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A ZIP is verified like a folder."""
    file = zip_of(tmp_path, pack({**good, "en/index.html": b"forged"}))
    assert_rejected(run(file, signer.fingerprint), "en/index.html was changed", "被改动过")


def test_a_zip_with_an_added_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """An entry that the manifest does not list is an error."""
    file = zip_of(tmp_path, pack({**good, "setup.exe": b"MZ"}))
    assert_rejected(run(file, signer.fingerprint), "'setup.exe' is not in the list", "清单里没有")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_zip_with_a_duplicate_name_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Of two files with one name, programs may unpack either."""
    body = rewrite(good, lambda archive: archive.writestr("cccr-web/en/index.html", b"forged"))
    done = run(zip_of(tmp_path, body), signer.fingerprint)
    assert_rejected(done, "holds 'cccr-web/en/index.html' twice", "有两个'cccr-web/en/index.html'")


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "cccr-web/../../evil",
        "/etc/evil",
        "cccr-web/en\\..\\evil",
        "C:/evil",
        "evil",
        "cccr-web/.hidden",
        "cccr-web/en/",
        "cccr-web/é",
        "CCCR-WEB/en/index.html",
    ],
)
def test_a_zip_with_a_bad_name_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """A name that leads out of the folder, or that we would not use, is rejected."""
    body = rewrite(good, lambda archive: archive.writestr(name, b""))
    done = run(zip_of(tmp_path, body), signer.fingerprint)
    assert_rejected(done, "The ZIP holds the bad name", "ZIP里有不该有的文件名")


def test_a_zip_with_a_nul_in_a_name_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Programs disagree about what follows a NUL in a name."""
    body = pack({**good, "en/zzzzzzzz": b""}).replace(b"en/zzzzzzzz", b"en/zz\0zzzzz")
    done = run(zip_of(tmp_path, body), signer.fingerprint)
    assert_rejected(done, "The ZIP holds the bad name", "ZIP里有不该有的文件名")


def test_a_zip_with_a_link_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Unpacking would create the link on the reader's disk."""
    info = zipfile.ZipInfo("cccr-web/en/zz.html")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    body = rewrite(good, lambda archive: archive.writestr(info, b"/etc/passwd"))
    done = run(zip_of(tmp_path, body), signer.fingerprint)
    assert_rejected(done, "'cccr-web/en/zz.html' is a link", "是链接")


def test_a_zip_bomb_is_rejected_before_it_is_unpacked(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A small ZIP that declares gigabytes is rejected at once."""
    zeros = bytes(verify.MAX_BYTES // 16)

    def add(archive: zipfile.ZipFile) -> None:
        for number in range(17):
            archive.writestr(f"cccr-web/zz{number:02}", zeros, compresslevel=1)

    done = run(zip_of(tmp_path, rewrite(good, add)), signer.fingerprint)
    assert_rejected(done, "The ZIP holds far more than our site.", "ZIP里的内容远多于本站。")


def test_a_zip_bomb_that_lies_about_its_size_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """No more is unpacked than the ZIP has declared."""
    body = pack({**good, "en/index.html": bytes(100_000_000)})
    size, lie = (100_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    assert body.count(size) == 2
    done = run(zip_of(tmp_path, body.replace(size, lie)), signer.fingerprint)
    assert_rejected(done, "It is damaged", "它已损坏")


def test_a_zip_of_too_many_files_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """More files than the site can have are rejected before any is read."""
    body = pack({**good, **{f"z/{number}": b"" for number in range(verify.MAX_FILES)}})
    done = run(zip_of(tmp_path, body), signer.fingerprint)
    assert_rejected(done, "far more than our site", "远多于本站")


def _patched(body: bytes, method: int) -> bytes:
    """Return the ZIP with another method of compression written into its first file."""
    at = body.index(b"PK\x01\x02")
    new = method.to_bytes(2, "little")
    body = body[: at + 10] + new + body[at + 12 :]
    return body[:8] + new + body[10:]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:0],
        lambda body: b"no ZIP at all" + body[:0],
        lambda body: body[: len(body) // 2],
        lambda body: body[:-1],
        lambda body: body + b"x",
        lambda body: b"#!/bin/sh\n" + body,
        lambda body: body[:-2] + b"\x04\x00evil",
        lambda body: body[:-2] + b"\x04\x00",
        lambda body: body[:-22] + b"evil" + body[-22:],
        lambda body: _patched(body, zipfile.ZIP_BZIP2),
        lambda body: _patched(body, 99),
    ],
)
def test_a_damaged_zip_is_rejected(
    tmp_path: Path,
    good: dict[str, bytes],
    signer: MinisignSigner,
    change: Callable[[bytes], bytes],
) -> None:
    """Damage, or bytes before, after or between the files, is an error."""
    done = run(zip_of(tmp_path, change(pack(good))), signer.fingerprint)
    assert_rejected(done, "It is damaged", "它已损坏或无法读取。")


def test_a_file_hidden_between_entries_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A file that only a program reading from the front would unpack is an error."""
    packed = io.BytesIO(pack(good))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("cccr-web/setup.exe", b"MZ")
        # It stays in the ZIP, but not in its directory.
        hidden = archive.NameToInfo.pop("cccr-web/setup.exe")
        archive.filelist.remove(hidden)
    assert b"setup.exe" in packed.getvalue()
    done = run(zip_of(tmp_path, packed.getvalue()), signer.fingerprint)
    assert_rejected(done, "It is damaged", "它已损坏")


def test_an_entry_inside_another_file_is_rejected(tmp_path: Path, signer: MinisignSigner) -> None:
    """A directory that points into another file's bytes, past a decoy, is an error."""

    def stored(files: dict[str, bytes]) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, body in files.items():
                archive.writestr(zipfile.ZipInfo("cccr-web/" + name), body)
        return packed.getvalue()

    page, decoy = b"<p>What we wrote.</p>", b"<p>What they wrote</p"
    assert len(page) == len(decoy)
    alone = stored({"b.html": page})
    entry = alone[: alone.index(b"PK\1\2")]
    packed = stored(signed(signer, {"a.bin": entry, "b.html": page}))
    inside, outside = packed.index(entry), packed.rindex(entry)
    assert inside < outside
    # The page itself is replaced; the directory leads to its copy inside the other file.
    at = packed.rindex(b"PK\1\2", 0, packed.rindex(b"cccr-web/b.html"))
    forged = bytearray(packed)
    forged[outside : outside + len(entry)] = entry.replace(page, decoy)
    forged[at + 42 : at + 46] = inside.to_bytes(4, "little")
    with zipfile.ZipFile(io.BytesIO(forged)) as archive:
        assert archive.read("cccr-web/b.html") == page
    done = run(zip_of(tmp_path, bytes(forged)), signer.fingerprint)
    # Not every Python would notice by itself, as Debian's does.
    assert_rejected(done, "(cccr-web/b.html)", "它已损坏")


def test_a_second_name_for_a_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """An extra field can give a file another name (APPNOTE.TXT, 4.6.9)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in good.items():
            info = zipfile.ZipInfo("cccr-web/" + name)
            if name == "en/index.html":
                other = b"\1" + binascii.crc32(info.filename.encode()).to_bytes(4, "little") + b"x"
                info.extra = b"up" + len(other).to_bytes(2, "little") + other
            archive.writestr(info, body)
    done = run(zip_of(tmp_path, packed.getvalue()), signer.fingerprint)
    assert_rejected(done, "It is damaged", "它已损坏")


def test_an_unusual_compression_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Not every program could unpack such a ZIP."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as archive:
        for name, body in good.items():
            archive.writestr("cccr-web/" + name, body)
    done = run(zip_of(tmp_path, packed.getvalue()), signer.fingerprint)
    assert_rejected(done, "It is damaged", "它已损坏")


def test_no_change_to_a_zip_passes_unless_its_files_are_the_same(
    tmp_path: Path, signer: MinisignSigner, capsys: pytest.CaptureFixture[str]
) -> None:
    """With each byte changed in turn, a ZIP is rejected, or unpacks to the same files."""
    files = {"RELEASE.json": b"{}\n", "en/index.html": b"<p>text</p>" * 9}
    original = pack(signed(signer, files))
    contents = _contents(original)
    file = tmp_path / "cccr-web.zip"
    passed = 0
    for position in range(len(original)):
        body = bytearray(original)
        body[position] ^= 0x55
        file.write_bytes(body)
        code = verify.main([str(file), signer.fingerprint])
        words = capsys.readouterr().out
        assert words.startswith("GOOD." if code == 0 else "NOT GOOD"), position
        if code == 0:
            passed += 1
            assert _contents(bytes(body)) == contents, position
    # Of each file, what no program unpacks: when and by which version it was packed.
    assert passed <= 20 * len(contents)


def _contents(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["."],
        [".", "ABCD"],
        [".", "no fingerprint, 32 characters long"],
        ["no-such-folder", "0" * 32],
        [".", "0" * 33],
    ],
)
def test_wrong_usage_exits_2_in_both_languages(tmp_path: Path, arguments: list[str]) -> None:
    """The message says what to type."""
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    english, chinese = done.stderr.splitlines()
    assert english.isascii()
    assert not chinese.isascii()


def test_a_console_without_chinese_still_gets_its_answer(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The check continues where the console cannot show Chinese."""
    done = subprocess.run(
        [PYTHON, "-S", SCRIPT, put(good, tmp_path), signer.fingerprint],
        check=False,
        capture_output=True,
        timeout=60,
        env={"PYTHONIOENCODING": "ascii:strict"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"GOOD.")


def test_hostile_names_cannot_write_to_the_terminal(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Control characters in a name or a comment do not reach the reader's terminal."""
    done = run(put({**good, "\x1b[2Jgood": b""}, tmp_path / "1"), signer.fingerprint)
    assert_rejected(done, r"'\x1b[2Jgood' is not in the list", "清单里没有")
    done = run(
        put(signed(signer, FILES, "-t", "release \x1b[2J"), tmp_path / "2"), signer.fingerprint
    )
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


def test_the_script_runs_on_python_3_8_with_only_the_standard_library() -> None:
    """The script is written for Python 3.8 and needs no other package."""
    tree = ast.parse(SCRIPT.read_bytes(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    # Methods of str that came with 3.9.
    assert not {"removeprefix", "removesuffix"} & {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }


def test_the_script_parses_manifests_by_the_rules_of_the_server() -> None:
    """The script, which imports nothing of ours, has the server's patterns and limits."""
    assert verify.NAME.pattern == manifest._PATH.pattern
    assert verify.LINE.pattern == manifest._LINE.pattern
    assert verify.MAX_LIST == manifest.MAX_BYTES


# RFC 8032, section 7.1: tests 1 to 3, as (public key, message, signature).
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_hold(key: str, message: str, signature: str) -> None:
    """The arithmetic gives the results of the RFC's examples, and rejects changed ones."""
    key_, message_, signature_ = map(bytes.fromhex, (key, message, signature))
    assert verify.is_signed(key_, message_, signature_)
    assert not verify.is_signed(key_, message_ + b"x", signature_)
    # The same signature with the order of the group added (section 5.1.7, step 1).
    s = int.from_bytes(signature_[32:], "little") + verify.L
    assert not verify.is_signed(key_, message_, signature_[:32] + s.to_bytes(32, "little"))


def test_the_arithmetic_agrees_with_openssl() -> None:
    """Valid and changed signatures of many keys get the same result as from OpenSSL."""
    for number in range(60):
        private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(bytes([number])).digest())
        public = private.public_key()
        message = bytes(range(number))
        signature = bytearray(private.sign(message))
        if number % 2:
            signature[number] ^= 1 << number % 8
        theirs = True
        try:
            public.verify(bytes(signature), message)
        except InvalidSignature:
            theirs = False
        assert verify.is_signed(public.public_bytes_raw(), message, bytes(signature)) == theirs
        assert theirs == (number % 2 == 0)
