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
from cccr_web.release.archive import make_archive, pack_zip

NAME = "cccr-web.zip"


def test_same_files_give_the_same_bytes() -> None:
    """Neither the order of the files nor the machine changes the ZIP."""
    files = content(1)
    turned = dict(reversed(files.items()))
    assert make_archive(files, facts().time) == make_archive(turned, facts().time)


def test_zip_entries_are_sorted_and_have_fixed_modes_and_times() -> None:
    """All entries are in one folder, sorted, with fixed mode bits and the release's time."""
    time = datetime(2026, 11, 22, 1, 2, 4, tzinfo=UTC)
    with zipfile.ZipFile(io.BytesIO(make_archive(content(1), time))) as packed:
        entries = packed.infolist()
    assert [entry.filename for entry in entries] == [
        f"cccr-web/{path}" for path in sorted(content(1))
    ]
    assert {entry.date_time for entry in entries} == {(2026, 11, 22, 1, 2, 4)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


def test_a_zip_has_the_bytes_that_pythons_module_writes() -> None:
    """Nothing in our ZIP is unusual, also where a file is not compressed."""
    files = {"mimetype": b"application/epub+zip", "a": b"", "b/c.html": b"<p>" * 5000}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for path, body in files.items():
            entry = zipfile.ZipInfo(path, (2026, 11, 22, 1, 2, 4))
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_STORED if path == "mimetype" else zipfile.ZIP_DEFLATED
            target.writestr(entry, body, compresslevel=9)
    packed = pack_zip(files, datetime(2026, 11, 22, 1, 2, 4, tzinfo=UTC), stored={"mimetype"})
    assert packed == written.getvalue()


@pytest.mark.parametrize("year", [1970, 2150])
def test_a_year_that_no_zip_can_hold_is_replaced_by_the_nearest(year: int) -> None:
    """A release of any year can be packed."""
    packed = make_archive({"a": b""}, datetime(year, 1, 1, tzinfo=UTC))
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        assert opened.infolist()[0].date_time[0] in (1980, 2107)


def test_zip_holds_every_other_file() -> None:
    """The ZIP holds every file of the release except itself."""
    release = signed_release(1)
    with zipfile.ZipFile(io.BytesIO(release.files[NAME].body)) as packed:
        inside = {name.removeprefix("cccr-web/"): packed.read(name) for name in packed.namelist()}
    extra = {"SHA256SUMS", "SHA256SUMS.minisig", "SHA256SUMS.sshsig"}
    assert inside.keys() == release.files.keys() - {NAME}
    for path in inside.keys() - extra:
        assert inside[path] == release.files[path].body


def test_no_file_is_hashed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is hashed once until the release is signed and has its ZIP."""
    hashed: Counter[bytes] = Counter()

    def digest(body: bytes) -> str:
        hashed[body] += 1
        return hashlib.sha256(body).hexdigest()

    monkeypatch.setattr(manifest, "digest", digest)
    release = Signer(organisation_key()).sign(with_archive(make_release(content(1), facts())))
    assert hashed.keys() >= {file.body for file in release.files.values()}
    assert set(hashed.values()) == {1}


def test_a_zip_unpacked_by_unzip_is_a_release(tmp_path: Path) -> None:
    """The folder that Debian's unzip writes verifies like the ZIP."""
    (tmp_path / NAME).write_bytes(signed_release(1).files[NAME].body)
    subprocess.run(["unzip", "-q", NAME], cwd=tmp_path, check=True)
    key = organisation_key().public
    assert load(tmp_path / "cccr-web", key) == load(tmp_path / NAME, key)


def test_an_unsigned_zip_holds_a_manifest(tmp_path: Path) -> None:
    """The ZIP is a release even before it is signed."""
    release = with_archive(make_release(content(1), facts()))
    (tmp_path / NAME).write_bytes(release.files[NAME].body)
    assert load(tmp_path / NAME).listed == make_release(content(1), facts()).listed


def test_a_signed_release_is_loaded_as_it_was_written(tmp_path: Path) -> None:
    """Written to a folder and loaded again, a signed release is the same."""
    put_release(signed_release(1), tmp_path / "release")
    assert load(tmp_path / "release", organisation_key().public) == signed_release(1)
