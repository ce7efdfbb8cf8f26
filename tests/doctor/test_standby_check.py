"""The doctor on a server that stands by while another publishes the onion."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.live_site import PublishedSite

from cccr_web.doctor import CheckVerdict, run_checks
from cccr_web.listen import Unix, parse_listen
from cccr_web.onion import parse_control_address

PLANNED = "planned another server publishes the onion\n"
UNPLANNED = "unplanned the onion answers, so another server still publishes it\n"


@pytest.mark.parametrize(
    ("text", "verdict", "sentence"),
    [
        (PLANNED, CheckVerdict.OK, "Standby: another server publishes the onion."),
        (UNPLANNED, CheckVerdict.WRONG, f"Standby: {UNPLANNED[10:-1]}."),
    ],
)
def test_a_standby_is_checked_at_its_own_socket(
    published_site: PublishedSite, tmp_path: Path, text: str, verdict: str, sentence: str
) -> None:
    """Its bytes and headers are checked without tor; only what the admin did not plan is wrong."""
    (tmp_path / "standby").write_text(text)
    with published_site.proxy().running() as proxy:
        socket = parse_listen(f"unix:{proxy.socket}")
        assert isinstance(socket, Unix)
        target = published_site.target(
            onion=published_site.onion,
            control=parse_control_address(published_site.control),
            standby=tmp_path / "standby",
            onion_socket=socket,
        )
        found = {each.name: each for each in run_checks(target)}
    assert (found["tor"].verdict, found["tor"].sentence) == (verdict, sentence)
    assert ("deploy.sh promote" in found["tor"].remedy) == (text is UNPLANNED)
    for name in ("bytes", "headers", "responses", "status pages", "banners"):
        assert found[f"onion {name}"].verdict is CheckVerdict.OK, found[f"onion {name}"]
    for name in ("tor client", "descriptor", "proof of work"):
        assert found[name].verdict is CheckVerdict.NOT_APPLICABLE
