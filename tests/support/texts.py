"""Copies of the real texts, for tests that change them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from cccr_web.config import find_tree
from cccr_web.content import SourceTree, content_error
from cccr_web.release import SigningPolicy
from cccr_web.render import check_trees

TreeChange = Callable[[Path], object]

TEXTS = find_tree("translations")


def copy_texts(folder: Path) -> Path:
    """Copy the real texts into ``folder``; return their tree."""
    return shutil.copytree(TEXTS, folder / "translations")


def texts_with_key(folder: Path, public_key: object) -> Path:
    """Copy the real texts into ``folder``, with this key in ``site.toml``; return their tree."""
    tree = copy_texts(folder)
    facts = (tree / "site.toml").read_text(encoding="utf-8")
    line = f'public_key = "{public_key}"'
    named = re.sub(r'(?m)^public_key = ".*"$', lambda _: line, facts)
    (tree / "site.toml").write_text(named, encoding="utf-8")
    return tree


def texts_with_signers(folder: Path, policy: SigningPolicy, threshold: int) -> Path:
    """Copy the real texts, with the signers of a policy and a threshold; return their tree."""
    tree = texts_with_key(folder, "")
    signers = ",\n".join(
        f'  {{ name = "{one.name}", {"minisign" if one.is_minisign else "ssh"} = "{one.key}" }}'
        for one in policy.signers
    )
    with (tree / "site.toml").open("a", encoding="utf-8") as out:
        out.write(f"\npublic_keys = [\n{signers},\n]\nthreshold = {threshold}\n")
    return tree


def replace_once(file: str, old: str, new: str) -> TreeChange:
    """Return a function that replaces ``old``, which occurs once in ``file`` of a tree."""

    def change(tree: Path) -> None:
        path = tree / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return change


def add(file: str, text: str) -> TreeChange:
    """Add ``text`` as a new paragraph at the end of ``file``."""

    def change(tree: Path) -> None:
        with (tree / file).open("a", encoding="utf-8") as out:
            out.write(f"\n{text}\n")

    return change


def put(file: str, content: bytes) -> TreeChange:
    """Make ``file`` hold nothing but ``content``."""
    return lambda tree: (tree / file).write_bytes(content)


def remove(file: str) -> TreeChange:
    """Remove ``file``."""
    return lambda tree: (tree / file).unlink()


def rename(file: str, name: str) -> TreeChange:
    """Give ``file`` another name in its folder."""
    return lambda tree: (tree / file).rename((tree / file).with_name(name))


def both(file: str, *changes: Callable[[str], TreeChange]) -> TreeChange:
    """Do the same to the text ``file`` in each language."""

    def change(tree: Path) -> None:
        for locale in ("en", "zh_Hans"):
            for make in changes:
                make(f"{locale}/{file}")(tree)

    return change


def lines(file: str) -> int:
    """Return how many lines a file of the real tree has."""
    return len((TEXTS / file).read_text(encoding="utf-8").splitlines())


DATED = "statements/2013-05-07-tiananmen-rally.md"
# English verify.md and Chinese 404.md are where most cases add something: this is its line.
VERIFY = "en/pages/verify.md"
AT = f"{VERIFY}:{lines(VERIFY) + 2}"
MISSING = "zh_Hans/pages/errors/404.md"
MISSING_AT = f"{MISSING}:{lines(MISSING) + 2}"


def problems_after(change: TreeChange, folder: Path) -> list[str]:
    """Return the problems of a copy of the real texts in ``folder`` after a change."""
    tree = copy_texts(folder)
    change(tree)
    return problems_of(tree)


def problems_of(tree: Path) -> list[str]:
    """Return the problems that ``cccr-web check`` finds in a tree, one line per problem."""
    *_, problems = check_trees(SourceTree(tree), find_tree("templates"))
    found = str(content_error(problems))
    return [line.removeprefix("translations/") for line in found.splitlines()]


def add_statements(tree: Path, count: int) -> None:
    """Add statements in both written languages, each as long as the longest of ours.

    All differ, and their dates are in the last 26 years.
    """
    model = "2013-05-07-tiananmen-rally.md"
    for locale in ("en", "zh_Hans"):
        folder = tree / locale / "statements"
        text = (folder / model).read_text(encoding="utf-8")
        for number in range(count):
            day = f"{2000 + number % 26}-{1 + number % 12:02}-{1 + number % 28:02}"
            own = text.replace('date = "2013-05-07"', f'date = "{day}"')
            own = re.sub(r'(?m)^title = "(.*)"$', rf'title = "\1 {number}"', own)
            own = re.sub(r"(?m)^(## .*)$", rf"\1\n\n{number * 7919}.", own)
            (folder / f"{day}-made-{number:05}.md").write_text(own, encoding="utf-8")
