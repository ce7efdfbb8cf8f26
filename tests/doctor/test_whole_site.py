"""The doctor checks a whole site: our server, nginx, an onion on the private Tor network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command import run
from support.hostile import Hostile, change_a_byte_of
from support.hosting import gone, wait_until
from support.live_site import PublishedSite, doctor, signed, target_of
from support.serving import DOMAIN
from support.signed import PUBLIC, put_release
from support.tornet import free_ports

from cccr_web.doctor import CheckResult, CheckVerdict, PrivatePath, run_checks, runner
from cccr_web.doctor.model import ok
from cccr_web.doctor.tor import TorClient, check_descriptor, check_hosting, tor_client
from cccr_web.errors import OnionError
from cccr_web.listen import Tcp, Unix
from cccr_web.onion import (
    Bootstrap,
    ControlConnection,
    ManagedTor,
    connect,
    new_key,
    parse_control_address,
)

if TYPE_CHECKING:
    from support.measurements import Recorder
    from support.tornet import TorNetwork

NAMES = [
    *("release", "expiry", "latest", "canary", "mirrors.txt", "keys.txt", "security.txt", "images"),
    *("tor", "certificate", "redirect", "tor client", "descriptor", "proof of work"),
    *("onion bytes", "onion headers", "onion responses", "onion status pages", "onion banners"),
    *("clearnet bytes", "clearnet headers", "clearnet responses"),
    *("clearnet status pages", "clearnet banners"),
    *("permissions", "permissions", "disk", "leaks", "clock", "versions", "versions"),
]


def wrong_ones(results: list[dict[str, str]]) -> dict[str, str]:
    """Return the sentence of each check that found something wrong."""
    return {each["name"]: each["sentence"] for each in results if each["verdict"] == "wrong"}


def test_a_correct_site_passes_every_check(published_site: PublishedSite, note: Recorder) -> None:
    """A correct site passes every check, on the clearnet and the onion."""
    with published_site.proxy().running() as proxy:
        begin = time.monotonic()
        status, results, errors = doctor(*published_site.options(proxy))
    note("doctor of the whole site on the private network", time.monotonic() - begin)
    assert wrong_ones(results) == {}
    assert (status, errors) == (0, "")
    assert [each["name"] for each in results] == NAMES
    assert all(set(each) == {"name", "verdict", "sentence", "remedy"} for each in results)


def test_one_changed_byte_on_the_onion_is_reported(published_site: PublishedSite) -> None:
    """One changed byte on the onion is reported there with its file, and not on the clearnet."""
    page = "/zh-hans/who-we-are.html"

    with published_site.proxy().running() as proxy:
        proxy.socket.unlink()
        with Hostile(published_site.release, change_a_byte_of(page), path=proxy.socket):
            status, results, _ = doctor(*published_site.options(proxy))
    found = wrong_ones(results)
    assert status == 1
    assert f"Different from the signed release: {page}: changed (SHA-256 " in found["onion bytes"]
    # The hostile server serves only plain pages, and sends a banner.
    assert found.keys() == {"onion bytes", "onion responses", "onion banners"}
    assert "Server: BaseHTTP/" in found["onion banners"]


def test_a_stopped_manager_is_reported_once(published_site: PublishedSite, folder: Path) -> None:
    """If tor runs and its onion is not published, one check is wrong: no break-in is claimed."""
    tor = ManagedTor(folder / "tor", extra=published_site.torrc)
    with published_site.proxy().running() as proxy, tor.open() as link:
        wait_until(lambda: Bootstrap.read(link).percent == 100, 60)
        options = published_site.options(proxy)
        options[options.index("--control") + 1] = str(link.address)
        status, results, _ = doctor(*options)
    tor.close()
    found = wrong_ones(results)
    assert status == 1
    assert found == {"tor": f"The hosting tor does not run {published_site.onion}."}
    assert {*NAMES} == {each["name"] for each in results}
    assert "compromised" not in str(results)


def test_a_stopped_proxy_is_reported_once_for_both_addresses(published_site: PublishedSite) -> None:
    """If nginx is stopped, one check is wrong, and every other still has a result."""
    proxy = published_site.proxy()
    status, results, _ = doctor(*published_site.options(proxy))
    assert (status, [*wrong_ones(results)]) == (1, ["certificate"])
    assert {*NAMES} == {each["name"] for each in results}


def test_without_nginx_tor_or_network_every_check_still_has_a_result(
    published_site: PublishedSite, tmp_path: Path
) -> None:
    """Without nginx, hosting tor and network, every check runs or says why it cannot."""
    offline = tmp_path / "torrc"
    offline.write_text("DisableNetwork 1\n")
    options = published_site.options(published_site.proxy())
    options[options.index("--control") + 1] = f"unix:{tmp_path}/none"
    options[options.index("--torrc") + 1] = str(offline)
    status, results, _ = doctor(*options, "--time-limit", "3", "--private", f"{tmp_path}/none")
    assert status == 1
    found = wrong_ones(results)
    assert found["tor"].startswith("No tor listens for control connections at")
    assert found["tor client"].startswith("Tor is still at 0 % (Starting) after 3 s")
    assert "Connection refused" in found["certificate"]
    assert {*found} == {"tor", "tor client", "certificate"}
    others = {each["name"]: each["sentence"] for each in results if each["verdict"] != "wrong"}
    assert others["onion bytes"] == "Not checked, because “tor client” is wrong."
    assert others["clearnet bytes"] == "Not checked, because “certificate” is wrong."
    assert {*NAMES} == {*found, *others}
    assert all(each["remedy"] for each in results if each["verdict"] == "wrong")


@pytest.fixture(scope="module")
def hosting(published_site: PublishedSite) -> Iterator[ControlConnection]:
    """The tor that hosts the onion."""
    with connect(parse_control_address(published_site.control)) as link:
        yield link


@pytest.fixture(scope="module")
def client(published_site: PublishedSite) -> Iterator[TorClient]:
    """A client tor, as a reader has."""
    with tor_client(published_site.torrc, 60.0) as made:
        yield made


def by_name(results: Iterator[CheckResult]) -> dict[str, CheckResult]:
    """Return results by their checks' names."""
    return {result.name: result for result in results}


