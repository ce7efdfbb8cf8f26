"""The front: a machine that publishes the onion with Onionbalance, and serves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cccr_web.doctor.baseline import check_baseline
from cccr_web.doctor.host import (
    check_clock,
    check_disk,
    check_ssh,
    check_tor_version,
    own_version,
)
from cccr_web.doctor.model import CheckResult, PrivatePath, not_checked, wrong
from cccr_web.doctor.permissions import check_permissions
from cccr_web.doctor.services import check_units
from cccr_web.doctor.tor import TorClient, check_front
from cccr_web.errors import OnionError
from cccr_web.listen import Unix
from cccr_web.onion import ControlAddress, connect

if TYPE_CHECKING:
    from cccr_web.onion import ControlConnection

_DISKS: Final = (Path("/"), Path("/var"))


@dataclass(frozen=True, slots=True)
class Front:
    """The onion that a front publishes, and its parts, named as those of a ``Target``."""

    onion: str
    seconds: float
    control: ControlAddress | None = None
    private: tuple[PrivatePath, ...] = ()
    units: tuple[str, ...] = ()
    baseline: Path | None = None
    ssh_keys_only: bool = False


def run_front_checks(front: Front) -> Iterator[CheckResult]:
    """Check the front's tor, what it publishes, and the machine."""
    with contextlib.ExitStack() as stack:
        link: ControlConnection | None = None
        cause: str | None = "tor"
        try:
            link = stack.enter_context(connect(front.control))
        except OnionError as error:
            yield wrong("tor", error.problem, error.remedy)
            yield not_checked("descriptor", "tor")
        else:
            cause = yield from check_front(link, front.onion, front.seconds / 5)
        units, paths = {}, {}
        if link is None and cause:
            units = {"tor@": cause, "cccr-web-front": cause}
            if isinstance(front.control, Unix):
                paths = {front.control.path: cause}
        yield from check_permissions(front.private, paths)
        yield from check_disk(None, _DISKS)
        yield from check_clock(TorClient(link) if link else None, cause=cause)
        if front.units:
            yield from check_units(front.units, units)
        if front.ssh_keys_only:
            yield check_ssh()
        if front.baseline is not None:
            yield from check_baseline(front.baseline)
        yield own_version()
        if link is None:
            yield not_checked("versions", "tor")
        else:
            yield from check_tor_version(link)
