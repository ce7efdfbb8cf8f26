"""``translations/README.md``, “From a Word document to a page”, as a newcomer follows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.command import run
from support.documents import DOCUMENTS
from support.texts import copy_texts, replace_once
from support.word import VIGIL

README = DOCUMENTS[1]
SECTION = README.text.partition("## From a Word document to a page\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, body in BLOCKS if language == "sh" for line in body.splitlines()]
SHOWN = [body.splitlines() for language, body in BLOCKS if not language]
NOVEMBER = {"SOURCE_DATE_EPOCH": "1795910400"}  # 2026-11-29
FILE = "statements/2026-06-04-vigil-for-4-june.md"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[list[str]]]:
    """The texts after the first three commands, and what these printed."""
    tree = copy_texts(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, body in VIGIL.items():
        Path(name).write_bytes(body)
    printed = []
    for command in COMMANDS[:3]:
        words = shlex.split(command)[1:]
        done = run(*words, "--translations", tree, **NOVEMBER)
        assert done.exit_code == 0, done.stderr
        printed.append(done.stdout.splitlines())
    return tree, printed


def check(tree: Path) -> list[str]:
    """Return the lines of ``check``."""
    done = run("check", "--translations", tree)
    return (done.stdout + done.stderr).splitlines()


def test_the_commands_print_what_the_document_shows(
    written: tuple[Path, list[list[str]]],
) -> None:
    """The files, and what the import left out, are shown as they are."""
    tree, printed = written
    assert [line.split()[1] for line in COMMANDS] == ["new", "import", "import", "check", "publish"]
    assert printed[0][:-1] == SHOWN[0]
    assert printed[1][:-1] == SHOWN[1]
    (head,) = (body for language, body in BLOCKS if language == "toml")
    assert (tree / "en" / FILE).read_text(encoding="utf-8").startswith(head)


def test_check_says_what_the_document_shows(written: tuple[Path, list[list[str]]]) -> None:
    """Each message that is shown is that of the mistake; without mistakes there is none."""
    tree, _ = written
    found = check(tree)
    for locale in ("en", "zh_Hans"):
        file = tree / locale / FILE
        word = "word" if locale == "en" else "文字"
        text = re.sub(r"\{\{.*?\}\}", word, file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
    assert check(tree)[-1].startswith("All texts are in order")
    mistakes = [
        ("en", 'place = "word"', "place = “word”"),
        ("zh_Hans", "## 我们的要求 {#what-we-demand}", "＃＃ 我们的要求"),
    ]
    for locale, right, wrong in mistakes:
        replace_once(f"{locale}/{FILE}", right, wrong)(tree)
        found += check(tree)
        replace_once(f"{locale}/{FILE}", wrong, right)(tree)
    assert {*SHOWN[2]} <= {*found}
    assert check(tree)[-1].startswith(SECTION.partition("until it prints `")[2].partition("`")[0])
