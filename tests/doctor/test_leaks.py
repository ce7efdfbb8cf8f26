"""What files and responses reveal about the machine and its pictures (``doctor/leaks.py``)."""

from __future__ import annotations

import io
import socket
import zipfile
from pathlib import Path

import pytest
from PIL import PngImagePlugin
from support.photographs import photo, picture
from support.signed import content, facts

from cccr_web.doctor import CheckVerdict
from cccr_web.doctor.leaks import check_images, check_leaks, own_addresses, own_names
from cccr_web.release import make_release, with_archive


def png(*, text: bool) -> bytes:
    """Return a picture, with a note in it or without."""
    made, notes = io.BytesIO(), PngImagePlugin.PngInfo()
    if text:
        notes.add_text("Software", "a camera")
    picture(8, 8).save(made, "PNG", pnginfo=notes)
    return made.getvalue()


def jpeg() -> bytes:
    """Return a plain picture."""
    made = io.BytesIO()
    picture(16, 16).save(made, "JPEG")
    return made.getvalue()


def packed(name: str, body: bytes) -> bytes:
    """Return a ZIP of one file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as book:
        book.writestr(name, body)
    return made.getvalue()


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("a.png", png(text=False), None),
        ("a.png", png(text=True), "a.png contains a tEXt chunk"),
        ("a.jpg", jpeg(), None),
        ("a.jpg", photo(), "a.jpg contains Exif or XMP"),
        ("en/cccr-en.epub", packed("x.jpg", photo()), "en/cccr-en.epub:x.jpg contains Exif or XMP"),
        ("en/cccr-en.epub", packed("x.png", png(text=False)), None),
    ],
)
def test_metadata_in_pictures_is_found(path: str, body: bytes, found: str | None) -> None:
    """Metadata in a PNG or JPEG is found, also inside an EPUB; a picture without any is ok."""
    (result,) = check_images(make_release({**content(1), path: body}, facts()))
    if found is None:
        assert result.verdict is CheckVerdict.OK
    else:
        assert result.verdict is CheckVerdict.WRONG
        assert found in result.sentence


def test_a_release_without_pictures_has_nothing_to_check() -> None:
    """The check of pictures does not apply to a release without any."""
    files = {path: body for path, body in content(1).items() if not path.endswith("png")}
    (result,) = check_images(make_release(files, facts()))
    assert result.verdict is CheckVerdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("our server vps-17.example.", "vps-17.example"),
        ("VPS-17 it is", "VPS-17"),
        ("at 192.0.2.7.", "192.0.2.7"),
        ("at [2001:db8::7]:80", "2001:db8::7"),
        ("mail.vps-17.example", "vps-17.example"),
        ("at 192.0.2.77, 1192.0.2.7 and vps-170", None),
    ],
)
def test_an_identifier_of_the_machine_in_a_page_is_found(words: str, found: str | None) -> None:
    """A name or address of the machine in a page is found, but not as part of a longer one."""
    traces = {"vps-17", "vps-17.example", "192.0.2.7", "2001:db8::7"}
    release = make_release({**content(1), "en/x.html": words.encode()}, facts())
    (result,) = check_leaks(with_archive(release), [], [], traces)
    if found is None:
        assert result.verdict is CheckVerdict.OK
    else:
        assert result.verdict is CheckVerdict.WRONG
        assert f"en/x.html contains {found}" in result.sentence
        # It is inside the ZIP as well.
        assert "cccr-web.zip:" in result.sentence


def test_a_public_name_is_not_a_leak() -> None:
    """The machine may have the same name as the site."""
    release = make_release({**content(1), "en/x.html": b"vps-17.example"}, facts())
    (result,) = check_leaks(release, [], ["vps-17.example"], {"vps-17.example"})
    assert result.verdict is CheckVerdict.OK


def test_only_distinctive_host_names_are_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is searched for only if it has a digit, hyphen or dot."""
    monkeypatch.setattr(socket, "gethostname", lambda: "freedom")
    monkeypatch.setattr(socket, "getfqdn", lambda: "Freedom.Example")
    assert own_names() == {"freedom.example"}


def test_addresses_of_all_interfaces_except_loopback_are_read(tmp_path: Path) -> None:
    """The kernel's tables give the address of each interface except loopback."""
    (tmp_path / "fib_trie").write_text(
        "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "     |-- 127.0.0.1\n        /32 host LOCAL\n"
        "     |-- 192.0.2.7\n        /32 host LOCAL\n"
        "     |-- 192.0.2.255\n        /32 link BROADCAST\n"
    )
    (tmp_path / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "20010db8000000000000000000000007 02 40 00 80     eth0\n"
    )
    assert own_addresses(tmp_path) == {"192.0.2.7", "2001:db8::7"}
    assert own_addresses(tmp_path / "none") == set()
    assert "127.0.0.1" not in own_addresses()
