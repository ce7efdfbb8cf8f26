"""releases.txt: each release names all before it, so none can be changed or dropped unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import run
from support.policies import SSH_KEY, TWO_OF_THREE, release_under
from support.signed import (
    KEY,
    PUBLIC,
    content,
    facts,
    known_key_file,
    put_release,
    signed_release,
)

from cccr_web.errors import ReleaseError
from cccr_web.release import (
    RECORD,
    Release,
    RollbackGuard,
    Signer,
    compare_record,
    load,
    make_release,
    parse_record,
    record_after,
    record_of,
    with_archive,
    write_request,
)


def release(sequence: int, record: bytes | None) -> Release:
    """Return a signed release with this record."""
    files = content(sequence) | ({} if record is None else {RECORD: record})
    return Signer(KEY).sign(with_archive(make_release(files, facts(sequence))))


FIRST = signed_release(1)
SECOND = release(3, record_after(FIRST))
THIRD = release(4, record_after(SECOND))
LINES = THIRD.files[RECORD].body


def test_each_release_adds_a_line_for_the_one_before() -> None:
    """The lines before stay, byte for byte; the first release has none."""
    assert record_of(FIRST) == ()
    assert [line.sequence for line in record_of(THIRD)] == [1, 3]
    assert LINES.startswith(SECOND.files[RECORD].body)
    time = FIRST.metadata.to_json().decode().partition('"time": "')[2][:20]
    assert LINES.splitlines()[0].decode() == f"1 {time} {FIRST.manifest_sha256}"


ONE, OTHER = LINES.splitlines(keepends=True)
WRONG = {
    "empty": (b"", "line 1 has no end"),
    "a blank line": (b"\n", "line 1 is not “SEQUENCE TIME SHA-256”"),
    "no end": (LINES[:-1], "line 2 has no end"),
    "two spaces": (LINES.replace(b" ", b"  ", 1), "line 1 is not"),
    "Windows' line ends": (LINES.replace(b"\n", b"\r\n"), "line 1 is not"),
    "a comment": (ONE + b"# end\n", "line 2 is not"),
    "another order": (OTHER + ONE, "line 2 has the sequence 1 after 3"),
    "a line twice": (LINES + OTHER, "line 3 has the sequence 3 after 3"),
    "two releases of a sequence": (
        ONE + ONE.replace(b"1 ", b"1 ", 1)[:-2] + b"0\n",
        "line 2 has the sequence 1 after 1",
    ),
    "too high a sequence": (LINES.replace(b"3 ", b"3000000000 ", 1), "line 2 is not"),
    "itself": (LINES + OTHER.replace(b"3 ", b"4 ", 1), "names release 4, which is not before"),
    "a later release": (LINES + OTHER.replace(b"3 ", b"9 ", 1), "names release 9, which is not"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_release_with_a_wrong_record_is_rejected(case: str, tmp_path: Path) -> None:
    """Whoever loads it learns the line, whether its signatures are checked or not."""
    record, problem = WRONG[case]
    put_release(release(4, record), tmp_path)
    for key in (None, PUBLIC):
        with pytest.raises(ReleaseError, match=f"{RECORD}.*{problem}") as caught:
            load(tmp_path, key)
        assert caught.value.path == RECORD
        assert caught.value.remedy


def test_the_record_is_compared_with_the_release_before() -> None:
    """It must be that of the release before and one line more, for that release."""
    compare_record(SECOND, FIRST)
    compare_record(THIRD, SECOND)
    changed = record_after(SECOND).replace(FIRST.manifest_sha256.encode(), b"0" * 64)
    for record, problem in {
        None: "lacks the line “1 ",
        ONE: "lacks the line “3 ",
        OTHER: "lacks the line “1 ",
        changed: "lacks the line “1 ",
        LINES + OTHER.replace(b"3 ", b"4 ", 1): "also names release 4, which release 3 and its",
    }.items():
        with pytest.raises(ReleaseError, match=problem):
            compare_record(release(5, record), SECOND)


def test_signers_compare_and_a_command_adds_the_line(tmp_path: Path) -> None:
    """“history record” writes the next record, and “sign” compares it with --previous."""
    for name, one in {"first": FIRST, "second": SECOND, "third": THIRD}.items():
        put_release(one, tmp_path / name)
    file = tmp_path / "files/releases.txt"
    command = ("history", "record", "--out", file)
    assert run(*command, tmp_path / "first").exit_code == 0
    done = run(*command, tmp_path / "second")
    assert done.exit_code == 0, done.stderr
    assert file.read_bytes() == LINES
    assert done.stdout == OTHER.decode()
    again = run("history", "record", tmp_path / "first", "--out", file)
    assert (again.exit_code, "holds lines that" in again.stderr) == (1, True)
    assert file.read_bytes() == LINES
    (tmp_path / "key").write_bytes(known_key_file(b"the tests' organisation"))
    sign = ("sign", tmp_path / "third", "--key", tmp_path / "key")
    alone = run(*sign)
    assert (alone.exit_code, "was not compared with an earlier release" in alone.stdout) == (
        0,
        True,
    )
    good = run(*sign, "--previous", tmp_path / "second")
    assert (good.exit_code, "compared" in good.output) == (0, False)
    bad = run(*sign, "--previous", tmp_path / "first")
    assert (bad.exit_code, "also names release 3" in bad.stderr) == (1, True)
    assert parse_record(LINES) == record_of(load(tmp_path / "third", PUBLIC))


def test_a_server_compares_the_record_with_what_it_has_served(tmp_path: Path) -> None:
    """A record that names another release in its place, or leaves it out, is rejected."""
    guard = RollbackGuard(tmp_path)
    guard.record(SECOND)
    guard.check(THIRD)
    guard.check(SECOND)
    guard.check(release(4, None))
    fork = LINES.replace(SECOND.manifest_sha256.encode(), b"0" * 64)
    for record in (ONE, fork):
        with pytest.raises(ReleaseError, match=f"^{RECORD} lacks release 3, which was served"):
            guard.check(release(4, record))


def test_a_signing_request_brings_the_record(tmp_path: Path) -> None:
    """Whoever signs a request compares the record as with a folder; a wrong one is not signed."""
    put_release(FIRST, tmp_path / "first")
    put_release(SECOND, tmp_path / "second")
    file = tmp_path / "3.request.zip"
    write_request(release_under(TWO_OF_THREE, (SSH_KEY,), {RECORD: ONE}, sequence=3), file)
    before = file.read_bytes()
    (tmp_path / "key").write_bytes(known_key_file(b"editor"))
    sign = ("sign", file, "--key", tmp_path / "key", "--without-build", "--previous")
    bad = run(*sign, tmp_path / "second")
    assert (bad.exit_code, "lacks the line “3 " in bad.stderr) == (1, True)
    assert file.read_bytes() == before
    good = run(*sign, tmp_path / "first")
    assert (good.exit_code, "has the 2 signatures" in good.stdout) == (0, True), good.output