def test_an_onion_without_proof_of_work_is_wrong(
    published_site: PublishedSite, hosting: ControlConnection, client: TorClient
) -> None:
    """An onion published without proof of work has a descriptor, but is wrong."""
    wait_until(lambda: is_up(hosting, published_site.weak_onion), 30)
    found = by_name(check_descriptor(client, published_site.weak_onion, 60.0))
    assert found["descriptor"].verdict is CheckVerdict.OK, found
    assert found["proof of work"].verdict is CheckVerdict.WRONG
    assert "has no proof of work" in found["proof of work"].sentence


def is_up(hosting: ControlConnection, onion: str) -> bool:
    """Return whether the hosting tor reports no fault."""
    return all(each.verdict is CheckVerdict.OK for each in check_hosting(hosting, onion))


def test_an_unpublished_onion_is_wrong(hosting: ControlConnection, client: TorClient) -> None:
    """An unpublished onion is wrong for its tor and for the directories."""
    onion = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
    (found,) = check_hosting(hosting, onion)
    assert found.verdict is CheckVerdict.WRONG
    assert found.sentence == f"The hosting tor does not run {onion}."
    seen = by_name(check_descriptor(client, onion, 5.0))
    assert seen["proof of work"].verdict is CheckVerdict.NOT_CHECKED
    assert "No HSDir returned the descriptor" in seen["descriptor"].sentence


