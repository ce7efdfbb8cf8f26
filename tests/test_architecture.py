"""Imports point one way, each third-party edge is in one place, no words in templates.

The rooms and what each may import are those of the design, written here again:
who adds an arrow adds it here, and says why.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cccr_web.config import PACKAGE, find_tree

# room: the rooms that it may import. A room is a module or a package of cccr_web.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "files": set(),
    "languages": set(),
    "listen": {"errors", "systemd"},
    "config": {"errors", "listen"},
    "content": {"errors", "languages"},
    "release": {"errors", "files"},
    # A file for readers, which knows nothing of ours.
    "standalone": set(),
    "render": {"content", "errors", "languages", "notices", "release"},
    "serve": {"errors", "languages", "listen", "release", "systemd"},
    "systemd": {"errors"},
    "onion": {"errors", "files"},
    "watch": {"errors", "listen", "release", "serve"},
    "notices": {"errors", "files", "release"},
    "mirror": {"errors", "files", "languages", "release", "serve"},
    "doctor": {"errors", "listen", "notices", "onion", "release", "serve", "version", "watch"},
    "cli": {
        *(
            "render",
            "config",
            "content",
            "doctor",
            "errors",
            "listen",
            "mirror",
            "notices",
            "onion",
        ),
        *("release", "serve", "systemd", "version", "watch"),
    },
    "__main__": {"cli"},
    "version": set(),
}

# third-party package: the modules that alone may import it; “cli/” is any in that room.
EDGES: dict[str, set[str]] = {
    "PIL": {"render/photos.py"},
    "babel": {"render/app.py", "render/formats.py", "content/catalogue.py"},
    "brotli": {"serve/encoding.py"},
    "click": {"cli/"},
    "cryptography": {"release/sshsig.py"},
    "flask": {
        "render/app.py",
        "render/builder.py",
        "render/template_renderer.py",
        "serve/app.py",
    },
    "flask_babel": {
        "render/app.py",
        "render/formats.py",
        "render/template_renderer.py",
        "render/zip_index.py",
    },
    "flask_talisman": {"serve/app.py"},
    "jinja2": {"render/app.py", "content/catalogue.py"},
    "markdown_it": {"render/html.py", "render/traditional.py", "content/markdown.py"},
    "markupsafe": {
        "render/copies.py",
        "render/feed.py",
        "render/html.py",
        "render/template_renderer.py",
        "render/zip_index.py",
    },
    "minisign": {"release/keys.py"},
    "opencc": {"render/traditional.py"},
    "segno": {"render/onion_code.py"},
    "stem": {"onion/control.py"},
    "waitress": {
        "serve/channel.py",
        "serve/parser.py",
        "serve/server.py",
        "serve/shutdown.py",
    },
    "werkzeug": {"serve/app.py"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    """Return a module's path below the package."""
    return module.relative_to(PACKAGE).as_posix()


def imports(module: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports, wherever it does so."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(imported: str) -> str:
    """Return the room of a name such as ``cccr_web.content.check``."""
    first = imported.split(".")[1]
    return "version" if first == "__version__" else first


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module: Path) -> None:
    """A module imports no room but those that its own may know."""
    here = name_of(module).split("/")[0].removesuffix(".py")
    room = "version" if here == "__init__" else here
    ours = {room_of(name) for name in imports(module) if name.split(".")[0] == "cccr_web"}
    assert ours <= ROOMS[room] | {room}


def test_every_room_is_known() -> None:
    """The table names the rooms that there are."""
    found = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py"}
    found |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found - {"__init__"} == ROOMS.keys() - {"version"}


def test_no_way_back() -> None:
    """Whoever follows the table's arrows never comes back to where he was."""
    done: list[str] = []
    while len(done) < len(ROOMS):
        free = [room for room, needs in ROOMS.items() if needs <= {*done} and room not in done]
        assert free, f"a circle among {ROOMS.keys() - {*done}}"
        done += free


def test_edges() -> None:
    """Each third-party package is imported where the table says, and nowhere else."""
    found: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for name in imports(module):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names | {"cccr_web", "_typeshed"}:
                here = name_of(module)
                found[top].add("cli/" if here.startswith("cli/") else here)
    assert dict(found) == EDGES


def test_rooms_are_entered_by_their_door() -> None:
    """From outside, a room of the server side is known by its ``__init__`` alone."""
    for module in MODULES:
        here = name_of(module).split("/")[0]
        for name in imports(module):
            parts = name.split(".")
            if parts[0] == "cccr_web" and parts[1] in {"serve", "release", "onion"} - {here}:
                inner = PACKAGE / parts[1] / f"{parts[2]}.py" if len(parts) > 2 else None
                assert inner is None or not inner.exists(), f"{name_of(module)} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_command_line_prints_or_exits(module: Path) -> None:
    """No room but the command line writes to a terminal or ends the process."""
    if name_of(module).startswith(("cli/", "__main__", "standalone/")):
        return
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "exit", "quit", "sys.exit", "os._exit", "input"}
            assert not called.startswith(("sys.stdout.", "sys.stderr.", "click."))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_bare_except(module: Path) -> None:
    """No module catches everything, but to clean up and raise it again."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if caught in {"Exception", "BaseException", "everything"}:
                assert ast.unparse(node.body[-1]) == "raise", f"{name_of(module)}:{node.lineno}"


# The languages' own names; a program that readers run alone; what the key signs.
WITH_CHINESE = {"languages.py", "standalone/verify.py"} | {
    f"notices/{name}.py" for name in ("canary", "mirrors", "signed_text")
}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_chinese_in_code(module: Path) -> None:
    """No word for readers stands in code: a string there holds no Chinese but the own names.

    Docstrings and comments may name what they speak of.
    """
    tree = ast.parse(module.read_text(encoding="utf-8"))
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = re.findall(r"[\u4e00-\u9fff]+", node.value)
            if node.value not in docstrings and name_of(module) not in WITH_CHINESE:
                assert words == [], f"{name_of(module)}:{node.lineno}"


class _Words(HTMLParser):
    """Collects what a reader could read in a template, once its expressions are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        # An address begins alike in every language.
        self.found += re.findall(r"\w+", data.removeprefix("http://"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        shown = {"alt", "aria-label", "placeholder", "summary", "title", "value"}
        for name, value in attrs:
            if name in shown:
                self.found += re.findall(r"\w+", value or "")


@pytest.mark.parametrize(
    "template", sorted(find_tree("templates").glob("*.html")), ids=lambda path: path.name
)
def test_no_words_in_templates(template: Path) -> None:
    """A template holds no readable word: those are in the translations."""
    source = template.read_text(encoding="utf-8")
    words = _Words()
    words.feed(re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", source, flags=re.DOTALL))
    words.close()
    assert words.found == []
