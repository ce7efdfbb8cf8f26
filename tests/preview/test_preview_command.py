"""``cccr-web preview`` as a process."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.command import failure
from support.hosting import wait_until
from support.previewed import PreviewProcess
from support.texts import DATED, add, copy_texts


def get(address: str, path: str) -> tuple[int, bytes]:
    """Return the status and the body of a page."""
    link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    link.request("GET", path)
    response = link.getresponse()
    body = response.read()
    link.close()
    return response.status, body


def said(preview: PreviewProcess) -> str:
    """Return what it has printed on stderr."""
    return preview.errors.read_text(encoding="utf-8")


def test_messages_are_in_the_terminal_too(tmp_path: Path) -> None:
    """After each change they are printed with file and line; pages have them as well."""
    tree = copy_texts(tmp_path)
    with PreviewProcess(tree) as preview:
        assert preview.errors.read_text(encoding="utf-8") == "All texts are in order.\n"
        add(f"en/{DATED}", "A <b>bold</b> word.")(tree)
        wait_until(lambda: "Raw HTML" in preview.errors.read_text(encoding="utf-8"), 30)
        line = preview.errors.read_text(encoding="utf-8").splitlines()[-1]
        assert line.startswith(f"translations/en/{DATED}:")
        assert b"Raw HTML" in get(preview.address, f"/en/{DATED.removesuffix('md')}html")[1]


def test_a_text_with_problems_at_the_start_is_no_obstacle(tmp_path: Path) -> None:
    """Its page has the messages, all other pages are there, and the terminal has no traceback."""
    tree = copy_texts(tmp_path)
    add(f"en/{DATED}", "[A dead link](nowhere.md)")(tree)
    with PreviewProcess(tree) as preview:
        status, page = get(preview.address, f"/en/{DATED[:-2]}html")
        assert (status, b"is a dead link" in page) == (200, True)
        assert get(preview.address, "/en/verify.html")[0] == 200
        assert b"is a dead link" in get(preview.address, f"/-/compare/{DATED[:-3]}/")[1]
        (line,) = preview.errors.read_text(encoding="utf-8").splitlines()
        assert "dead link" in line


def test_a_change_wakes_the_page_that_is_shown(tmp_path: Path) -> None:
    """Its connection gets an event when a file changes, and nothing before."""
    tree = copy_texts(tmp_path)
    with PreviewProcess(tree) as preview:
        page = get(preview.address, "/en/")[1].decode()
        edition = page.partition('data-edition="')[2].partition('"')[0]
        link = http.client.HTTPConnection(urlsplit(preview.address).netloc, timeout=30)
        link.request("GET", f"/-/events?{edition}")
        response = link.getresponse()
        assert response.readline() == b": listening\n"
        add(f"en/{DATED}", "One more sentence.")(tree)
        while not (line := response.readline()).startswith(b"data:"):
            assert line in {b"\n", b": still listening\n"}
        link.close()
        assert b"One more sentence." in get(preview.address, f"/en/{DATED[:-2]}html")[1]


def test_only_this_machine_can_connect(tmp_path: Path) -> None:
    """It listens on 127.0.0.1 alone, not on its other addresses."""
    with PreviewProcess(copy_texts(tmp_path)) as preview:
        port = urlsplit(preview.address).port
        assert port is not None
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        mine = [line.split()[1] for line in lines if line.split()[1].endswith(f":{port:04X}")]
        assert "0100007F" in {address.partition(":")[0] for address in mine}
        assert "00000000" not in {address.partition(":")[0] for address in mine}
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))


def test_a_folder_that_is_moved_away_and_back_is_watched_again(tmp_path: Path) -> None:
    """Meanwhile its last good version is shown."""
    tree = copy_texts(tmp_path)
    with PreviewProcess(tree) as preview:
        tree.rename(tmp_path / "elsewhere")
        wait_until(lambda: "site.toml:1: The file is missing" in said(preview), 30)
        assert get(preview.address, "/en/verify.html")[0] == 200
        (tmp_path / "elsewhere").rename(tree)
        wait_until(lambda: said(preview).count("All texts are in order.") == 2, 30)
        add(f"en/{DATED}", "A <b>bold</b> word.")(tree)
        wait_until(lambda: "Raw HTML" in said(preview), 30)
        assert preview.end() == 0
    assert "Traceback" not in said(preview)


def test_a_folder_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    """The system does not watch it, and the pages that it hides have messages."""
    tree = copy_texts(tmp_path)
    (tree / "en/more").mkdir(mode=0o000)
    # As for a user who is not root.
    without = "-dac_override,-dac_read_search"
    prefix = ("setpriv", f"--bounding-set={without}", f"--inh-caps={without}")
    with PreviewProcess(tree, prefix=prefix) as preview:
        add(f"en/{DATED}", "A <b>bold</b> word.")(tree)
        wait_until(lambda: "Raw HTML" in said(preview), 30)
        assert preview.end() == 0
    assert "Traceback" not in said(preview)


def test_a_name_that_is_no_text_does_not_end_the_watch(tmp_path: Path) -> None:
    """Its message is shown, and that all is in order once it is removed."""
    tree = copy_texts(tmp_path)
    with PreviewProcess(tree) as preview:
        (tree / "en/pages/a\udcff.md").write_text("x", encoding="utf-8")
        wait_until(lambda: "a\\udcff.md:1: The file must start" in said(preview), 30)
        (tree / "en/pages/a\udcff.md").unlink()
        wait_until(lambda: said(preview).count("All texts are in order.") == 2, 30)
        assert preview.end() == 0
    assert "Traceback" not in said(preview)


def test_it_ends_with_an_open_page(tmp_path: Path) -> None:
    """Ctrl-C ends it at once with status 0, and it leaves the texts as they were."""
    tree = copy_texts(tmp_path)
    before = {file: file.read_bytes() for file in tree.rglob("*") if file.is_file()}
    preview = PreviewProcess(tree)
    preview.__enter__()
    link = http.client.HTTPConnection(urlsplit(preview.address).netloc, timeout=30)
    link.request("GET", "/-/events?none-yet")
    link.getresponse().readline()
    assert preview.end() == 0
    link.close()
    assert before == {file: file.read_bytes() for file in tree.rglob("*") if file.is_file()}
    assert "Traceback" not in preview.errors.read_text(encoding="utf-8")


def test_a_port_in_use_is_reported() -> None:
    """With what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = failure("preview", "--port", str(port))
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in message
    assert "Pass another --port." in message
