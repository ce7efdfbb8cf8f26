"""The units of the site: whether they keep running, and run what is installed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cccr_web.doctor.model import (
    CheckResult,
    not_applicable,
    not_checked,
    ok,
    run_command,
    summarise,
    wrong,
)
from cccr_web.errors import counted

# A unit that systemd restarted so often, the last time within an hour, keeps restarting.
_MOST_RESTARTS: Final = 5
_RECENTLY: Final = 3600.0  # seconds

# A day for the update itself; the daily run may begin twelve hours late.
_IN_EFFECT: Final = 24 * 3600.0  # seconds
_INSTALLED: Final = 2 * _IN_EFFECT

_PROC: Final = Path("/proc")
_REBOOT: Final = Path("/run/reboot-required")
# apt-daily-upgrade.service touches it when it has finished (apt.systemd.daily).
_STAMP: Final = Path("/var/lib/apt/periodic/upgrade-stamp")
# deploy.sh turns the daily updates on with it; the first run follows within a day and a half.
_SETTINGS: Final = Path("/etc/apt/apt.conf.d/52cccr-web")
_DELETED: Final = " (deleted)"
_PROPERTIES: Final = "Id,ActiveState,SubState,NRestarts,MainPID,ExecMainStartTimestampMonotonic"


def unit_states(units: tuple[str, ...]) -> list[dict[str, str]]:
    """Return what systemd says of each unit. Raises ``OSError``."""
    done = run_command("systemctl", "show", f"--property={_PROPERTIES}", *units)
    if done.returncode != 0:
        raise OSError(f"systemctl failed: {done.stderr.strip()}")
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in done.stdout.strip().split("\n\n")
    ]


def check_services(
    states: list[dict[str, str]], now: float, causes: Mapping[str, str] | None = None
) -> Iterator[CheckResult]:
    """Check that each unit is active and does not keep restarting.

    ``now`` is in seconds since the machine started. ``causes`` are the checks that found what
    is wrong if a unit does not run, by the first letters of its name.
    """
    causes = causes or {}
    for state in states:
        unit = state["Id"]
        log = f"Its log says why: journalctl --unit={unit} --lines=50"
        started = int(state.get("ExecMainStartTimestampMonotonic") or 0) / 1_000_000
        restarts = int(state.get("NRestarts") or 0)
        if restarts >= _MOST_RESTARTS and now - started < _RECENTLY:
            # The number of minutes would make each hour's sentence another.
            yield wrong("services", f"{unit} keeps restarting: {restarts} times recently.", log)
        elif state["ActiveState"] in {"active", "reloading", "activating"}:
            yield ok("services", f"{unit} runs; systemd restarted it {counted(restarts, 'time')}.")
        elif cause := next((causes[each] for each in causes if unit.startswith(each)), None):
            yield not_checked("services", cause)
        else:
            sentence = f"{unit} is {state['ActiveState']} ({state['SubState']})."
            yield wrong("services", sentence, f"{log}. Then: systemctl start {unit}")


def check_updates(
    pids: list[int],
    now: float,
    proc: Path = _PROC,
    reboot: Path = _REBOOT,
    stamp: Path = _STAMP,
    settings: Path = _SETTINGS,
) -> Iterator[CheckResult]:
    """Check that security updates are installed, and that processes and kernel use them.

    A process uses an old library if the file that it maps was replaced; the new file's
    change time (``st_ctime``) is that of the update. ``now`` is in seconds since 1970.
    """
    if not stamp.parent.exists():
        yield not_applicable("updates", "This machine does not install updates with apt.")
        return
    if now - max(_time(stamp) or 0.0, _time(settings) or 0.0) > _INSTALLED:
        yield wrong(
            "updates",
            "The daily security updates have not run for two days.",
            "See why: systemctl status apt-daily-upgrade.timer apt-daily-upgrade.service",
        )
        return
    if (since := _time(reboot)) is not None and now - since > _IN_EFFECT:
        yield wrong(
            "updates",
            "An update of the kernel has waited for a reboot for more than a day.",
            "Reboot, or set REBOOT_AT in the settings.",
        )
        return
    old = [
        f"{name} uses an old {path}"
        for pid in pids
        for name, path in _replaced(proc / str(pid), now)
    ]
    if old:
        yield wrong(
            "updates",
            f"An update has not been in effect for more than a day: {summarise(old, 1)}.",
            "Restart these services, one at a time: systemctl restart UNIT",
        )
    else:
        yield ok("updates", "Security updates are installed daily, and in effect.")


def _replaced(process: Path, now: float) -> Iterator[tuple[str, str]]:
    """Yield the process's name and the first file it maps that was replaced a day ago."""
    try:
        lines = (process / "maps").read_text(encoding="utf-8", errors="replace").splitlines()
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return  # it has ended
    for line in lines:
        path = line.partition("/")[2]
        if path.endswith(_DELETED):
            file = Path("/", path.removesuffix(_DELETED))
            changed = _time(file, change=True)
            if changed is not None and now - changed > _IN_EFFECT:
                yield name, str(file)
                return


def _time(file: Path, *, change: bool = False) -> float | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ctime if change else found.st_mtime


def check_units(
    units: tuple[str, ...], causes: Mapping[str, str] | None = None
) -> Iterator[CheckResult]:
    """Check the units and what their main processes use; ``causes`` as for ``check_services``."""
    try:
        states = unit_states(units)
    except OSError as error:
        yield wrong("services", f"The services cannot be checked: {error}.", "Run this as root.")
        return
    yield from check_services(states, time.monotonic(), causes)
    pids = [int(state.get("MainPID") or 0) for state in states]
    yield from check_updates([pid for pid in pids if pid], time.time())
