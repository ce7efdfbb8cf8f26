"""An editor's checkout: from two Word documents to a release, as ``translations/README.md`` says.

``tests/browser/test_journey.py`` follows it in a preview; ``tests/deploy`` publishes to a server.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from support import TOP
from support.documents import DOCUMENTS
from support.photographs import photo
from support.serving import environment
from support.signed import organisation_key, organisation_key_file
from support.texts import texts_with_key

README = DOCUMENTS[1]
SLUG = "2015-07-09-stop-the-trials-of-lawyers"
PAGE = f"statements/{SLUG}.html"
TITLES = {"en": "Stop the Trials of Lawyers", "zh_Hans": "停止审判律师"}
# A paragraph of each document.
WORDS = {"en": "Inserted words. Visible end.", "zh_Hans": "补上的话。看得见的结尾。"}
# A program would convert the second character.
NAME = "范里"

_ENGLISH = TOP / "tests/write/libreoffice.docx"
# What a translator types in place of each run of words in it.
_TRANSLATION = {
    "word/document.xml": (
        "停止审判律师/我们记得/2015年7月9日，/三百多名/律师被/拘押/。//补上的话。/看得见的/看不见的话/结尾/。/"
        "零宽\u200b字符、/链接/和脚注/。/我们的要求/第一项要求/其中一点/第二项要求/一/二/姓名/年份/甲/2015/"
        "引文。/第一行/第二行 _x_"
    ),
    "word/footnotes.xml": "脚注。",
}
_HEADS = {
    "en": ("How lawyers were tried in 2015.", "Toronto", "Free the lawyers"),
    "zh_Hans": ("2015年律师受审的经过。", "多伦多", "释放律师"),
}
_CARDS = {
    "en": ("Fan Li", "Fan Li, lawyer", "Free since 2017."),
    "zh_Hans": ("范里", "律师", "2017年获释。"),
}
_RECORD = (
    "A. Photographer",
    "CC BY 4.0",
    "By letter",
    "A square with a red sky",
    "红色天空下的广场",
)
_RUN = re.compile(rb"(<w:t(?: [^>]*)?>)[^<]*")
_PLACEHOLDER = re.compile(r"\{\{[^}]*\}\}")
_CODE = (
    "from pathlib import Path; from cccr_web import config; "
    "config.PACKAGE = Path.cwd() / 'cccr_web'; from cccr_web.cli import main; main()"
)


class Journey:
    """A checkout with an organisation's key, two documents of LibreOffice and a photo.

    ``typed`` are the commands so far; each is one that the document has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = texts_with_key(folder, organisation_key().public)
        self.typed: list[tuple[str, ...]] = []
        (folder / "templates").symlink_to(TOP / "templates")
        (folder / "organisation.key").write_bytes(organisation_key_file())
        (folder / "lawyers-english.docx").write_bytes(_ENGLISH.read_bytes())
        (folder / "lawyers-chinese.docx").write_bytes(_translated(_ENGLISH))
        (folder / "square.jpg").write_bytes(photo())

    def run(
        self,
        *words: str,
        typed: str = "",
        prefix: Sequence[str] = (),
        status: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> str:
        """Run ``cccr-web`` in the checkout, and answer it; return what is on stdout.

        It must exit with ``status``. ``prefix`` is a command that runs it, and ``settings`` are
        added to its environment.
        """
        self.type(*words)
        done = subprocess.run(
            [*prefix, sys.executable, "-c", _CODE, *words],
            cwd=self.folder,
            env=environment(**(settings or {})),
            input=typed,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def type(self, *words: str) -> None:
        """Record a command; it and its options must be in the document."""
        shown = " ".join([*README.commands, *README.spans]).split()
        assert f"deploy/cccr-web {words[0]}" in README.text
        assert {word for word in words if word.startswith("--")} <= {*shown}, words
        self.typed.append(words)

    def create(self) -> None:
        """Make the files of the statement, and import what the documents say."""
        self.run("new", *TITLES.values(), "--date", SLUG[:10])
        self.run("import", "lawyers-english.docx")
        self.run("import", "lawyers-chinese.docx")

    def add_photo(self) -> None:
        """Add the photo, and fill in its record."""
        self.run("new", "--photo", "square.jpg")
        self._fill_in("photos.toml", _RECORD)

    def write(self) -> None:
        """Fill in the facts, and add the photo and a card to each text."""
        for locale, (heading, who, since) in _CARDS.items():
            self._fill_in(f"{locale}/statements/{SLUG}.md", _HEADS[locale])
            with self.file(locale).open("a", encoding="utf-8") as text:
                text.write(
                    "\n\n![](/photos/square.jpg)\n"
                    f"\n## {heading} {{#fan-li}}\n"
                    f"\n> [!PERSON]\n> {NAME}\n>\n> {who}\n>\n> {since}\n"
                )

    def correct(self) -> None:
        """Replace what the documents have and ``check`` rejects; list the name."""
        for locale in TITLES:
            self.replace(locale, r"\_x\_", "x")
        self.run("new", "--name", NAME, NAME)

    def file(self, locale: str) -> Path:
        """Return the file of the statement in a language."""
        return self.tree / locale / "statements" / f"{SLUG}.md"

    def replace(self, locale: str, old: str, new: str) -> None:
        """Replace what the statement has once."""
        text = self.file(locale).read_text(encoding="utf-8")
        assert text.count(old) == 1, text
        self.file(locale).write_text(text.replace(old, new), encoding="utf-8")

    def _fill_in(self, file: str, words: Sequence[str]) -> None:
        text = (self.tree / file).read_text(encoding="utf-8")
        assert len(_PLACEHOLDER.findall(text)) == len(words)
        each = iter(words)
        filled = _PLACEHOLDER.sub(lambda _: next(each), text)
        (self.tree / file).write_text(filled, encoding="utf-8")


def _translated(document: Path) -> bytes:
    """Return a document with other words in the same form."""
    made = io.BytesIO()
    with zipfile.ZipFile(document) as source, zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            body = source.read(name)
            words = _TRANSLATION.get(name)
            target.writestr(name, _type_over(body, words.split("/")) if words else body)
    return made.getvalue()


def _type_over(part: bytes, words: Iterable[str]) -> bytes:
    each = iter(words)
    return _RUN.sub(lambda run: run[1] + next(each).encode(), part)
