"""The structure of the code: which package imports which, and what appears nowhere.

``cccr_web/README.md`` explains the structure. A new import between packages needs an entry
in ``support/packages.py``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from support.packages import PACKAGES

from cccr_web.config import PACKAGE, find_tree

# third-party package: the only modules that may import it; “cli/” means any module there
IMPORTERS: dict[str, set[str]] = {
    "PIL": {"render/photos.py"},
    "apprise": {"notify/recipients.py"},
    "babel": {"render/app.py", "render/formats.py", "content/catalogue.py"},
    "brotli": {"serve/encoding.py"},
    "click": {"cli/"},
    "cryptography": {"release/sshsig.py"},
    "flask": {
        "render/app.py",
        "render/builder.py",
        "render/crawlers.py",
        "serve/app.py",
    },
    "flask_babel": {
        "render/app.py",
        "render/copies.py",
        "render/formats.py",
        "render/lists.py",
        "render/template_renderer.py",
        "render/shared_pages.py",
    },
    "flask_talisman": {"serve/app.py"},
    "jinja2": {
        "render/app.py",
        "render/builder.py",
        "render/template_renderer.py",
        "content/catalogue.py",
    },
    "mammoth": {"write/word.py"},
    "markdown_it": {
        "content/body.py",
        "render/html.py",
        "render/traditional.py",
        "content/markdown.py",
        "content/model.py",
        "content/markup_lint.py",
        "content/urls.py",
    },
    "markupsafe": {
        "preview/overlay.py",
        "preview/pages.py",
        "render/app.py",
        "render/builder.py",
        "render/copies.py",
        "render/feed.py",
        "render/html.py",
        "render/template_renderer.py",
        "render/shared_pages.py",
    },
    "minisign": {"release/keys.py"},
    "opencc": {"render/traditional.py"},
    "segno": {"render/onion_code.py"},
    "stem": {"onion/control.py"},
    "waitress": {
        "serve/channel.py",
        "serve/event_loop.py",
        "serve/parser.py",
        "serve/server.py",
    },
    "watchfiles": {"preview/watcher.py"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    """Return a module's path below the package."""
    return module.relative_to(PACKAGE).as_posix()


def imports(module: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(imported: str) -> str:
    """Return the package of a name such as ``cccr_web.content.check``."""
    first = imported.split(".")[1]
    return "version" if first == "__version__" else first


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module: Path) -> None:
    """A module imports only the packages that its own package may import."""
    here = name_of(module).split("/")[0].removesuffix(".py")
    package = "version" if here == "__init__" else here
    ours = {package_of(name) for name in imports(module) if name.split(".")[0] == "cccr_web"}
    assert ours <= PACKAGES[package] | {package}


def test_the_table_names_every_package() -> None:
    """The table names every package, and no other."""
    found = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py"}
    found |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found - {"__init__"} == PACKAGES.keys() - {"version"}


def test_no_package_imports_itself_through_others() -> None:
    """No package imports itself through others."""
    done: list[str] = []
    while len(done) < len(PACKAGES):
        free = [
            package
            for package, needs in PACKAGES.items()
            if needs <= {*done} and package not in done
        ]
        assert free, f"a cycle among {PACKAGES.keys() - {*done}}"
        done += free


def test_third_party_packages_are_imported_only_where_listed() -> None:
    """Each third-party package is imported exactly where the table says."""
    found: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for name in imports(module):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names | {"cccr_web", "_typeshed"}:
                here = name_of(module)
                found[top].add("cli/" if here.startswith("cli/") else here)
    assert dict(found) == IMPORTERS


def test_packages_are_imported_through_their_init() -> None:
    """Other packages import ``serve``, ``release`` and ``onion`` only through ``__init__``."""
    for module in MODULES:
        here = name_of(module).split("/")[0]
        for name in imports(module):
            parts = name.split(".")
            if parts[0] == "cccr_web" and parts[1] in {"serve", "release", "onion"} - {here}:
                inner = PACKAGE / parts[1] / f"{parts[2]}.py" if len(parts) > 2 else None
                assert inner is None or not inner.exists(), f"{name_of(module)} imports {name}"


def test_packages_export_only_what_other_packages_use() -> None:
    """No ``__init__`` exports a name that only its own package or the tests use."""
    used = set[str]()
    for module in MODULES:
        # Commands name what they import late as “module:function”.
        late = re.findall(r"cccr_web\.[.\w]+:\w+", module.read_text(encoding="utf-8"))
        names = {name.replace(":", ".") for name in (*imports(module), *late)}
        own = f"cccr_web.{name_of(module).split('/')[0]}."
        used |= {name for name in names if not name.startswith(own)}
    exported = {
        f"cccr_web.{init.parent.name}.{name}"
        for init in PACKAGE.glob("*/__init__.py")
        for name in getattr(import_module(f"cccr_web.{init.parent.name}"), "__all__", ())
    }
    assert exported - used == set()


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_command_line_prints_or_exits(module: Path) -> None:
    """Only the command line writes to a terminal or exits."""
    if name_of(module).startswith(("cli/", "__main__", "standalone/")):
        return
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "exit", "quit", "sys.exit", "os._exit", "input"}
            assert not called.startswith(("sys.stdout.", "sys.stderr.", "click."))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_module_catches_every_exception(module: Path) -> None:
    """No module catches every exception, except to clean up and raise it again."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if caught in {"Exception", "BaseException", "everything"}:
                assert ast.unparse(node.body[-1]) == "raise", f"{name_of(module)}:{node.lineno}"


# The languages' own names, the script that runs without the translations, and signed notices.
# Tables of characters, surnames and words are not text for readers either.
WITH_CHINESE = {
    *("content/characters.py", "languages.py", "render/suggestions.py", "render/segmentation.py"),
    "standalone/verify.py",
} | {f"notices/{name}.py" for name in ("canary", "mirrors", "signed_text")}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_code_holds_no_chinese_text(module: Path) -> None:
    """No string in code is Chinese, except in the modules of ``WITH_CHINESE``.

    Texts for readers are in the translations. Docstrings and comments may hold Chinese.
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
    """Collects the text of a template without its expressions."""

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
                self.handle_data(value or "")


TEMPLATES = find_tree("templates")


@pytest.mark.parametrize(
    "template",
    sorted(TEMPLATES.rglob("*.html")),
    ids=lambda path: path.relative_to(TEMPLATES).as_posix(),
)
def test_templates_hold_no_words(template: Path) -> None:
    """A template holds no readable word: all text is in the translations."""
    # An expression can be the name of an element.
    source = re.sub(r"(</?)\{\{.*?\}\}", r"\1p", template.read_text(encoding="utf-8"))
    words = _Words()
    words.feed(re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", source, flags=re.DOTALL))
    words.close()
    assert words.found == []


def types_of(module: Path) -> Iterator[str]:
    """Yield the names of a module's classes, and of its aliases and variables of types."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        for name in (target.id for target in targets if isinstance(target, ast.Name)):
            # Constants are in capitals, other values in small letters.
            if re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", name):
                yield name


def test_names_of_types_are_unique() -> None:
    """No two classes or type aliases of the package and its tests have the same name."""
    names = [
        name
        for module in (*MODULES, *Path(__file__).parent.rglob("*.py"))
        for name in types_of(module)
    ]
    assert sorted(names) == sorted(set(names))