def test_the_client_tor_leaves_nothing_behind(tor_network: TorNetwork, tmp_path: Path) -> None:
    """The client tor has its own SOCKS port; at the end it is stopped and its folder removed."""
    with tor_client(tor_network.write_torrc(tmp_path / "torrc"), 60.0) as made:
        assert made.proxy.is_loopback
        address = made.link.address
        pid = int(made.link.info("process/pid"))
        assert isinstance(address, Unix)
        folder = address.path
        assert folder.exists()
    assert gone(pid)
    assert not folder.parent.parent.exists()


def test_invalid_torrc_lines_are_reported(tmp_path: Path) -> None:
    """Extra torrc lines that tor rejects are reported with tor's message."""
    torrc = tmp_path / "torrc"
    torrc.write_text("UseBridges nonsense\n")
    with (
        pytest.raises(OnionError, match="Tor rejects the extra torrc lines"),
        tor_client(torrc, 5.0),
    ):
        pass


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a release without addresses, on a machine with a synchronised clock."""
    put_release(signed(onions=()), tmp_path / "release")
    program = tmp_path / "timedatectl"
    program.write_text("#!/bin/sh\nprintf 'NTP=yes\\nNTPSynchronized=yes\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "release"


def test_text_output_has_a_line_for_each_check_and_a_summary(bare: Path) -> None:
    """Each check has a line, and the last line counts them; a missing onion is not wrong."""
    words = ["doctor", "--release", str(bare), "--public-key", str(PUBLIC)]
    done = run(*words)
    assert done.exit_code == 0, done.output
    *lines, last = done.stdout.splitlines()
    assert lines[0].startswith("ok     release                Release 1 of ")
    assert "-      onion                  The site has no onion." in lines
    assert "-      clearnet               The site has no domain." in lines
    well, none = (sum(each[0] == sign for each in lines) for sign in "o-")
    assert last == f"No problems: {well} ok, {none} not applicable."
    (bare / "RELEASE.json").write_text("{}")
    done = run(*words)
    assert done.exit_code == 1
    assert done.stdout.startswith("WRONG  release                ")
    assert "\n1 wrong: " in done.stdout


def test_the_servers_settings_replace_missing_options(bare: Path) -> None:
    """The server's own settings replace options that are not given."""
    settings = {"CCCR_RELEASE": str(bare), "CCCR_PUBLIC_KEY": str(PUBLIC), "CCCR_STATE": "/none"}
    done = run("doctor", **settings)
    assert done.exit_code == 1
    assert "WRONG  disk                   The disk of /none cannot be checked" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--release", "/none"),
        ("--release", "/none", "--public-key", str(PUBLIC), "--private", "/a=9"),
        ("--release", "/none", "--public-key", str(PUBLIC), "--web", "unix:/a"),
    ],
)
def test_wrong_arguments_exit_with_2(words: tuple[str, ...]) -> None:
    """Wrong arguments exit with status 2."""
    assert run("doctor", *words).exit_code == 2


def test_a_given_domain_is_checked_although_the_release_has_none(bare: Path) -> None:
    """A domain given as an option is checked even if the release has none."""
    target = target_of(bare, domain=DOMAIN, seconds=2.0)
    found = by_name(run_checks(target))
    assert found["certificate"].verdict is CheckVerdict.WRONG


def causes(results: list[CheckResult]) -> dict[str, str]:
    """Return which check found why each of these was not checked."""
    return {
        each.name: each.sentence.split("“")[1].split("”")[0]
        for each in results
        if each.verdict is CheckVerdict.NOT_CHECKED
    }


def test_without_a_release_no_part_of_the_site_is_called_missing(bare: Path) -> None:
    """If only the release names the site's addresses, a broken one is the one wrong line."""
    target = target_of(bare / "none", seconds=2.0)
    found = list(run_checks(target))
    assert [each.name for each in found if each.verdict is CheckVerdict.WRONG] == ["release"]
    assert causes(found) == dict.fromkeys(("onion", "clearnet", "disk"), "release")
    assert not [each for each in found if each.verdict is CheckVerdict.NOT_APPLICABLE]


