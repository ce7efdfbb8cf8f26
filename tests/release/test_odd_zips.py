"""Both programs that verify a ZIP accept it only if every other program unpacks the same."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.attacks.zips import (
    NAME,
    ODD_ZIPS,
    TOP,
    OddZip,
    inner,
    members,
    write,
)
from support.signed import organisation_key, signed_release
from support.unpackers import UNPACKERS, require_unpackers, unpack

from cccr_web.errors import ReleaseError
from cccr_web.release import load
from cccr_web.release.archive import make_archive
from cccr_web.standalone import verify

ACCEPTED = [each for each in ODD_ZIPS if each.code != 1]
REJECTED = [each for each in ODD_ZIPS if each.code == 1]


@pytest.fixture(autouse=True, scope="session")
def unpackers_are_there() -> None:
    """The tests unpack with six programs."""
    require_unpackers()


def script_says(file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit code and the words of ``verify.py``."""
    code = verify.main([str(file), str(organisation_key().public.fingerprint)])
    return code, capsys.readouterr().out


def command_says(file: Path) -> str | None:
    """Return the error of ``cccr-web verify``, or None."""
    try:
        load(file, organisation_key().public)
    except ReleaseError as error:
        return str(error)
    return None


def assert_unpacked_alike(body: bytes, words: str, room: Path) -> None:
    """Every program unpacks exactly our files, without those that are reported as missing."""
    missing = {line.partition("：")[2] for line in words.splitlines() if "- Missing" in line}
    ours = {
        name.removeprefix(TOP): content
        for name, content in inner().items()
        if name.removeprefix(TOP) not in missing
    }
    for name in UNPACKERS:
        found = unpack(name, body, room / "unpacked")
        (top,) = {
            path.removesuffix("SHA256SUMS") for path in found if path.endswith("/SHA256SUMS")
        } or {""}
        within = {path.removeprefix(top): content for path, content in found.items()}
        extras = within.keys() - ours.keys()
        assert {path: within.get(path) for path in ours} == ours, name
        # Each file that is not ours was named, under the path to which it is unpacked.
        named = [path for path in extras if f"：{path!r} (" in words]
        assert sorted(named) == sorted(extras), name


def test_the_table_holds_at_least_forty_odd_zips() -> None:
    """The table has lines of all three kinds, each with a unique name."""
    assert len({each.name for each in ODD_ZIPS}) == len(ODD_ZIPS) >= 40
    assert {each.code for each in ODD_ZIPS} == {0, 1, 3}


def test_the_zip_of_the_table_is_our_packers() -> None:
    """What the tests write field by field is what our packer writes, byte for byte."""
    files = {name.removeprefix(TOP): body for name, body in inner().items()}
    assert write(members()) == make_archive(files, signed_release(2).metadata.time)


@pytest.mark.parametrize("each", ODD_ZIPS, ids=lambda each: each.name)
def test_both_programs_judge_an_odd_zip(
    each: OddZip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both say what the table says; ``cccr-web verify`` accepts nothing but our own ZIP."""
    file = tmp_path / "next.zip"
    file.write_bytes(each.make())
    code, words = script_says(file, capsys)
    assert (code, command_says(file)) == (each.code, each.command)
    assert each.words in words
    assert (code == 0) == (each.command is None)


@pytest.mark.parametrize("each", ACCEPTED, ids=lambda each: each.name)
def test_what_is_accepted_is_unpacked_alike_by_every_program(
    each: OddZip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a ZIP that verify.py accepts, every program unpacks exactly our files."""
    file = tmp_path / "next.zip"
    file.write_bytes(each.make())
    _, words = script_says(file, capsys)
    assert_unpacked_alike(each.make(), words, tmp_path)


@pytest.mark.slow
def test_every_program_is_fooled_by_a_zip_that_is_rejected(tmp_path: Path) -> None:
    """Of what is rejected, every program unpacks something that we did not sign."""

    def is_fooled(number: int, each: OddZip, name: str) -> str:
        found = unpack(name, each.make(), tmp_path / f"{number} {name}")
        signed = inner()
        return name if any(signed.get(path) != body for path, body in found.items()) else ""

    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(is_fooled, number, each, name)
            for number, each in enumerate(REJECTED)
            for name in UNPACKERS
        ]
    fooled = [job.result() for job in jobs]
    # Each of them by more than one kind of trick.
    assert min(fooled.count(name) for name in UNPACKERS) >= 10


def run(*command: str) -> Callable[[Path], None]:
    """Pack the folder of a copy with a program."""
    return lambda folder: _run(folder, *command)


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def by_pipe(folder: Path) -> None:
    """Pack as a program does that cannot go back to the header."""
    with (folder / "copy.zip").open("wb") as target:
        first = subprocess.Popen(("zip", "-r", "-", "cccr-web"), cwd=folder, stdout=subprocess.PIPE)
        with first:
            subprocess.run(("cat",), stdin=first.stdout, stdout=target, check=True, timeout=60)


PACKERS: dict[str, Callable[[Path], None]] = {
    "zip -r": run("zip", "-r", "copy.zip", "cccr-web"),
    "zip -r, stored": run("zip", "-0r", "copy.zip", "cccr-web"),
    "zip -r, level 9": run("zip", "-9r", "copy.zip", "cccr-web"),
    "zip -r, without extra fields": run("zip", "-rX", "copy.zip", "cccr-web"),
    "zip -r, with descriptors": run("zip", "-rfd", "copy.zip", "cccr-web"),
    "zip -r, the files alone": run("sh", "-c", "cd cccr-web && zip -r ../copy.zip ."),
    "zip -r, into a pipe": by_pipe,
    "7z": run("7z", "a", "-tzip", "copy.zip", "cccr-web"),
    "bsdtar": run("bsdtar", "-acf", "copy.zip", "cccr-web"),
    "Python": lambda folder: (
        shutil.make_archive(str(folder / "copy"), "zip", folder, "cccr-web"),
        None,
    )[1],
}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_copy_that_another_program_packs_again_is_genuine(
    packer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unpacked, opened on a Mac, and packed again: verify.py names what was added."""
    folder = tmp_path / "cccr-web"
    for name, body in inner().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    (folder / ".DS_Store").write_bytes(b"Bud1")
    (folder / "en" / "说明.txt").write_bytes(b"")
    PACKERS[packer](tmp_path)
    shutil.rmtree(folder)
    code, words = script_says(tmp_path / "copy.zip", capsys)
    assert code == 3, words
    assert "Another program repacked the ZIP" in words
    assert "'.DS_Store' (macOS and Windows" in words
    assert "'en/说明.txt' (unknown" in words
    assert_unpacked_alike_but_for_names(tmp_path / "copy.zip", tmp_path)


def assert_unpacked_alike_but_for_names(file: Path, room: Path) -> None:
    """Every program unpacks our files; some write the Chinese name in another encoding."""
    for name in UNPACKERS:
        found = unpack(name, file.read_bytes(), room / "unpacked")
        top = TOP if NAME in found else ""
        ours = {path.removeprefix(TOP): body for path, body in inner().items()}
        within = {path.removeprefix(top): body for path, body in found.items()}
        assert {path: within.get(path) for path in ours} == ours, name
        assert len(within) == len(ours) + 2, name
