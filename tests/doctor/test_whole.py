"""The doctor looks at a whole site: our server, nginx, an onion on the private Tor network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from support.doctored import PUBLIC, Place, doctor, signed
from support.hostile import Answer, Hostile
from support.hosting import gone, wait_until
from support.serving import DOMAIN
from support.signed import organisation_key, put_release

from cccr_web.cli import main
from cccr_web.doctor import Case, Result, Verdict, examine
from cccr_web.doctor.client import Client, client
from cccr_web.doctor.hosting import check_descriptor, check_hosting
from cccr_web.errors import OnionError
from cccr_web.onion import ControlAddress, ControlConnection, connect, list_services

if TYPE_CHECKING:
    from conftest import Note
    from support.tornet import TorNetwork

NAMES = [
    *("release", "expiry", "canary", "images", "permissions", "permissions", "disk"),
    *("tor", "way through tor", "descriptor", "proof of work"),
    *("onion bytes", "onion headers", "onion answers", "onion status pages", "onion banners"),
    *("certificate", "redirect"),
    *("clearnet bytes", "clearnet headers", "clearnet answers"),
    *("clearnet status pages", "clearnet banners"),
    *("traces", "clock", "versions", "versions"),
]


def wrong_ones(results: list[dict[str, str]]) -> dict[str, str]:
    """Return the sentence of each check that found something wrong."""
    return {each["name"]: each["sentence"] for each in results if each["verdict"] == "wrong"}


def test_all_is_well(place: Place, note: Note) -> None:
    """A site in order is found in order, on both roads, by every check there is."""
    with place.front().running() as front:
        begin = time.monotonic()
        status, results, errors = doctor(*place.options(front))
    note("doctor of the whole site on the private network", time.monotonic() - begin)
    assert wrong_ones(results) == {}
    assert (status, errors) == (0, "")
    assert [each["name"] for each in results] == NAMES
    assert all(set(each) == {"name", "verdict", "sentence", "remedy"} for each in results)


def test_one_byte_behind_the_onion(place: Place) -> None:
    """One byte changed on the onion alone is found there, and named; the clearnet stays well."""
    page = "/zh-hans/who-we-are.html"

    def twist(path: str, answer: Answer) -> Answer:
        body = b"".join(answer.pieces)
        return replace(answer, pieces=(body[:-2] + b"!\n",)) if path == page else answer

    with place.front().running() as front:
        front.socket.unlink()
        with Hostile(place.release, twist, path=front.socket):
            status, results, _ = doctor(*place.options(front))
    found = wrong_ones(results)
    assert status == 1
    assert f"Not what was signed: {page}: changed (SHA-256 " in found["onion bytes"]
    # The foreign server knows only plain pages, and has a name.
    assert found.keys() == {"onion bytes", "onion answers", "onion banners"}
    assert "Server: BaseHTTP/" in found["onion banners"]


def test_everything_gone(place: Place, tmp_path: Path) -> None:
    """Without nginx, hosting tor or a network, every check is made or says why it could not be."""
    offline = tmp_path / "torrc"
    offline.write_text("DisableNetwork 1\n")
    options = place.options(place.front())
    options[options.index("--control") + 1] = f"unix:{tmp_path}/none"
    options[options.index("--torrc") + 1] = str(offline)
    status, results, _ = doctor(*options, "--time-limit", "3", "--private", f"{tmp_path}/none")
    assert status == 1
    found = wrong_ones(results)
    assert found["tor"].startswith("No tor listens for control connections at")
    assert found["way through tor"].startswith("A client tor came to 0 % (Starting) in 3 s")
    assert found["onion bytes"] == "It cannot be seen: no way through tor."
    assert "Connection refused" in found["clearnet bytes"]
    assert found["permissions"].endswith("none cannot be looked at: No such file or directory.")
    assert {*NAMES} - {*found} <= {
        *("release", "expiry", "canary", "images", "disk", "traces", "clock", "versions"),
    }
    assert all(each["remedy"] for each in results if each["verdict"] == "wrong")


@pytest.fixture(scope="module")
def hosting(place: Place) -> Iterator[ControlConnection]:
    """The tor that hosts the onion."""
    with connect(ControlAddress.parse(place.control)) as link:
        yield link


@pytest.fixture(scope="module")
def reader(place: Place) -> Iterator[Client]:
    """A reader's tor."""
    with client(place.torrc, 60.0) as made:
        yield made


def by_name(results: Iterator[Result]) -> dict[str, Result]:
    """Return results by their checks' names."""
    return {result.name: result for result in results}


