"""A build gives the same bytes anywhere, whole or not at all (``render/builder.py``)."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.serving import environment
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.content.body import Body
from cccr_web.errors import CccrError
from cccr_web.release import ARCHIVE, MANIFEST, load
from cccr_web.render import build_release, builder
from cccr_web.render.copies import COPIES
from cccr_web.render.html import TextRenderer

TREES = find_tree("translations"), find_tree("templates")


def build(
    out: Path,
    *,
    python: str = sys.executable,
    cwd: Path | None = None,
    umask: int = -1,
    **settings: str,
) -> Path:
    """Build the working tree in a subprocess."""
    command = [python, "-W", "error", "-m", "cccr_web", "build", "--out", str(out)]
    done = subprocess.run(
        command,
        env=environment(**settings),
        cwd=cwd,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def same(one: Path, other: Path) -> bool:
    """Return whether two folders hold the same files with the same bytes."""
    contents = [
        {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (one, other)
    ]
    return contents[0] == contents[1]


def test_two_builds_are_identical(tmp_path: Path) -> None:
    """Folder, time zone, locale, hash seed, umask and home directory do not change a byte."""
    epoch = "1700000001"
    one = build(
        tmp_path / "one",
        umask=0o077,
        SOURCE_DATE_EPOCH=epoch,
        TZ="Asia/Shanghai",
        PYTHONHASHSEED="1",
        LANG="C",
        LC_ALL="C",
    )
    (tmp_path / "deep" / "er").mkdir(parents=True)
    other = build(
        tmp_path / "deep" / "er" / "two",
        cwd=tmp_path,
        umask=0o022,
        SOURCE_DATE_EPOCH=epoch,
        TZ="America/New_York",
        PYTHONHASHSEED="4294967295",
        LC_ALL="",
        LANG="C.UTF-8",
        LANGUAGE="zh_CN",
        PYTHONUTF8="0",
        HOME=str(tmp_path),
    )
    assert same(one, other)
    assert all((one / url).is_file() for url in COPIES)


@pytest.mark.long
def test_the_clock_and_file_times_do_not_matter(tmp_path: Path) -> None:
    """A build on another day, from files with other times, gives the same bytes."""
    one = build(tmp_path / "one")
    trees = tmp_path / "copy"
    for tree in TREES:
        shutil.copytree(tree, trees / tree.name)
    for path in trees.rglob("*"):
        os.utime(path, (0, 0))
    later = "import time, runpy, sys; now = time.time; time.time = lambda: now() + 4e8; "
    arguments = ["build", "--out", str(tmp_path / "two"), "--translations", f"{trees}/translations"]
    run = f"sys.argv[1:] = {arguments!r}; runpy.run_module('cccr_web', run_name='__main__')"
    subprocess.run(
        [sys.executable, "-c", later + run], env=environment(), check=True, capture_output=True
    )
    assert same(one, tmp_path / "two")


@pytest.mark.other_python
def test_another_python_builds_the_same(tmp_path: Path) -> None:
    """A build with another version of Python, which tests/run.sh sets up, gives the same bytes."""
    python = os.environ["OTHER_PYTHON"]
    tell = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    version = subprocess.run(tell, capture_output=True, check=True, text=True).stdout
    assert version.split() != [str(number) for number in sys.version_info[:2]]
    assert same(build(tmp_path / "one"), build(tmp_path / "two", python=python))


def test_the_release_time_is_the_day_of_the_newest_text_unless_it_is_given() -> None:
    """The clock plays no part."""
    newest, given = datetime(2026, 11, 29, tzinfo=UTC), datetime(2023, 11, 14, 22, 13, tzinfo=UTC)
    assert build_release(*TREES).metadata.time == newest
    assert build_release(*TREES, time=given).metadata.time == given


def test_progress_counts_every_rendered_file() -> None:
    """Each page, copy and feed is reported when it is done."""
    reported: list[tuple[int, int]] = []
    release = build_release(*TREES, progress=lambda done, total: reported.append((done, total)))
    kinds = (".html", ".epub", "feed.xml", "robots.txt")
    pages = sum(path.endswith(kinds) for path in release.files)
    assert reported == [(number, pages) for number in range(1, pages + 1)]


def test_each_step_happens_once_per_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build reads and renders each text, packs the ZIP and hashes each file once."""
    read, rendered, bodies, packed, hashed = (
        Counter[Path](),
        Counter[str](),
        Counter[tuple[TextRenderer, str]](),
        Counter[bytes](),
        Counter[bytes](),
    )
    open_file, render, body_of = Path.open, builder._render, TextRenderer.page
    crc32, sha256 = zlib.crc32, hashlib.sha256

    def counted_open(self: Path, *args: Any, **options: Any) -> Any:
        read[self] += 1
        return open_file(self, *args, **options)

    def counted_render(app: Flask, url: str) -> bytes:
        rendered[url] += 1
        return render(app, url)

    def counted_body(self: TextRenderer, body: Body, *options: Any) -> str:
        bodies[self, body.digest] += 1
        return body_of(self, body, *options)

    def counted_crc(body: bytes) -> int:
        packed[body] += 1
        return crc32(body)

    def counted_hash(body: bytes = b"", **options: Any) -> Any:
        hashed[body] += 1
        return sha256(body, **options)

    monkeypatch.setattr(Path, "open", counted_open)
    monkeypatch.setattr(builder, "_render", counted_render)
    monkeypatch.setattr(TextRenderer, "page", counted_body)
    monkeypatch.setattr(zlib, "crc32", counted_crc)
    monkeypatch.setattr(hashlib, "sha256", counted_hash)
    release = build_release(*TREES)
    texts = [file for file in TREES[0].rglob("*") if file.suffix in {".md", ".po", ".toml", ".txt"}]
    assert {file: read[file] for file in texts} == dict.fromkeys(texts, 1)
    assert {path for path in release.files if path.endswith(".html")} < set(rendered)
    assert set(rendered.values()) == set(bodies.values()) == {1}
    inside = release.files.keys() - {ARCHIVE, MANIFEST}
    assert {path: packed[release.files[path].body] for path in inside} == dict.fromkeys(inside, 1)
    assert {path: hashed[file.body] for path, file in release.files.items()} == dict.fromkeys(
        release.files, 1
    )


