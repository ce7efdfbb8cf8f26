"""Updates take effect: what uses a replaced file is restarted, and a new kernel booted."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from support.deploy.clients import ClearnetClient, Load, OnionReader
from support.deploy.inspection import wait_for_published

if TYPE_CHECKING:
    from support.deploy.machine import Machine
    from support.measurements import Recorder

PAGE = "/en/index.html"
UNITS = (
    "cccr-web-clearnet.service",
    "cccr-web-manager.service",
    "cccr-web-onion.service",
    "nginx.service",
    "tor@cccr.service",
)
AS_APT = ("env", "DEBIAN_FRONTEND=noninteractive")


def replaced(process: int) -> bool:
    """Return whether a process maps a file that was replaced."""
    maps = Path(f"/proc/{process}/maps").read_text()
    return any(" (deleted)" in line and "/lib/" in line for line in maps.splitlines())


def times(server: Machine, unit: str) -> tuple[int, int]:
    """Return when the unit stopped last and when it ran again, in µs since the machine started."""
    names = ("ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    show = server.run("systemctl", "show", *(f"--property={name}" for name in names), unit)
    found = dict(line.split("=") for line in show.splitlines())
    return int(found[names[0]]), int(found[names[1]])


def test_an_updated_library_restarts_one_service_after_the_other(
    server: Machine, clearnet: ClearnetClient, hidden: OnionReader, note: Recorder
) -> None:
    """After an update of the C library needrestart restarts each service, and no request fails.

    A copy with the same bytes replaces the library, as dpkg would do it.
    """
    wait_for_published(server)
    (library,) = server.run("sh", "-c", "echo /lib/*/libc.so.6").split()
    library = server.run("readlink", "--canonicalize", library).strip()
    server.run("cp", "--archive", library, f"{library}.new")
    server.run("mv", f"{library}.new", library)
    before = {unit: server.main_process(unit) for unit in UNITS}
    assert all(replaced(process) for process in before.values())
    with (
        Load(lambda: clearnet.get(PAGE).status == 200) as cached,
        Load(lambda: clearnet.get(f"{PAGE}?x").status == 200) as direct,
    ):
        direct.wait_for(20)
        output = server.run(*AS_APT, "needrestart")
        direct.wait_for(20)
    assert [cached.failures, direct.failures] == [[], []], output
    note(f"updated library: failed of {cached.sent + direct.sent} requests", 0, "")
    after = {unit: server.main_process(unit) for unit in UNITS}
    for unit in UNITS:
        assert after[unit] != before[unit], output
        assert not replaced(after[unit]), unit
    # nginx never stops.
    stopped = sorted(times(server, unit) for unit in UNITS if unit != "nginx.service")
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(stopped)), stopped
    wait_for_published(server)
    hidden.wait(PAGE, 150, lambda: server.run("journalctl", "--lines", "80"))
    assert server.run("systemctl", "--failed", "--no-legend") == ""
    assert server.try_run("systemctl", "reload", "nginx").returncode == 0
    assert server.main_process("nginx.service") == after["nginx.service"]


def test_a_new_kernel_is_started_at_the_hour_of_the_settings(server: Machine) -> None:
    """If a kernel waits for it, the daily update plans a reboot at ``REBOOT_AT``."""
    # A new kernel's package makes this file (/etc/kernel/postinst.d/unattended-upgrades).
    server.run("touch", "/run/reboot-required")
    try:
        server.run("unattended-upgrade")
        planned = server.run("cat", "/run/systemd/shutdown/scheduled")
    finally:
        server.run("shutdown", "-c")
        server.run("rm", "/run/reboot-required")
    fields = dict(line.split("=") for line in planned.splitlines())
    assert fields["MODE"] == "reboot"
    at = server.run("date", "+%H:%M", f"--date=@{int(fields['USEC']) // 1_000_000}")
    assert at.strip() == "04:30"