def test_without_a_readable_key_the_site_is_not_called_one_without_an_onion(bare: Path) -> None:
    """If only its key says which onion the site has, the wrong key is the cause."""
    key = bare.parent / "onion.key"
    key.write_text("not a key")
    found = list(run_checks(target_of(bare, onion_key=key, seconds=2.0)))
    assert [each.name for each in found if each.verdict is CheckVerdict.WRONG] == ["onion key"]
    assert causes(found) == {"onion": "onion key", "permissions": "onion key"}


def test_each_check_names_the_fault_that_prevented_it(bare: Path) -> None:
    """tor, the Tor client and nginx fail independently; no check blames an unrelated one."""
    folder = bare.parent
    (folder / "torrc").write_text("UseBridges nonsense\n")
    (folder / "timedatectl").write_text("#!/bin/sh\nexit 1\n")
    (closed,) = free_ports(1)
    paths = [folder / "control", folder / "other", folder / "state"]
    target = target_of(
        bare,
        domain=DOMAIN,
        onion=f"{'a' * 56}.onion",
        states=(folder / "link",),
        control=Unix(paths[0]),
        https=Tcp("127.0.0.1", closed),
        torrc=folder / "torrc",
        private=tuple(map(PrivatePath, paths)),
        seconds=2.0,
    )
    (folder / "link").symlink_to(paths[2])
    found = list(run_checks(target))
    wrong = [each for each in found if each.verdict is CheckVerdict.WRONG]
    names = ["tor", "certificate", "tor client", "permissions", "disk"]
    assert [each.name for each in wrong] == names
    assert wrong[3].sentence == f"{paths[1]} does not exist."
    lines = [each.sentence for each in found if each.name == "permissions"]
    assert lines[0] == "Not checked, because “tor” is wrong."
    assert lines[2] == "Not checked, because “disk” is wrong."
    known = causes(found)
    assert (known["redirect"], known["clearnet bytes"]) == ("certificate", "certificate")
    assert (known["onion bytes"], known["clock"]) == ("tor client", "tor client")
    assert known["versions"] == "tor"


def test_a_missing_descriptor_is_not_blamed_on_nginx(
    published_site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nginx is stopped and the HSDirs lack the descriptor, both are wrong."""

    def hosted(_link: ControlConnection, onion: str, _standby: object) -> Iterator[CheckResult]:
        yield ok("tor", f"The hosting tor runs {onion}.")

    monkeypatch.setattr(runner, "check_hosting", hosted)
    (closed,) = free_ports(1)
    target = target_of(
        published_site.folder / "release",
        domain=DOMAIN,
        onion="pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion",
        control=parse_control_address(published_site.control),
        https=Tcp("127.0.0.1", closed),
        torrc=published_site.torrc,
        seconds=20.0,
    )
    found = by_name(run_checks(target))
    assert found["certificate"].verdict is CheckVerdict.WRONG
    assert found["descriptor"].verdict is CheckVerdict.WRONG
    assert found["onion bytes"].sentence == "Not checked, because “descriptor” is wrong."


def test_a_key_of_another_onion_is_wrong(bare: Path) -> None:
    """If the key file does not belong to the onion that is published, the result names both."""
    file, onion = bare.parent / "onion.key", f"{'a' * 56}.onion"
    key = new_key(file)
    (bare.parent / "torrc").write_text("UseBridges nonsense\n")
    target = target_of(
        bare,
        onion=onion,
        onion_key=file,
        control=Unix(bare.parent / "none"),
        torrc=bare.parent / "torrc",
        seconds=2.0,
    )
    found = by_name(run_checks(target))
    assert found["onion key"].sentence == f"{file} is the key of {key.address}, not of {onion}."
    assert found["permissions"].verdict is CheckVerdict.OK
