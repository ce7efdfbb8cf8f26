"""Reads the project's documents: their commands, links, headings and code spans."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from support import TOP

# In the order in which a newcomer would follow them: each builds on what earlier commands made.
NAMES = (
    "README.md",
    "translations/README.md",
    "deploy/README.md",
    "deploy/mirror/README.md",
    "cccr_web/README.md",
    "tests/README.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    "CHANGELOG.md",
)

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Document:
    """One document, by its path from the top of the tree."""

    name: str

    @property
    def path(self) -> Path:
        """The file."""
        return TOP / self.name

    @property
    def text(self) -> str:
        """The whole text."""
        return self.path.read_text(encoding="utf-8")

    @property
    def commands(self) -> list[str]:
        """Every line of every block of shell commands."""
        return _commands(self.text)

    def commands_under(self, heading: str) -> list[str]:
        """Return the commands between one heading and the next."""
        section = re.split(rf"^#+ {re.escape(heading)}$", self.text, flags=re.MULTILINE)[1]
        return _commands(re.split(r"^#+ ", section, flags=re.MULTILINE)[0])

    @property
    def commands_on_server(self) -> list[str]:
        """The commands that an admin runs on a server by ssh."""
        return [line for line in self.commands if line.startswith("ssh root@server.example ")]

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return _BLOCK.sub("", self.text)

    @property
    def spans(self) -> list[str]:
        """Every code span of the prose."""
        return _SPAN.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """The target of every link of the prose."""
        return _LINK.findall(_SPAN.sub("", self.prose))

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub gives the headings."""
        found = (heading.lower() for heading in _HEADING.findall(self.prose))
        return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in found}

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of each row of the first table under ``heading``, without its head."""
        section = re.split(rf"^#+ {re.escape(heading)}$", self.prose, flags=re.MULTILINE)[1]
        table = re.split(r"\n#+ ", section)[0]
        return [row.split(" | ") for row in _ROW.findall(table)][1:]


def _commands(text: str) -> list[str]:
    return [
        line
        for _, language, body in _BLOCK.findall(text)
        if language == "sh"
        for line in textwrap.dedent(body).splitlines()
    ]


DOCUMENTS = [Document(name) for name in NAMES]
