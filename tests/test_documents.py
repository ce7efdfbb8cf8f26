"""The documents tell the truth: links and paths lead somewhere, options and names exist."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date

import click
import pytest
from support import TOP
from support.documents import DOCUMENTS, Document
from support.packages import PACKAGES

from cccr_web import __version__
from cccr_web.cli import main

README, _, DEPLOY, _, ARCHITECTURE, _, _, _, CHANGELOG = DOCUMENTS

# Paths that the documents name and that only a command or a person makes.
MADE = {
    ".cache/",
    ".cache/venv",
    ".well-known/security.txt",
    "deploy/site.env",
    "PATH/current",
    "PATH/current/headers",
    "PATH/current/site",
    "headers/apache.conf",
    "mirror/headers",
    "mirror/redirects",
    "mirror/site",
    "release/",
    "releases/8",
    "releases/8.request.zip",
    "shots/",
    "translations/files/",
    "translations/photos/",
}

# Third-party programs with options that a code span names.
FOREIGN = ("sha256sum ", "certbot ")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_resolves(document: Document) -> None:
    """Every link leads to a file of the tree and a heading in it, or to https."""
    for link in document.links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        path = (document.path.parent / name).resolve() if name else document.path
        assert path.exists(), f"{document.name}: {link}"
        if anchor:
            target = Document(str(path.relative_to(TOP)))
            assert anchor in target.anchors, f"{document.name}: {link}"


@pytest.mark.parametrize("document", DOCUMENTS[:-1], ids=lambda document: document.name)
def test_every_path_exists(document: Document) -> None:
    """Every path in a code span exists, from the top, the document's folder or a language's."""
    bases = (TOP, document.path.parent, TOP / "translations" / "en")
    for span in document.spans:
        if re.fullmatch(r"[\w.][\w.-]*/[\w./-]*", span) and span not in MADE:
            assert any((base / span).exists() for base in bases), f"{document.name}: {span}"


def options_of(command: click.Command) -> set[str]:
    """Return every option of a command and of the commands below it."""
    found = {name for parameter in command.params for name in parameter.opts}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= options_of(below)
    return found


@pytest.mark.parametrize("document", DOCUMENTS[:-1], ids=lambda document: document.name)
def test_every_option_exists(document: Document) -> None:
    """Every option in a code span is one of a command, a script or the tests."""
    scripts = ("deploy/deploy.sh", "tests/run.sh", "tests/conftest.py")
    sources = "".join((TOP / name).read_text(encoding="utf-8") for name in scripts)
    known = options_of(main) | {*re.findall(r"--[a-z][a-z-]+", sources)}
    for span in document.spans:
        if not span.startswith(FOREIGN):
            options = {*re.findall(r"(?<!\S)--[a-z][a-z-]+", span)}
            assert options <= known, f"{document.name}: {span}"


@pytest.mark.parametrize("document", DOCUMENTS[:-1], ids=lambda document: document.name)
def test_every_command_name_exists(document: Document) -> None:
    """Every ``cccr-web`` command in a code span exists."""
    for span in document.spans:
        found: click.Command | None = main
        for names in re.findall(r"^cccr-web((?: [a-z-]+)+)$", span):
            for name in names.split():
                assert isinstance(found, click.Group), f"{document.name}: {span}"
                found = found.get_command(click.Context(found), name)
                assert found is not None, f"{document.name}: {span}"


def test_readme_is_short() -> None:
    """The README has at most 120 lines."""
    assert len(README.text.splitlines()) <= 120


def test_readme_lists_every_dependency() -> None:
    """The table of dependencies names the packages of ``pyproject.toml`` and npm, and no other."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    npm = json.loads((TOP / "tests/browser/package.json").read_text(encoding="utf-8"))
    needed = {re.split(r"[><=]", name)[0] for names in lists for name in names}
    expected = needed | {*npm["devDependencies"]}
    named = [name for row in README.rows("Dependencies") for name in row[0].split(", ")]
    assert sorted(named) == sorted(expected)


def test_manual_lists_every_setting() -> None:
    """The table of settings names those of ``site.env.example``, and no other."""
    example = (TOP / "deploy" / "site.env.example").read_text(encoding="utf-8")
    named = re.findall(r"`([A-Z_]+)`", "".join(row[0] for row in DEPLOY.rows("Install")))
    assert sorted(named) == sorted(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


def test_architecture_document_agrees_with_its_test() -> None:
    """The table of packages says what ``test_architecture.py`` enforces."""
    named = {
        row[0].strip("`").removesuffix("/").removesuffix(".py"): row[2]
        for row in ARCHITECTURE.rows("Packages")
    }
    hidden = {"version", "__main__"}
    assert named.keys() == PACKAGES.keys() - hidden
    for package, imports in named.items():
        if imports != "every package":
            expected = ", ".join(sorted(PACKAGES[package] - hidden)) or "nothing"
            assert imports == expected, package
    assert named["cli"] == "every package"


def test_changelog_names_the_version() -> None:
    """The newest dated section of the changelog is this version; a section for the next is open."""
    sections = re.findall(r"^## (\S+)(?: - (.+))?$", CHANGELOG.text, re.MULTILINE)
    assert sections[0] == ("Unreleased", "")
    assert sections[1][0] == __version__
    dates = [date.fromisoformat(day) for _, day in sections[1:]]
    assert dates == sorted(dates, reverse=True)
