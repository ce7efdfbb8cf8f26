"""``verify.py``, run alone as a reader runs it, on copies that are good and that are not."""

from __future__ import annotations

import ast
import base64
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import PYTHON
from support.signed import put
from support.verify_copies import (
    COMMENT,
    FILES,
    SCRIPT,
    UNTRUSTED,
    MinisignSigner,
    assert_differs,
    assert_rejected,
    comment,
    pack,
    run,
    signed,
    unknown,
    zip_of,
)

from cccr_web.release import manifest, store
from cccr_web.standalone import verify


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


@pytest.mark.parametrize("name", ["en/index.html", "en"])
def test_a_link_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """A link is rejected even if its target has the right bytes: it can have others tomorrow."""
    copy = put(good, tmp_path / "copy")
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    done = run(copy, signer.fingerprint)
    assert_rejected(done, f"'{name}' is a link, or not a file", f"'{name}'是链接")


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
    assert_rejected(done, "does not match SHA256SUMS", "与SHA256SUMS不符")


def test_a_signature_of_another_manifest_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A true signature of an older manifest does not match this one."""
    old = signed(signer, {**FILES, "en/index.html": b"older"})
    done = run(
        put({**good, "SHA256SUMS.minisig": old["SHA256SUMS.minisig"]}, tmp_path),
        signer.fingerprint,
    )
    assert_rejected(done, "does not match SHA256SUMS", "与SHA256SUMS不符")


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


def test_a_zip_with_a_long_directory_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A directory longer than that of any release is not read."""
    body = bytearray(pack(good))
    body[-10:-6] = (verify.MAX_LIST + 1).to_bytes(4, "little")
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


def test_every_text_is_in_two_languages_and_is_used() -> None:
    """Each text has an English and a Chinese half with the same facts, and each is raised."""
    texts = {**verify.USAGE, **verify.TEXTS}
    assert len(texts) == len(verify.USAGE) + len(verify.TEXTS)
    for text in texts.values():
        english, chinese = text.split(" · ")
        assert english.isascii()
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        if "cannot be read" not in english:  # the reason of the system is in English
            assert set(re.findall(r"{.*?}", english)) == set(re.findall(r"{.*?}", chinese))
    place = {"CopyError": 0, "require": 1}
    raised = [
        node.args[place[ast.unparse(node.func)]]
        for node in ast.walk(ast.parse(SCRIPT.read_bytes()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in place
    ]
    assert {each.value for each in raised if isinstance(each, ast.Constant)} == texts.keys()


def test_the_script_parses_manifests_by_the_rules_of_the_server() -> None:
    """The script, which imports nothing of ours, has the server's patterns and limits."""
    assert verify.NAME.pattern == manifest._PATH.pattern
    assert verify.LINE.pattern == manifest._LINE.pattern
    assert verify.MAX_LIST == manifest.MAX_BYTES
    assert (verify.MAX_FILE, verify.MAX_BYTES) == (manifest.MAX_FILE, store.MAX_TOTAL)
