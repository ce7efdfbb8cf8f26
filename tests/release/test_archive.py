"""The ZIP: the same bytes each time, and a release when it is unpacked."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.signed import content, facts, organisation_key, put_release, signed_release

from cccr_web.release import Signer, load, make_release, manifest, with_archive
from cccr_web.release.archive import make_archive

NAME = "cccr-web.zip"


def test_same_files_give_the_same_bytes() -> None:
    """The order in which files come does not matter, nor does anything of this machine."""
    files = content(1)
    turned = dict(reversed(files.items()))
    assert make_archive(files, facts().time) == make_archive(turned, facts().time)


def test_entries_are_plain() -> None:
    """Each entry stands below one folder, sorted, with fixed mode bits and the release's time."""
    time = datetime(2026, 11, 22, 1, 2, 4, tzinfo=UTC)
    with zipfile.ZipFile(io.BytesIO(make_archive(content(1), time))) as packed:
        entries = packed.infolist()
    assert [entry.filename for entry in entries] == [
        f"cccr-web/{path}" for path in sorted(content(1))
    ]
    assert {entry.date_time for entry in entries} == {(2026, 11, 22, 1, 2, 4)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


@pytest.mark.parametrize("year", [1970, 2150])
def test_years_that_no_zip_can_hold(year: int) -> None:
    """A release of any year can be packed: the date is the nearest that a ZIP can hold."""
    packed = make_archive({"a": b""}, datetime(year, 1, 1, tzinfo=UTC))
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        assert opened.infolist()[0].date_time[0] in (1980, 2107)


def test_zip_holds_every_other_file() -> None:
    """Whoever has the ZIP has the release, but for the ZIP itself."""
    release = signed_release(1)
    with zipfile.ZipFile(io.BytesIO(release.files[NAME].body)) as packed:
        inside = {name.removeprefix("cccr-web/"): packed.read(name) for name in packed.namelist()}
    beside = {"SHA256SUMS", "SHA256SUMS.minisig", "SHA256SUMS.sshsig"}
    assert inside.keys() == release.files.keys() - {NAME}
    for path in inside.keys() - beside:
        assert inside[path] == release.files[path].body


def test_no_file_is_hashed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its bytes to a signed release with a ZIP, each file is hashed once."""
    hashed: Counter[bytes] = Counter()

    def digest(body: bytes) -> str:
        hashed[body] += 1
        return hashlib.sha256(body).hexdigest()

    monkeypatch.setattr(manifest, "digest", digest)
    release = Signer(organisation_key()).sign(with_archive(make_release(content(1), facts())))
    assert hashed.keys() >= {file.body for file in release.files.values()}
    assert set(hashed.values()) == {1}


def test_unpacked_by_unzip_it_is_a_release(tmp_path: Path) -> None:
    """What Debian's unzip makes of it verifies by the organisation's key, as the ZIP does."""
    (tmp_path / NAME).write_bytes(signed_release(1).files[NAME].body)
    subprocess.run(["unzip", "-q", NAME], cwd=tmp_path, check=True)
    key = organisation_key().public
    assert load(tmp_path / "cccr-web", key) == load(tmp_path / NAME, key)


def test_unsigned_zip_holds_a_list(tmp_path: Path) -> None:
    """Before it is signed the ZIP is a release already, that fits its list."""
    release = with_archive(make_release(content(1), facts()))
    (tmp_path / NAME).write_bytes(release.files[NAME].body)
    assert load(tmp_path / NAME).listed == make_release(content(1), facts()).listed


def test_whole_release_comes_back_from_a_folder(tmp_path: Path) -> None:
    """A signed release with its ZIP is the same after a way over the disk."""
    put_release(signed_release(1), tmp_path / "release")
    assert load(tmp_path / "release", organisation_key().public) == signed_release(1)
