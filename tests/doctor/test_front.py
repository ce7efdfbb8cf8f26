"""The doctor on the front, which publishes an onion with Onionbalance and has no release."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import run
from support.live_site import PublishedSite, doctor

from cccr_web.doctor import (
    CheckResult,
    CheckVerdict,
    Front,
    PrivatePath,
    run_checks,
    run_front_checks,
    services,
)
from cccr_web.listen import Unix
from cccr_web.onion import parse_control_address

OF_THIS_MACHINE = {"clock", "disk", "updates"}
UNPUBLISHED = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """No unit runs."""
    state = {"ActiveState": "inactive", "SubState": "dead"}
    monkeypatch.setattr(services, "unit_states", lambda units: [{"Id": u, **state} for u in units])


def verdicts(results: list[CheckResult]) -> dict[str, CheckVerdict]:
    """Return the verdict on each part but those of this machine."""
    return {each.name: each.verdict for each in results if each.name not in OF_THIS_MACHINE}


def test_a_front_is_checked_without_a_release(published_site: PublishedSite) -> None:
    """Its tor, and what the HSDirs have, are checked; the command exits 0."""
    options = ("--front", "--onion-address", published_site.onion)
    status, results, errors = doctor(*options, "--control", published_site.control)
    assert (status, errors) == (0, ""), results
    names = ["tor", "descriptor", "disk", "clock", "versions", "versions"]
    assert [each["name"] for each in results] == names
    assert "introduction points" in results[1]["sentence"]


def test_the_command_needs_to_know_which_onion_the_front_publishes() -> None:
    """Without a release, only --onion-address can say it."""
    done = run("doctor", "--front")
    assert done.exit_code == 2
    assert "--front without a release needs --onion-address." in done.output


def test_a_front_that_publishes_nothing_is_reported(published_site: PublishedSite) -> None:
    """If no HSDir has the onion, or Onionbalance does not run, the results say what to do."""
    control = parse_control_address(published_site.control)
    front = Front(UNPUBLISHED, 20.0, control=control, units=("cccr-web-front.service",))
    results = list(run_front_checks(front))
    found = verdicts(results)
    assert found["tor"] is CheckVerdict.OK
    assert found["descriptor"] is found["services"] is CheckVerdict.WRONG
    (descriptor,) = (each for each in results if each.name == "descriptor")
    assert "systemctl restart cccr-web-front" in descriptor.remedy


def test_a_front_without_its_tor_is_one_fault(tmp_path: Path) -> None:
    """What needs tor is not checked, and no unit that ends with tor is wrong, too."""
    control = Unix(tmp_path / "control")
    units = ("tor@cccr.service", "cccr-web-front.service")
    private = (PrivatePath(control.path),)
    front = Front(UNPUBLISHED, 20.0, control=control, private=private, units=units)
    found = verdicts(list(run_front_checks(front)))
    assert found.pop("tor") is CheckVerdict.WRONG
    parts = ("descriptor", "permissions", "services")
    assert [found[name] for name in parts] == [CheckVerdict.NOT_CHECKED] * 3
    assert CheckVerdict.WRONG not in found.values()


def test_a_server_that_is_also_the_front_is_checked_as_both(published_site: PublishedSite) -> None:
    """It serves the release at its own onion, and publishes that of the site."""
    with published_site.proxy().running() as proxy:
        target = published_site.target(
            onion=published_site.onion,
            control=parse_control_address(published_site.control),
            backend=published_site.onion,
            front=True,
            onion_socket=Unix(proxy.socket),
        )
        found = verdicts(list(run_checks(target)))
    for name in ("tor", "descriptor", "onion bytes", "onion headers"):
        assert found[name] is CheckVerdict.OK
    assert found["proof of work"] is CheckVerdict.NOT_APPLICABLE
