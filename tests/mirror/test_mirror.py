"""The folder of a mirror: what is written into it, and what is kept."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from support.command import run
from support.mirrored import RELEASE, rule_files
from support.signed import PUBLIC, facts, put, put_release, signed_release

from cccr_web import files
from cccr_web.errors import CccrError
from cccr_web.mirror import write_mirror
from cccr_web.release import Release, load, make_release


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A signed release in a folder."""
    folder = tmp_path / "release"
    put_release(RELEASE, folder)
    return folder


def test_the_command_writes_the_site_and_the_rule_files(release: Path, tmp_path: Path) -> None:
    """The command writes the release's own bytes and the rule files, and nothing else."""
    folder = tmp_path / "mirror"
    done = run("mirror", "write", folder, "--release", release, "--public-key", PUBLIC)
    assert done.exit_code == 0, done.output
    assert f"signed by {PUBLIC.fingerprint}" in done.stdout
    assert load(folder / "site", PUBLIC).files == RELEASE.files
    assert (folder / "site" / ".nojekyll").read_bytes() == b""
    assert sorted(path.name for path in folder.iterdir()) == ["headers", "redirects", "site"]
    names = ["Caddyfile", "_headers", "_redirects", "apache.conf", "nginx.conf"]
    assert sorted(path.name for path in (folder / "headers").iterdir()) == names


def test_a_changed_release_is_not_mirrored(release: Path, tmp_path: Path) -> None:
    """A release with one changed byte is rejected, and nothing is written."""
    page = release / "en" / "index.html"
    page.write_bytes(page.read_bytes() + b" ")
    done = run("mirror", "write", tmp_path / "mirror", "--release", release, "--public-key", PUBLIC)
    assert done.exit_code == 1
    assert done.stderr == "en/index.html is not the file that SHA256SUMS lists.\n"
    assert not (tmp_path / "mirror").exists()


@pytest.mark.parametrize("folder", ["", "mirror"])
def test_a_mirror_inside_its_release_is_wrong_usage(release: Path, folder: str) -> None:
    """A release is never written into itself, which would change it."""
    done = run("mirror", "write", release / folder, "--release", release, "--public-key", PUBLIC)
    assert done.exit_code == 2
    assert "is in the release itself: choose another folder." in done.stderr
    assert load(release, PUBLIC).files == RELEASE.files


def unsigned(sequence: int, files: dict[str, bytes]) -> Release:
    """Return a release of these files."""
    return make_release(files, facts(sequence))


@pytest.mark.parametrize("has_links", [True, False])
def test_an_update_keeps_files_of_others(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    """What no release wrote stays where it is, also where the file system has no hard links."""
    site = mirror / "site"
    put({".git/objects/a": b"blob", "CNAME": b"cccr.example", "en/notes.txt": b"mine"}, site)
    put({"notes.txt": b"mine"}, site.parent / "redirects")
    (site / ".git/objects/a").chmod(0o444)
    (site / ".git/hooks").mkdir()
    (site / ".git/link").symlink_to("nowhere")
    (site / "RELEASE.link").symlink_to("RELEASE.json")
    if not has_links:

        def fail(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", fail)
    write_mirror(unsigned(3, {"en/index.html": b"new"}), mirror)
    kept = {str(path.relative_to(site)) for path in site.rglob("*") if not path.is_dir()}
    assert kept == {
        *(".git/objects/a", ".git/link", "CNAME", "en/notes.txt", "RELEASE.link"),
        *(".nojekyll", "RELEASE.json", "SHA256SUMS", "en/index.html"),
    }
    assert (site / ".git/objects/a").read_bytes() == b"blob"
    assert (site / ".git/objects/a").stat().st_mode & 0o777 == 0o444
    assert (site / ".git/hooks").is_dir()
    assert (site / ".git/link").readlink() == Path("nowhere")
    assert (site / "CNAME").read_bytes() == b"cccr.example"
    assert (site.parent / "redirects/notes.txt").read_bytes() == b"mine"
    assert sorted(path.name for path in mirror.iterdir()) == ["headers", "redirects", "site"]


def test_a_mirror_begins_in_the_folder_of_a_repository(tmp_path: Path) -> None:
    """A folder that holds a repository and no release yet becomes a mirror."""
    put({".git/HEAD": b"ref", "README.md": b"mine"}, tmp_path / "site")
    write_mirror(RELEASE, tmp_path)
    assert (tmp_path / "site/.git/HEAD").read_bytes() == b"ref"
    assert (tmp_path / "site/README.md").read_bytes() == b"mine"
    with pytest.raises(CccrError, match=r"(\.git|README\.md) is not listed in SHA256SUMS"):
        load(tmp_path / "site")


@pytest.mark.parametrize(
    ("theirs", "named"),
    [("a.html", "a.html"), ("b", "b"), ("c.html/x", "c.html"), ("zh/d.html", "zh")],
)
def test_a_file_of_others_is_never_overwritten(tmp_path: Path, theirs: str, named: str) -> None:
    """If a release has a file where another file or folder is, nothing is written."""
    site = put({theirs: b"mine"}, tmp_path / "site")
    ours = dict.fromkeys(("a.html", "b/b.html", "c.html", "zh/d.html"), b"ours")
    with pytest.raises(CccrError, match=f"site/{named} is not from a release.* Move it elsewhere"):
        write_mirror(unsigned(3, ours), tmp_path)
    assert {path.read_bytes() for path in site.rglob("*") if path.is_file()} == {b"mine"}


def test_a_failed_update_leaves_the_mirror_as_it_was(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new folder cannot take its place, the release and the files of others are there."""
    put({".git/HEAD": b"ref"}, mirror / "site")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(files, "_rename", fail)
        with pytest.raises(CccrError, match="site cannot be written: Input/output error"):
            write_mirror(signed_release(3), mirror)
    assert (mirror / "site/.git/HEAD").read_bytes() == b"ref"
    shutil.rmtree(mirror / "site/.git")
    assert load(mirror / "site").metadata.sequence == 2
    write_mirror(signed_release(3), mirror)
    assert load(mirror / "site").metadata.sequence == 3


def test_an_older_release_is_not_mirrored(mirror: Path) -> None:
    """Neither an older release nor another one with the same sequence replaces a mirror."""
    site = mirror / "site"
    older = f"Release 1 is older than release 2, which is in {site}."
    with pytest.raises(CccrError, match=re.escape(older)):
        write_mirror(signed_release(1), mirror)
    with pytest.raises(CccrError, match=f"differs from that of release 2, which is in {site}"):
        write_mirror(unsigned(2, {"en/index.html": b"other"}), mirror)
    assert load(site).files == RELEASE.files
    write_mirror(RELEASE, mirror)
    (site / "RELEASE.json").write_bytes(b"{}")
    with pytest.raises(CccrError, match=r"site is damaged: RELEASE\.json is not .* Choose another"):
        write_mirror(signed_release(3), mirror)


def test_rules_for_an_onion_have_no_hsts_or_onion_location(release: Path, tmp_path: Path) -> None:
    """For an onion the rules hold neither HSTS nor Onion-Location."""
    done = run("mirror", "write", tmp_path / "mirror", "--release", release, "--onion")
    assert "not checked against a key" in done.stdout
    for file in (tmp_path / "mirror" / "headers").iterdir():
        text = file.read_text()
        assert "Strict-Transport-Security" not in text
        assert "http://a" not in text
    expected = rule_files(RELEASE, "onion")
    written = {path.name: path.read_text() for path in (tmp_path / "mirror/headers").iterdir()}
    assert written == expected
