"""One fault is reported once, and not as many."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.hosting import short_folder
from support.live_site import PublishedSite, signed, target_of
from support.reverse_proxy import CertificateAuthority, ReverseProxy
from support.running import Running
from support.serving import DOMAIN
from support.signed import ServerFolder, put_release
from support.tornet import free_ports

from cccr_web.doctor import CheckResult, CheckVerdict, PrivatePath, run_checks, services
from cccr_web.listen import Tcp, Unix
from cccr_web.onion import new_key

# Checks with results that depend on where the tests run.
OF_THIS_MACHINE = {"clock", "updates"}


@pytest.fixture(scope="module")
def without_onion() -> Iterator[PublishedSite]:
    """A small site that has only a clearnet."""
    with short_folder() as folder:
        release = signed(onions=(), clearnet=f"https://{DOMAIN}")
        put_release(release, folder / "release")
        server_folder = ServerFolder(folder)
        server_folder.point(folder / "release")
        authority, none = CertificateAuthority(folder), folder / "none"
        with Running(server_folder) as server:
            yield PublishedSite(folder, release, "", "", "", none, authority, server)


def found_wrong(site: PublishedSite, proxy: ReverseProxy, **changes: Any) -> list[CheckResult]:
    """Return what the doctor finds wrong, except with this machine."""
    https, http = (Tcp("127.0.0.1", port) for port in proxy.ports)
    target = site.target(https=https, http=http, authorities=site.authority.file, **changes)
    results = [each for each in run_checks(target) if each.name not in OF_THIS_MACHINE]
    names = [each.name for each in results if each.name.startswith("clearnet ")]
    assert len(names) == len(set(names)) == 5
    assert "compromised" not in "".join(each.remedy for each in results)
    return [each for each in results if each.verdict is CheckVerdict.WRONG]


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the units runs."""
    state = {"ActiveState": "inactive", "SubState": "dead"}
    monkeypatch.setattr(
        services, "unit_states", lambda units: [{"Id": unit, **state} for unit in units]
    )


@pytest.mark.usefixtures("stopped")
def test_a_stopped_proxy_is_reported_once(without_onion: PublishedSite) -> None:
    """A stopped nginx makes one check wrong, although systemd reports it, too."""
    (found,) = found_wrong(without_onion, without_onion.proxy(), units=("nginx.service",))
    assert (found.name, "Connection refused" in found.sentence) == ("certificate", True)


def test_an_expired_certificate_is_reported_once(without_onion: PublishedSite) -> None:
    """An expired certificate makes one check wrong, although no page can be fetched."""
    with without_onion.proxy(days=-1).running() as proxy:
        (found,) = found_wrong(without_onion, proxy)
    assert found.name == "certificate"


@pytest.mark.usefixtures("stopped")
def test_another_stopped_unit_is_reported(without_onion: PublishedSite) -> None:
    """A unit that does not explain what was found is a fault of its own."""
    units = ("nginx.service", "cccr-web-clearnet.service")
    found = found_wrong(without_onion, without_onion.proxy(), units=units)
    assert [each.name for each in found] == ["certificate", "services"]
    assert found[1].sentence == "cccr-web-clearnet.service is inactive (dead)."


@pytest.mark.usefixtures("stopped")
def test_a_stopped_server_is_reported_once_and_not_as_a_break_in(
    without_onion: PublishedSite,
) -> None:
    """If nginx answers and our server does not, one check is wrong and names the programs."""
    (port,) = free_ports(1)
    units = ("cccr-web-clearnet.service",)
    with replace(without_onion.proxy(), port=port).running() as proxy:
        (found,) = found_wrong(without_onion, proxy, units=units)
    assert found.name == "clearnet bytes"
    assert "responded with 502" in found.sentence
    assert "systemctl status" in found.remedy


def test_another_signed_release_is_reported_once_and_not_as_a_break_in(
    without_onion: PublishedSite, tmp_path: Path
) -> None:
    """If the server serves another release that the organisation signed, one check is wrong."""
    newer = signed(sequence=2, onions=(), clearnet=f"https://{DOMAIN}")
    put_release(newer, tmp_path / "release")
    with without_onion.proxy().running() as proxy:
        (found,) = found_wrong(without_onion, proxy, release=tmp_path / "release")
    assert found.name == "clearnet bytes"
    assert found.sentence == "The server serves another signed release: release 1, not 2."


def test_a_missing_release_is_reported_once(without_onion: PublishedSite) -> None:
    """Without a release to compare with, only that is wrong."""
    none = without_onion.folder / "none"
    with without_onion.proxy().running() as proxy:
        (found,) = found_wrong(without_onion, proxy, release=none, domain=DOMAIN)
    assert found.name == "release"


@pytest.mark.usefixtures("stopped")
def test_a_missing_tor_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program, no tor hosts the onion and no client can be started: one remedy."""
    onion = new_key(tmp_path / "onion.key").address
    put_release(signed(onions=(onion,), clearnet=None), tmp_path / "release")
    control = Unix(tmp_path / "control")
    target = target_of(
        tmp_path / "release",
        control=control,
        private=(PrivatePath(control.path),),
        units=("tor@cccr-web.service",),
    )
    monkeypatch.setattr(shutil, "which", lambda *_arguments, **_options: None)
    results = [each for each in run_checks(target) if each.name not in OF_THIS_MACHINE]
    assert [(each.name, each.remedy) for each in results if each.verdict is CheckVerdict.WRONG] == [
        ("tor", "Install it: apt install tor")
    ]
    (client,) = (each for each in results if each.name == "tor client")
    assert client.sentence == "Not checked, because “tor” is wrong."


def test_an_open_onion_key_is_reported_once(without_onion: PublishedSite, tmp_path: Path) -> None:
    """A key that other users may read makes one check wrong."""
    new_key(tmp_path / "onion.key")
    (tmp_path / "onion.key").chmod(0o644)
    with without_onion.proxy().running() as proxy:
        (found,) = found_wrong(without_onion, proxy, onion_key=tmp_path / "onion.key")
    assert found.name == "onion key"
