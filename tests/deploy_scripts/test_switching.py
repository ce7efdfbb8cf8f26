"""How ``deploy/server/release.sh`` switches the servers, with a systemd of functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support import TOP
from support.deploy.scripts import in_server

from cccr_web.serve import reloader

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

# Servers that load the release “current” as ours do: they record it before they serve it. Each
# call of “sleep” is a tick; LOADS[SERVER] is how many ticks a reload takes. A server that is
# stopped ends the reload that it has begun.
SYSTEMD = """
WEB_SERVERS=(clearnet onion)
declare -A LOADS=([clearnet]=2 [onion]=2)
TICKS=0
at() { echo "$STATES/cccr-web-$1"; } # SERVER
text() { # SERVER RELEASE RELOADS [RESULT]
  echo "A sentence. (release=$2 reloads=$3 result=${4:-accepted})" >"$(at "$1")/StatusText"
}
load() { # SERVER
  local number served reloads
  number=$(release_number)
  served=$(server_status "$1" release) reloads=$(server_status "$1" reloads)
  rm -f "$(at "$1")/loading"
  if [ "$number" -lt "$(cat "$(at "$1")/$HIGHEST_SEQUENCE")" ]; then
    text "$1" "$served" $((reloads + 1)) rejected
  else
    echo "$number" >"$(at "$1")/$HIGHEST_SEQUENCE"
    text "$1" "$number" $((reloads + 1))
  fi
}
start_again() { # SERVER
  echo $(($(cat "$(at "$1")/MainPID") + 1)) >"$(at "$1")/MainPID"
  text "$1" "$(cat "$(at "$1")/$HIGHEST_SEQUENCE")" -1
  load "$1"
}
sleep() {
  local server
  TICKS=$((TICKS + 1))
  for server in "${WEB_SERVERS[@]}"; do
    [ -f "$(at "$server")/loading" ] || continue
    [ "$TICKS" -lt "$(cat "$(at "$server")/loading")" ] || load "$server"
  done
  if declare -F "at_tick_$TICKS" >/dev/null; then "at_tick_$TICKS"; fi
}
systemctl() {
  local word property='' words=() server
  for word in "$@"; do
    case $word in --property=*) property=${word#*=} ;; -*) ;; *) words+=("$word") ;; esac
  done
  server=${words[1]:-}
  server=${server#cccr-web-} server=${server%.service}
  case ${words[0]} in
    is-active) [ ! -e "$(at "$server")/stopped" ] ;;
    show) cat "$(at "$server")/$property" ;;
    reload) echo $((TICKS + ${LOADS[$server]})) >"$(at "$server")/loading" ;;
    kill) rm -f "$(at "$server")/loading" ;;
    restart)
      [ ! -e "$(at "$server")/loading" ] || load "$server"
      start_again "$server"
      ;;
  esac
}
mkdir -p "$RELEASES"/{1,2}
ln -s "$RELEASES/1" "$CURRENT"
for server in "${WEB_SERVERS[@]}"; do
  mkdir -p "$(at "$server")"
  echo 1 >"$(at "$server")/$HIGHEST_SEQUENCE"
  echo 100 >"$(at "$server")/MainPID"
  text "$server" 1 0
done
trap finish EXIT
trap 'exit 130' INT TERM HUP
lock
"""


def switched(folder: Path, script: str) -> CompletedProcess[str]:
    """Run a script that lets the servers switch from release 1 to release 2."""
    return in_server(SYSTEMD + script, folder)


def state(folder: Path) -> list[tuple[str, str]]:
    """Return the release and the highest sequence of each server, once its reload has ended."""
    found = []
    for server in ("clearnet", "onion"):
        own = folder / "lib" / f"cccr-web-{server}"
        assert not (own / "loading").exists(), "this state can still change"
        served = re.search(r"release=(\d+)", (own / "StatusText").read_text())
        assert served is not None
        found.append((served[1], (own / "highest-sequence").read_text().strip()))
    return found


def test_a_server_that_loads_slowly_is_awaited(tmp_path: Path) -> None:
    """A reload of a minute succeeds, and the message says what is awaited."""
    done = switched(tmp_path, "LOADS[onion]=320; release_switch 2; UNDO=()")
    assert done.returncode == 0, done.stderr
    assert state(tmp_path) == [("2", "2")] * 2
    waiting = "  waiting for the onion server to load release 2, up to 600 s\n"
    assert done.stderr.count(waiting) == 1


def test_a_start_and_a_reload_may_take_as_long_as_a_server_works(tmp_path: Path) -> None:
    """The script and the units give up no earlier than the server itself does."""
    done = in_server('echo "$RELOAD_LIMIT"', tmp_path)
    assert float(done.stdout) == reloader.HUNG_SECONDS
    for server in ("clearnet", "onion"):
        unit = (TOP / f"deploy/server/units/cccr-web-{server}.service").read_text()
        assert f"\nTimeoutStartSec={done.stdout}" in unit


UNDONE = """\
Undoing the changes.
  the clearnet server serves release 1
  the onion server serves release 1
