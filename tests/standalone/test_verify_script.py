"""``verify.py``, run alone as a reader runs it, on copies that are good and that are not."""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.attacks.target import AttackTarget
from support.command import PYTHON, run_script
from support.signed import ARMOUR, organisation_key, put, signed_release

from cccr_web.release import manifest, read_locked_key, sshsig
from cccr_web.release.archive import make_archive
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


def test_a_good_folder_passes(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A complete signed folder passes in both languages, with its trusted comment."""
    done = run(put(good, tmp_path), signer.fingerprint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"GOOD. All 6 files are exactly what was signed with the key {signer.fingerprint}.",
        f"核对无误。全部6个文件都与用密钥{signer.fingerprint}签署的内容完全相同。",
        f"Signed comment · 同时签署的说明：{COMMENT}",
        f"Not verified · 未经核对：{UNTRUSTED}",
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


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.minisig", "minisign.pub"])
def test_an_unsigned_copy_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """The manifest, its signature and the key are all required."""
    copy = put(good, tmp_path)
    (copy / name).unlink()
    if name == "minisign.pub":
        (copy / "SHA256SUMS.sshsig").unlink()  # it has the key, too
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


def test_a_pipe_is_rejected(tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner) -> None:
    """A named pipe in place of a page does not block the script."""
    copy = put(good, tmp_path)
    (copy / "en/index.html").unlink()
    os.mkfifo(copy / "en/index.html")
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "'en/index.html' is a link, or not a file", "'en/index.html'是链接")


def test_another_fingerprint_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, other_signer: MinisignSigner
) -> None:
    """A complete copy that is signed by another key is rejected."""
    done = run(put(good, tmp_path), other_signer.fingerprint)
    assert_rejected(done, f"typed, but {signer.fingerprint}.", f"而是{signer.fingerprint}。")


def test_a_signature_by_another_key_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, other_signer: MinisignSigner
) -> None:
    """The right public key does not help a manifest that another key signed."""
    forged = {**good, "SHA256SUMS.minisig": other_signer.sign(good["SHA256SUMS"])}
    done = run(put(forged, tmp_path), signer.fingerprint)
    assert_rejected(done, "made with another key", "另一把密钥签署的")


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
    assert_rejected(
        done, "a kind of signature that the organisation does not use", "本组织从不使用"
    )


def test_a_changed_comment_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The trusted comment cannot be changed, for example to call an old release new."""
    forged = good["SHA256SUMS.minisig"].replace(b"sequence:7", b"sequence:9")
    assert forged != good["SHA256SUMS.minisig"]
    done = run(put({**good, "SHA256SUMS.minisig": forged}, tmp_path), signer.fingerprint)
    assert_rejected(done, "comment in SHA256SUMS.minisig was changed", "说明被改动过")


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
        lambda text: text.replace(b"trusted comment: seq", b"comment: seq"),
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
    assert_rejected(done, "Line 3 of SHA256SUMS is damaged.", "SHA256SUMS第3行已损坏。")


def test_a_huge_manifest_is_not_parsed(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A manifest longer than any of ours is rejected before it is parsed."""
    copy = put(good, tmp_path)
    with (copy / "SHA256SUMS").open("r+b") as file:
        file.truncate(verify.MAX_LIST + 1)
    assert_rejected(run(copy, signer.fingerprint), "SHA256SUMS is too large", "SHA256SUMS太大")


def zip_of(tmp_path: Path, body: bytes) -> Path:
    """Write a ZIP and return its path."""
    file = tmp_path / "cccr-web.zip"
    file.write_bytes(body)
    return file


def test_a_zip_bomb_is_rejected_before_it_is_unpacked(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A small ZIP that declares gigabytes is rejected at once."""
    zeros = bytes(verify.MAX_BYTES // 16)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in {**good, **{f"zz{number:02}": zeros for number in range(17)}}.items():
            entry = zipfile.ZipInfo("cccr-web/" + name)
            archive.writestr(entry, body, zipfile.ZIP_DEFLATED, compresslevel=1)
    done = run(zip_of(tmp_path, packed.getvalue()), signer.fingerprint)
    assert_rejected(done, "The ZIP contains far more than our site.", "ZIP里的内容远多于本站。")


def test_a_zip_of_too_many_files_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """More files than the site can have, even with those that macOS adds, are not read."""
    count = (3 * verify.MAX_FILES + 1).to_bytes(2, "little")
    body = bytearray(pack(good))
    body[-14:-10] = count + count
    done = run(zip_of(tmp_path, bytes(body)), signer.fingerprint)
    assert_rejected(done, "far more than our site", "远多于本站")


def test_a_zip_with_a_changed_page_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A ZIP is verified like a folder."""
    file = zip_of(tmp_path, pack({**good, "en/index.html": b"forged"}))
    assert_rejected(run(file, signer.fingerprint), "en/index.html was changed", "被改动过")


def test_no_change_to_a_zip_passes_as_ours(
    tmp_path: Path, signer: MinisignSigner, capsys: pytest.CaptureFixture[str]
) -> None:
    """With each byte changed in turn, a ZIP is not ours, and rejected if its files changed."""
    files = {"RELEASE.json": b"{}\n", "en/index.html": b"<p>text</p>" * 9}
    original = pack(signed(signer, files, "-t", COMMENT))
    contents = _contents(original)
    file = tmp_path / "cccr-web.zip"
    codes = Counter[int]()
    for position in range(len(original)):
        body = bytearray(original)
        body[position] ^= 0x55
        file.write_bytes(body)
        code = verify.main([str(file), signer.fingerprint])
        words = capsys.readouterr().out
        assert words.startswith("GENUINE, BUT" if code == 3 else "NOT GOOD"), position
        codes[code] += 1
        if code == 3:
            assert _contents(bytes(body)) == contents, position
    assert codes[0] == 0
    # Of each file, what no program unpacks: the version that packed it, and its permissions.
    assert codes[3] <= 5 * len(contents)


def _contents(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- Expiry ---


@pytest.mark.parametrize(
    ("days", "english", "chinese"),
    [
        (14, "", ""),
        (13, "13 days left", "还剩13天"),
        (1, "1 day left", "还剩1天"),
        (0, "less than a day left", "还剩不到1天"),
    ],
)
def test_the_days_left_are_reported_from_14_days_ahead(
    tmp_path: Path, signer: MinisignSigner, days: int, english: str, chinese: str
) -> None:
    """A copy that expires within 14 days is good, and the days left are printed."""
    said = comment(days)
    copy = put(signed(signer, FILES, "-t", said), tmp_path / "copy")
    for path in (copy, _alone(copy)):
        done = run(path, signer.fingerprint)
        assert done.returncode == 0, done.stdout
        lines = [line for line in done.stdout.splitlines() if line.startswith("Valid until")]
        day = said[-20:-10]
        line = f"Valid until {day}, {english} · 有效期至{day}，{chinese}"
        assert lines == ([line] if english else [])


def _alone(copy: Path) -> Path:
    """Put one file of a copy next to its list; return the file."""
    file = copy.parent / f"{copy.name}-alone" / "index.html"
    put({"index.html": (copy / "en/index.html").read_bytes()}, file.parent)
    for name in ("SHA256SUMS", "SHA256SUMS.minisig", "minisign.pub"):
        shutil.copy(copy / name, file.parent)
    return file


def test_an_expired_copy_is_genuine_with_a_warning(tmp_path: Path, signer: MinisignSigner) -> None:
    """A folder, a ZIP and a single file of an expired release exit with 3 and name the day."""
    said = comment(-2)
    files = signed(signer, FILES, "-t", said)
    copy = put(files, tmp_path / "copy")
    (tmp_path / "cccr-web.zip").write_bytes(pack(files))
    day = said[-20:-10]
    for path in (copy, tmp_path / "cccr-web.zip", _alone(copy)):
        done = run(path, signer.fingerprint)
        assert_differs(
            done,
            f"It expired on {day} by this computer's clock: look for a newer one · "
            f"按这台电脑的时钟，它已在{day}过期：请另找一份更新的",
        )
        assert "Valid until" not in done.stdout


# --- Three verdicts: what is genuine but not alone or not complete is not called forged ---


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "en/.DS_Store",
        "._index.html",
        "en/._index.html",
        "Thumbs.db",
        "en/thumbs.db",
        "desktop.ini",
        "Desktop.ini",
        "__MACOSX/en/._index.html",
    ],
)
def test_a_file_that_a_system_adds_is_no_alarm(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """Everything of ours is genuine, and the file is named as one of macOS or Windows."""
    done = run(put({**good, name: b"Bud1"}, tmp_path), signer.fingerprint)
    assert_differs(done, by_a_system(name))
    assert done.stdout.startswith("GENUINE, BUT SEE BELOW. All 6 files are exactly what ")


def test_the_file_that_a_mirror_adds_is_no_alarm(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The empty file for GitHub Pages is named as one of a mirror, but only at its place."""
    done = run(put({**good, ".nojekyll": b"", "en/.nojekyll": b""}, tmp_path), signer.fingerprint)
    kind = "mirrors add a file with this name · 镜像网站会添加这个名字的文件"
    known = f"Not ours · 不是本组织的文件：'.nojekyll' ({kind})"
    assert_differs(done, known, unknown("en/.nojekyll"))


@pytest.mark.parametrize(
    "name",
    ["en/extra.html", ".htaccess", "setup.exe", "DS_Store", "en/thumbs.db.exe", "说明.txt"],
)
def test_an_unknown_file_is_named_as_unknown(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """A file that is not ours is named, with a warning not to open it."""
    done = run(put({**good, name: b"MZ"}, tmp_path), signer.fingerprint)
    assert_differs(done, unknown(name))


def test_whatever_else_is_in_a_folder_is_named(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Links, pipes and empty folders are named as well; a loop of links ends nothing."""
    copy = put(good, tmp_path / "copy")
    (copy / "loop").symlink_to(copy, target_is_directory=True)
    (copy / "link").symlink_to(tmp_path)
    os.mkfifo(copy / "pipe")
    (copy / "empty").mkdir()
    done = run(copy, signer.fingerprint)
    assert_differs(done, unknown("empty/"), unknown("link"), unknown("loop"), unknown("pipe"))


def test_every_missing_file_is_named(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A part of a copy is genuine; what is missing is listed, before what is not ours."""
    copy = put({**good, ".DS_Store": b""}, tmp_path)
    (copy / "zh-hans/index.html").unlink()
    (copy / "RELEASE.json").unlink()
    done = run(copy, signer.fingerprint)
    assert_differs(
        done, missing("RELEASE.json"), missing("zh-hans/index.html"), by_a_system(".DS_Store")
    )
    assert " 4 of 6 files are exactly " in done.stdout
    assert "6个文件中的4个与用密钥" in done.stdout


def test_a_changed_file_counts_more_than_a_missing_one(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A copy with a changed file is rejected, whatever else is wrong with it."""
    copy = put({**good, "en/index.html": b"forged", ".DS_Store": b""}, tmp_path)
    (copy / "RELEASE.json").unlink()
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "en/index.html was changed.", "en/index.html被改动过。")


def test_a_folder_in_place_of_a_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A browser may show what such a folder holds as the page."""
    copy = put(good, tmp_path)
    (copy / "en/index.html").unlink()
    put({"en/index.html/index.html": b"forged"}, copy)
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "'en/index.html' is a link, or not a file", "'en/index.html'是链接")


def test_a_link_above_a_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A folder of ours that is a link can lead to other files tomorrow."""
    copy = put(good, tmp_path / "copy")
    (copy / "en").rename(tmp_path / "elsewhere")
    (copy / "en").symlink_to(tmp_path / "elsewhere")
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "'en' is a link, or not a file", "'en'是链接")


def test_the_folder_that_holds_the_copy_will_do(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The copy in a folder is found and named."""
    put(good, tmp_path / "cccr-web")
    done = run(tmp_path, signer.fingerprint)
    assert done.returncode == 0, done.stdout
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("GOOD. All 6 files in 'cccr-web' are exactly what ")
    assert second.startswith("核对无误。'cccr-web'里的全部6个文件都与")


def test_what_lies_next_to_the_copy_is_named_but_not_read(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A folder next to the copy is named once, whatever it holds."""
    put(good, tmp_path / "cccr-web")
    put({"__MACOSX/a": b"", "photos/1": b"", "photos/2": b"", "cccr-web.zip": b""}, tmp_path)
    done = run(tmp_path, signer.fingerprint)
    assert_differs(done, by_a_system("__MACOSX/"), unknown("cccr-web.zip"), unknown("photos/"))


def test_the_program_itself_may_lie_next_to_the_copy(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A reader who got the program elsewhere puts it there and types the fingerprint alone."""
    put(good, tmp_path / "cccr-web")
    shutil.copy(SCRIPT, tmp_path)
    done = subprocess.run(
        [PYTHON, "-I", "-S", tmp_path / "verify.py", *signer.fingerprint.split()],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


def test_a_folder_without_a_copy_is_not_searched(
    tmp_path: Path,
    good: dict[str, bytes],
    signer: MinisignSigner,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader who types the wrong folder does not wait until the whole disk was read."""
    put(good, tmp_path / "too" / "deep")
    read: list[str] = []
    scandir = os.scandir

    def spy(path: Path) -> Iterator[os.DirEntry[str]]:
        read.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", spy)
    assert verify.main([str(tmp_path), signer.fingerprint]) == 1
    assert "SHA256SUMS is missing" in capsys.readouterr().out
    assert read == [str(tmp_path)]


def test_of_two_copies_the_reader_must_choose(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A folder that holds two copies is wrong usage, and both are named."""
    put(good, tmp_path / "old")
    put(good, tmp_path / "new")
    done = run(tmp_path, signer.fingerprint)
    assert done.returncode == 2
    assert "Type the name of one: 'new', 'old'." in done.stderr
    assert "请写明核对哪一份：'new', 'old'。" in done.stderr


# --- A single file, next to the list and its signatures ---

ORGANISATION = str(organisation_key().public.fingerprint)
SIGNATURES = ("SHA256SUMS", "SHA256SUMS.minisig", "SHA256SUMS.sshsig")


def released(*names: str) -> dict[str, bytes]:
    """Return files of a release, without their folders, and the list with its signatures."""
    files = signed_release(2).files
    return {name.rpartition("/")[2]: files[name].body for name in (*SIGNATURES, *names)}


@pytest.mark.parametrize("name", ["en/who-we-are.html", "en/cccr-en.epub", "en/feed.xml"])
def test_a_single_file_is_verified(tmp_path: Path, name: str) -> None:
    """A page, a book or any other file needs only the list and its signatures."""
    folder = put(released(name, "onion.png") | {"other.txt": b""}, tmp_path)
    file = folder / name.rpartition("/")[2]
    done = run(file, ORGANISATION)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[:2] == [
        f"GOOD. {file.name!r} ({name}) is exactly what was signed with the key {ORGANISATION}.",
        f"核对无误。{file.name!r}（{name}）与用密钥{ORGANISATION}签署的内容完全相同。",
    ]
    # Without a folder in front of its name, as typed in a terminal that was opened there.
    assert run(file.name, ORGANISATION, cwd=folder).returncode == 0


def test_a_single_file_is_verified_with_the_key_next_to_it(tmp_path: Path) -> None:
    """In place of the SSH signature, minisign.pub may lie there: the file itself is complete."""
    folder = put(released("onion.png", "minisign.pub"), tmp_path)
    (folder / "SHA256SUMS.sshsig").unlink()
    assert run(folder / "onion.png", ORGANISATION).returncode == 0
    (folder / "minisign.pub").unlink()
    done = run(folder / "onion.png", ORGANISATION)
    assert_rejected(done, "minisign.pub is missing", "缺少minisign.pub")


def test_a_single_file_under_another_name_is_genuine(tmp_path: Path) -> None:
    """The file is identified, because its name says something else."""
    folder = put(released("onion.png"), tmp_path)
    (folder / "onion.png").rename(folder / "who-we-are.html")
    done = run(folder / "who-we-are.html", ORGANISATION)
    assert_differs(done, "Its name in the list · 清单里的名字：onion.png")


def test_a_changed_single_file_is_rejected(tmp_path: Path) -> None:
    """The file is named."""
    folder = put(released("onion.png") | {"onion.png": b"forged"}, tmp_path)
    done = run(folder / "onion.png", ORGANISATION)
    assert_rejected(
        done, "'onion.png' was changed, or is not ours", "'onion.png'被改动过，或者不是"
    )


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.minisig"])
def test_a_single_file_needs_the_signed_list(tmp_path: Path, name: str) -> None:
    """What must be put next to the file is named."""
    folder = put(released("onion.png"), tmp_path)
    (folder / name).unlink()
    done = run(folder / "onion.png", ORGANISATION)
    assert_rejected(done, f"{name} is missing. It must be in the same folder", f"缺少{name}。")


def test_a_single_file_signed_by_another_key_is_rejected(
    tmp_path: Path, signer: MinisignSigner
) -> None:
    """The key in the SSH signature must have the fingerprint that was typed."""
    folder = put(released("onion.png"), tmp_path)
    done = run(folder / "onion.png", signer.fingerprint)
    assert_rejected(done, f"typed, but {ORGANISATION}.", f"而是{ORGANISATION}。")


def test_the_list_is_not_a_single_file(tmp_path: Path) -> None:
    """The list and its signatures are verified with every file: to name them is wrong usage."""
    folder = put(released("onion.png"), tmp_path)
    done = run(folder / "SHA256SUMS", ORGANISATION)
    assert done.returncode == 2
    assert "Type the name of that file" in done.stderr


# --- A file longer than any of ours ---


@pytest.mark.parametrize("name", ["en/index.html", "onion.png"])
def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, name: str) -> None:
    """A file of a terabyte is rejected at once, in a folder or alone."""
    folder = put({path: file.body for path, file in signed_release(2).files.items()}, tmp_path)
    os.truncate(folder / name, 1 << 40)
    wanted = (f"'{name}' is too large to be ours.", f"'{name}'太大")
    assert_rejected(run(folder, ORGANISATION), *wanted)
    if "/" not in name:
        assert_rejected(run(folder / name, ORGANISATION), *wanted)


def test_a_file_longer_than_signed_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ZIP in a folder, once verified, has the length of every other file."""
    files = {path: file.body for path, file in signed_release(2).files.items()}
    folder = put(files, tmp_path)
    os.truncate(folder / "en/index.html", 250 << 20)
    read: Counter[str] = Counter()
    real = verify.Folder.blocks

    def blocks(folder: verify.Folder, name: str) -> Iterator[bytes]:
        for block in real(folder, name):
            read[name] += len(block)
            yield block

    monkeypatch.setattr(verify.Folder, "blocks", blocks)
    assert verify.main([str(folder), ORGANISATION]) == 1
    assert "en/index.html was changed." in capsys.readouterr().out
    assert read["en/index.html"] <= len(files["en/index.html"]) + verify.BLOCK
    # Without the ZIP the copy is not complete, and no length is known.
    (folder / "cccr-web.zip").unlink()
    assert verify.main([str(folder), ORGANISATION]) == 1
    assert "en/index.html was changed." in capsys.readouterr().out


def test_a_signed_zip_of_another_kind_gives_no_lengths(
    tmp_path: Path, signer: MinisignSigner
) -> None:
    """A release that lists such a ZIP is good."""
    copy = put(signed(signer, FILES | {"cccr-web.zip": b"PK"}, "-t", COMMENT), tmp_path)
    assert run(copy, signer.fingerprint).returncode == 0


def test_a_long_file_in_a_zip_is_not_unpacked(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is unpacked than one byte beyond the length that the ZIP states."""
    body = pack({**good, "en/index.html": bytes(100_000_000)})
    size, lie = (100_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    assert body.count(size) == 2
    unpacked: list[int] = []
    real = zlib.crc32

    def crc32(block: bytes, crc: int) -> int:
        unpacked.append(len(block))
        return real(block, crc)

    monkeypatch.setattr(zlib, "crc32", crc32)
    file = zip_of(tmp_path, body.replace(size, lie))
    assert verify.main([str(file), signer.fingerprint]) == 1
    assert sum(unpacked) < 100_000


# --- It vouches only for what it verified ---


@pytest.mark.parametrize("where", ["folder", "single file"])
def test_what_nobody_signed_is_reported_and_not_counted(tmp_path: Path, where: str) -> None:
    """An unsigned OpenPGP signature and a false SSH signature change no exit code."""
    files = {path: file.body for path, file in signed_release(2).files.items()}
    count = len(signed_release(2).listed)
    more = {"SHA256SUMS.asc": b"x", "SHA256SUMS.sshsig": b"x" * 10_000}
    folder = put(files | more, tmp_path)
    done = run(folder / "onion.png" if where == "single file" else folder, ORGANISATION)
    assert done.returncode == 0, done.stdout
    assert unverified(done) == f"{UNTRUSTED}, SHA256SUMS.sshsig, SHA256SUMS.asc"
    if where == "folder":
        assert done.stdout.startswith(f"GOOD. All {count} files are exactly ")


def test_an_ssh_signature_that_was_verified_is_not_reported(tmp_path: Path) -> None:
    """The SSH signature of a release is verified like minisign's; one of another list is not."""
    files = {path: file.body for path, file in signed_release(2).files.items()}
    done = run(put(files, tmp_path), ORGANISATION)
    assert (done.returncode, unverified(done)) == (0, UNTRUSTED)
    good = files["SHA256SUMS.sshsig"]
    old = signed_release(1).files["SHA256SUMS.sshsig"].body
    for changed in (old, good + b"trust me\n", b"trust me\n" + good, good.replace(b"-\n", b"\n")):
        done = run(put({"SHA256SUMS.sshsig": changed}, tmp_path), ORGANISATION)
        assert (done.returncode, unverified(done)) == (0, f"{UNTRUSTED}, SHA256SUMS.sshsig")


def test_an_ssh_signature_without_a_good_minisign_signature_proves_nothing(tmp_path: Path) -> None:
    """The key may come from the SSH signature; the list must be signed in minisign's format."""
    folder = put(released("onion.png"), tmp_path)
    old = signed_release(1).files["SHA256SUMS.minisig"].body
    (folder / "SHA256SUMS.minisig").write_bytes(old)
    done = run(folder / "onion.png", ORGANISATION)
    assert_rejected(done, "does not match SHA256SUMS", "签名与SHA256SUMS不符")


@pytest.fixture
def with_openpgp(tmp_path: Path) -> Path:
    """A release whose signed comment names its OpenPGP signature."""
    target = AttackTarget(tmp_path / "release")
    target.sign(armour=ARMOUR)
    return target.folder


def test_a_signed_openpgp_signature_is_one_of_our_files(with_openpgp: Path) -> None:
    """The OpenPGP signature that the signed comment names is verified and counted."""
    done = run(with_openpgp, ORGANISATION)
    assert (done.returncode, unverified(done)) == (0, UNTRUSTED)
    count = len(signed_release(2).listed) + 1
    assert done.stdout.startswith(f"GOOD. All {count} files are exactly ")


def test_a_changed_openpgp_signature_is_rejected(with_openpgp: Path) -> None:
    """It is a file of ours that was changed."""
    (with_openpgp / "SHA256SUMS.asc").write_bytes(ARMOUR + b"\n")
    done = run(with_openpgp, ORGANISATION)
    assert_rejected(done, "SHA256SUMS.asc was changed.", "SHA256SUMS.asc被改动过。")


def test_a_missing_openpgp_signature_is_named(with_openpgp: Path) -> None:
    """It is a file of ours that is missing."""
    (with_openpgp / "SHA256SUMS.asc").unlink()
    assert_differs(run(with_openpgp, ORGANISATION), missing("SHA256SUMS.asc"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_ssh_signature_is_named(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, *, packed: bool
) -> None:
    """A folder or a ZIP without it is not complete, though the list does not have it."""
    files = {name: body for name, body in good.items() if name != "SHA256SUMS.sshsig"}
    done = run(
        zip_of(tmp_path, pack(files)) if packed else put(files, tmp_path), signer.fingerprint
    )
    assert_differs(done, missing("SHA256SUMS.sshsig"))


def test_the_untrusted_comment_is_not_repeated(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Anybody can change the untrusted comment: it is reported as not verified, not shown."""
    old = good["SHA256SUMS.minisig"]
    forged = b"untrusted comment: trust me\n" + old.partition(b"\n")[2]
    done = run(put({**good, "SHA256SUMS.minisig": forged}, tmp_path), signer.fingerprint)
    assert (done.returncode, unverified(done)) == (0, UNTRUSTED)
    assert "trust me" not in done.stdout


# --- Usage ---


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


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_pipe_that_is_closed_changes_no_exit_code(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, code: int
) -> None:
    """As after ``| head -1``, the script ends quietly."""
    changes: dict[int, dict[str, bytes]] = {
        0: {},
        1: {"en/index.html": b""},
        3: {f"extra-{n}": b"" for n in range(2000)},
    }
    copy = put(good | changes[code], tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    command = [str(PYTHON), "-I", "-S", str(SCRIPT), str(copy), signer.fingerprint]
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (code, b"")


def test_hostile_names_cannot_write_to_the_terminal(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Control characters in a name or a comment do not reach the reader's terminal."""
    done = run(put({**good, "\x1b[2Jgood": b""}, tmp_path / "1"), signer.fingerprint)
    assert_differs(done, unknown("\x1b[2Jgood"))
    assert "\x1b" not in done.stdout
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
