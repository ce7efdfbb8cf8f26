"""An editor's command that is killed at any time loses no text and leaves none by halves."""

from __future__ import annotations

import os
from pathlib import Path

from support.killer import Killer
from support.texts import copy_texts

from cccr_web.content import SourceTree
from cccr_web.content.site import read_names
from cccr_web.languages import WRITTEN
from cccr_web.write.scaffold import blank

KILLS = int(os.environ.get("TESTS_KILLS", "210")) // 2


def texts(tree: Path) -> dict[Path, str]:
    """Return every text by its path."""
    files = sorted(tree.rglob("*.md"))
    return {file.relative_to(tree): file.read_text(encoding="utf-8") for file in files}


def test_a_killed_editor_leaves_whole_texts_and_names(killer: Killer, tmp_path: Path) -> None:
    """After each kill, what was there is there, and each new text is blank or has its document."""
    tree = copy_texts(tmp_path)
    (tree / "text.html").write_text("<p>They are in prison.</p>", encoding="utf-8")
    killer.measure("edit", tree, 0)
    names, _ = read_names(SourceTree(tree))
    before = texts(tree)
    bodies = {body(text) for path, text in before.items() if path.stem.startswith("2013-text-")}
    bodies |= {blank("statement", one).template.partition("\n+++\n")[2] for one in WRITTEN}
    for number in range(1, KILLS + 1):
        killer.kill("edit", tree, number)
        now = texts(tree)
        now_names, problems = read_names(SourceTree(tree))
        assert problems == []
        assert now_names.items() >= names.items()
        assert now.items() >= before.items()
        for path in now.keys() - before.keys():
            assert now[path].startswith(
                f'+++\ntitle = "{"Text" if path.parts[0] == "en" else "{{"}'
            )
            assert body(now[path]) in bodies
            # Only an English text can be alone, as it comes first.
            assert Path("en", *path.parts[1:]) in now
        before, names = now, now_names


def body(text: str) -> str:
    """Return what follows the front matter."""
    return text.partition("\n+++\n")[2]