The site is unchanged. Fix the problem above and run the same command again.
"""


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("LOADS[onion]=99 RELOAD_LIMIT=9", "The onion server has not finished loading release 2 "),
        (
            "at_tick_3() { echo 7 >$STATES/cccr-web-onion/MainPID; }",
            "The onion server stopped while",
        ),
        ("at_tick_3() { kill -TERM $$; }", "Failed at step"),
        ("echo 9 >$STATES/cccr-web-onion/$HIGHEST_SEQUENCE", "The onion server rejected release 2"),
    ],
)
def test_after_a_switch_that_failed_no_state_can_still_change(
    tmp_path: Path, script: str, why: str
) -> None:
    """If a server is too slow, dies or rejects the release, or the run is ended, all is as before.

    The reload is over when the message says so, and the message names what each server serves.
    """
    done = switched(tmp_path, f"LOADS[onion]=9\n{script}\nrelease_switch 2")
    assert done.returncode != 0
    assert why in done.stderr
    assert done.stderr.endswith(UNDONE), done.stderr
    guard = "9" if "echo 9" in script else "1"
    assert state(tmp_path) == [("1", "1"), ("1", guard)]
    assert (tmp_path / "srv/current").readlink().name == "1"


def test_a_server_that_cannot_return_is_not_called_unchanged(tmp_path: Path) -> None:
    """If a server keeps the new release, the message says so and what to run."""
    keep = "start_again() { echo 2 >$(at $1)/$HIGHEST_SEQUENCE; text $1 2 0; }"
    done = switched(tmp_path, f"{keep}; LOADS[onion]=99 RELOAD_LIMIT=9; release_switch 2")
    assert "  the onion server serves release 2\n" in done.stderr
    assert done.stderr.endswith("run deploy.sh without a command: it repairs the site.\n")


def test_the_end_of_an_earlier_reload_is_no_rejection(tmp_path: Path) -> None:
    """If someone reloaded the server just before, the second reload is awaited."""
    earlier = "at_tick_4() { text onion 1 1; }"  # the first server takes two ticks
    done = switched(tmp_path, f"LOADS[onion]=9; {earlier}; release_switch 2; UNDO=()")
    assert done.returncode == 0, done.stderr
    assert state(tmp_path) == [("2", "2")] * 2


LATEST = 'release_verify() { echo 1; }; echo new >"$BUNDLE/$LATEST"; release_latest; '


def test_what_says_that_the_release_is_the_newest_is_served_without_a_release(
    tmp_path: Path,
) -> None:
    """Each server has loaded it before the command ends; a second run reloads nothing."""
    done = switched(tmp_path, f"LOADS[onion]=20; {LATEST} UNDO=(); interrupted_done")
    assert done.returncode == 0, done.stderr
    assert state(tmp_path) == [("1", "1")] * 2
    assert (tmp_path / "srv/releases/1/SHA256SUMS.latest").read_text() == "new\n"
    assert int((tmp_path / "srv/switched").read_text())
    for server in ("clearnet", "onion"):
        text = (tmp_path / f"lib/cccr-web-{server}/StatusText").read_text()
        assert text == "A sentence. (release=1 reloads=1 result=accepted)\n"
    again = in_server(f"WEB_SERVERS=(onion); lock; {LATEST}", tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stderr == "latest\n  it is already served\n"


def test_what_a_server_rejects_next_to_the_release_is_removed(tmp_path: Path) -> None:
    """The release that is served has the same number before and after, and is as it was."""
    rejecting = "echo 9 >$STATES/cccr-web-onion/$HIGHEST_SEQUENCE"
    done = switched(tmp_path, f"{rejecting}; {LATEST}")
    assert done.returncode != 0
    assert "The onion server rejected release 1" in done.stderr
    assert "The site is unchanged." in done.stderr
    assert not (tmp_path / "srv/releases/1/SHA256SUMS.latest").exists()


@pytest.mark.parametrize("command", ["release_new", "rollback"])
def test_a_server_that_does_not_run_is_not_called_done(tmp_path: Path, command: str) -> None:
    """After ``release`` and ``rollback``, a stopped server is reported, and the run fails."""
    run = (TOP / "deploy/server/run.sh").read_text()
    functions = "".join(
        run[run.index(f"\n{name}() {{") :].split("\n}\n")[0] + "\n}\n"
        for name in ("release_new", "after_switch", "summarize")
    )
    commands = run[run.index("  rollback)\n") :].removeprefix("  rollback)\n").split(";;")[0]
    script = f"""
    NGINX=$FOLDER/none COMMAND_NAME=release NEW_RELEASE=2
    release_store() {{ :; }}
    release_rollback() {{ change "go back"; }}
    touch "$(at onion)/stopped"
    {functions}
    rollback() {{ {commands}; }}
    {command}
    summarize
    """
    done = switched(tmp_path, script.replace("summarize\n    ; }", "}"))
    assert done.returncode == 1, done.stderr
    assert "The site is not complete yet." in done.stderr
    assert "The onion server is not running. See: journalctl --unit=cccr-web-onion" in done.stderr