def test_no_proof_of_work(hosting: ControlConnection, reader: Client) -> None:
    """An onion that was published without proof of work is up, and still not well."""
    before = list_services(hosting)
    reply = hosting.send("ADD_ONION NEW:ED25519-V3 Flags=DiscardPK,Detach Port=80,127.0.0.1:9")
    assert reply.is_ok()
    (onion,) = list_services(hosting) - before
    try:
        wait_until(lambda: check_is_up(hosting, onion), 30)
        found = by_name(check_descriptor(reader, onion, 60.0))
    finally:
        hosting.send(f"DEL_ONION {onion.removesuffix('.onion')}")
    assert found["descriptor"].verdict is Verdict.OK, found
    assert found["proof of work"].verdict is Verdict.WRONG
    assert "carries no proof of work" in found["proof of work"].sentence


def check_is_up(hosting: ControlConnection, onion: str) -> bool:
    """Whether the hosting tor says that all is well."""
    return all(each.verdict is Verdict.OK for each in check_hosting(hosting, onion))


def test_onion_that_nobody_runs(hosting: ControlConnection, reader: Client) -> None:
    """An onion that is not published is missed by its tor and by the directories."""
    onion = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
    (found,) = check_hosting(hosting, onion)
    assert found.verdict is Verdict.WRONG
    assert found.sentence == f"The hosting tor does not run {onion}."
    seen = by_name(check_descriptor(reader, onion, 5.0))
    assert {each.verdict for each in seen.values()} == {Verdict.WRONG}
    assert "No HSDir returned the descriptor" in seen["descriptor"].sentence


def test_reader_leaves_nothing(tor_network: TorNetwork, tmp_path: Path) -> None:
    """The reader's tor has a SOCKS port of its own, and is gone with its folder at the end."""
    with client(tor_network.write_torrc(tmp_path / "torrc"), 60.0) as made:
        assert made.proxy.is_loopback
        folder = made.link.address.path
        pid = int(made.link.info("process/pid"))
        assert folder is not None
        assert folder.exists()
    assert gone(pid)
    assert not folder.parent.parent.exists()


def test_reader_without_tor(tmp_path: Path) -> None:
    """Extra lines that tor refuses are told in tor's own words."""
    torrc = tmp_path / "torrc"
    torrc.write_text("Nonsense 1\n")
    with pytest.raises(OnionError, match="Tor rejects the extra torrc lines"), client(torrc, 5.0):
        pass


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release for no address, on a machine whose clock systemd keeps."""
    put_release(signed(onions=()), tmp_path / "release")
    program = tmp_path / "timedatectl"
    program.write_text("#!/bin/sh\nprintf 'NTP=yes\\nNTPSynchronized=yes\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "release"


def test_words_for_people(bare: Path) -> None:
    """A line each check in columns, and the sum; a road that the site has not is no fault."""
    words = ["doctor", "--release", str(bare), "--public-key", PUBLIC]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    *lines, last = done.stdout.splitlines()
    assert lines[0].startswith("ok     release                Release 1 of ")
    assert "-      onion bytes            The site has no onion." in lines
    assert "-      certificate            The site has no domain." in lines
    well, none = (sum(each[0] == sign for each in lines) for sign in "o-")
    assert last == f"All is well: {well} ok, {none} not applicable."
    (bare / "RELEASE.json").write_text("{}")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert done.stdout.startswith("WRONG  release                ")
    assert "\n1 wrong: " in done.stdout


def test_settings_of_the_server(bare: Path) -> None:
    """The server's own settings stand for the options."""
    settings = {"CCCR_RELEASE": str(bare), "CCCR_PUBLIC_KEY": PUBLIC, "CCCR_STATE": "/none"}
    done = CliRunner().invoke(main, ["doctor"], env=settings)
    assert done.exit_code == 1
    assert "WRONG  disk                   The disk of /none cannot be looked at" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--release", "/none"),
        ("--release", "/none", "--public-key", PUBLIC, "--private", "/a=9"),
        ("--release", "/none", "--public-key", PUBLIC, "--web", "unix:/a"),
    ],
)
def test_wrong_use(words: tuple[str, ...]) -> None:
    """What cannot be understood exits 2."""
    assert CliRunner().invoke(main, ["doctor", *words]).exit_code == 2


def test_domain_of_the_options(bare: Path) -> None:
    """A domain that is given is looked at though the release names none."""
    case = Case(bare, organisation_key().public, domain=DOMAIN, seconds=2.0)
    found = by_name(examine(case))
    assert found["certificate"].verdict is Verdict.WRONG