@pytest.mark.parametrize(
    "escaped", [r"www.cfcr2008\.org", "www.cfcr2008&period;org", "CFCR2008&#46;ORG"]
)
def test_an_escaped_address_of_the_former_site_is_rejected(tmp_path: Path, escaped: str) -> None:
    """An address that appears only on the rendered page stops the build."""
    tree = copy_texts(tmp_path)
    with (tree / "en/pages/verify.md").open("a", encoding="utf-8") as out:
        out.write(f"\n{escaped}\n")
    with pytest.raises(CccrError) as caught:
        build_release(tree, TREES[1])
    assert str(caught.value) == (
        "translations/en/pages/verify.md: the page would show the former site's address in a form "
        "that can be opened. Write it as cfcr2008[.]org."
    )


def test_a_page_that_fails_to_render_is_named(tmp_path: Path) -> None:
    """If a template fails, the error names the page and no release is built."""
    templates = tmp_path / "templates"
    shutil.copytree(TREES[1], templates)
    page = templates / "page.html"
    page.write_text(page.read_text() + "{% block main %}{{ nothing }}{% endblock %}")
    with pytest.raises(CccrError, match=r"^en/\S+\.html could not be rendered"):
        build_release(TREES[0], templates)


@pytest.mark.long
def test_a_killed_write_leaves_a_complete_release(tmp_path: Path) -> None:
    """SIGKILL at thirty times never leaves a half-written folder, and the next build cleans up.

    Each kill falls some milliseconds into writing a release in place of another.
    """
    script = (
        "import sys; from pathlib import Path; from cccr_web.release import load, write\n"
        "release = load(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read(1)\n"
        "while True: write(release, Path(sys.argv[2]))\n"
    )
    sources = [
        build(tmp_path / "one"),
        build(tmp_path / "two", SOURCE_DATE_EPOCH="1"),
    ]
    whole = [load(source) for source in sources]
    place = tmp_path / "place"
    place.mkdir()
    out = place / "release"
    for turn in range(30):
        command = [sys.executable, "-c", script, str(sources[turn % 2]), str(out)]
        with subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as builder:
            assert builder.stdout is not None
            assert builder.stdin is not None
            assert builder.stdout.readline() == b"ready\n"
            builder.stdin.write(b"\n")
            builder.stdin.flush()
            time.sleep(turn / 1000)
            builder.send_signal(signal.SIGKILL)
        assert not out.exists() or load(out) in whole
    build(out)
    assert load(out) == whole[0]
    assert [path.name for path in place.iterdir()] == ["release"]
