"""A secret key that is printed, and comes back from the paper as a key that signs the same."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
import zxingcpp
from click.testing import Result
from PIL import Image, ImageOps
from support.command import PASSPHRASE, run
from support.signed import organisation_key, organisation_key_file

from cccr_web.release import read_locked_key


@pytest.fixture
def page(key_file: Path, tmp_path: Path) -> str:
    """The page that is printed."""
    done = run("key", "paper", key_file, "--out", tmp_path / "cccr.html")
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "cccr.html").stat().st_mode & 0o777 == 0o600
    return (tmp_path / "cccr.html").read_text(encoding="utf-8")


def scan(page: str) -> str:
    """Return what a phone reads on the paper."""
    (encoded,) = re.findall(r'src="data:image/png;base64,([\w+/=]+)"', page)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as code:
        picture = ImageOps.expand(ImageOps.scale(code.convert("L"), 3), 30, 255)
    picture.paste(255, (90, 90, 100, 100))  # a stain
    (found,) = zxingcpp.read_barcodes(picture)
    return found.text


def lines_of(page: str) -> list[str]:
    """Return the lines to type."""
    return page.partition("<pre style")[2].partition(">\n")[2].partition("</pre>")[0].splitlines()


def restore(text: str, folder: Path) -> Result:
    """Restore the key from a text file."""
    (folder / "typed.txt").write_text(text, encoding="utf-8", newline="")
    return run("key", "restore", folder / "typed.txt", "--out", folder / "back.key")


@pytest.mark.parametrize("medium", ["scanned", "typed", "typed on Windows"])
def test_a_restored_key_signs_as_the_printed_one(
    medium: str, page: str, key_file: Path, tmp_path: Path
) -> None:
    """The passphrase is the same, the file is private, and each signature is the same bytes."""
    typed = "\n".join(lines_of(page))
    text = {
        "scanned": scan(page),
        "typed": f"\n{typed}\n\n",
        "typed on Windows": "\ufeff" + typed.replace("\n", " \r\n").replace(" ", "  "),
    }[medium]
    done = restore(text, tmp_path)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "back.key").stat().st_mode & 0o777 == 0o600
    kept = key_file.read_bytes().split()[-1]
    assert (tmp_path / "back.key").read_bytes().split()[-1] == kept
    key = read_locked_key(tmp_path / "back.key").unlock(PASSPHRASE)
    assert key.sign(b"a list", "x") == organisation_key().sign(b"a list", "x")


def test_each_mistake_in_a_line_is_named(page: str, tmp_path: Path) -> None:
    """Whatever character is wrong, the message has the number of its line."""
    lines = lines_of(page)
    assert len(lines) == 7
    for number, line in enumerate(lines, start=1):
        places = [at for at, letter in enumerate(line) if letter != " " and at > 1]
        for at in (places[0], places[3], places[len(places) // 2], places[-1]):
            other = "A" if line[at] != "A" else "B"
            wrong = [*lines[: number - 1], line[:at] + other + line[at + 1 :], *lines[number:]]
            done = restore("\n".join(wrong), tmp_path)
            assert (done.exit_code, f"line {number} is not as" in done.stderr) == (1, True)
    swapped = [lines[0], lines[2], lines[1], *lines[3:]]
    left_out = [*lines[:4], *lines[5:]]
    for wrong, number in ((swapped, 2), (left_out, 5)):
        assert f"line {number} is not as it was" in restore("\n".join(wrong), tmp_path).stderr
    for text in ("\n".join(lines[:-1]), "", "no key\n"):
        done = restore(text, tmp_path)
        assert (done.exit_code, "holds no minisign secret key" in done.stderr) == (1, True)
    assert not (tmp_path / "back.key").exists()


def test_paper_and_key_replace_no_file(page: str, key_file: Path, tmp_path: Path) -> None:
    """What is there may be the only copy."""
    again = run("key", "paper", key_file, "--out", tmp_path / "cccr.html")
    assert (again.exit_code, "cccr.html" in again.stderr) == (1, True)
    (tmp_path / "back.key").write_text("another key")
    done = restore(scan(page), tmp_path)
    assert (done.exit_code, "exists already" in done.stderr) == (1, True)
    assert (tmp_path / "back.key").read_text() == "another key"


def test_a_key_without_a_passphrase_is_not_printed(tmp_path: Path) -> None:
    """Whoever found such a paper could sign."""
    (tmp_path / "open.key").write_bytes(organisation_key_file())
    done = run("key", "paper", tmp_path / "open.key", "--out", tmp_path / "cccr.html")
    assert (done.exit_code, "has no passphrase" in done.stderr) == (1, True)
    assert not (tmp_path / "cccr.html").exists()
