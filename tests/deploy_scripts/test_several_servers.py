"""``deploy.sh`` with several servers, which only write down what they receive."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from support import TOP
from support.deploy.scripts import AdminSide, in_server
from support.policies import policy_release, with_latest
from support.signed import KEY, TODAY, put_release, signed_release

from cccr_web.onion import new_key

INSTALL = ("--offline", "wheels.tar")
PASSPHRASE = ("--passphrase-file", "passphrase")
SETTINGS = 'SERVERS="root@a root@b root@c"\nPUBLIC_KEY=../organisation.pub\n'
ONE = SETTINGS.replace('SERVERS="root@a root@b root@c"', "SERVER=root@a")
# In place of server/run.sh. A server fails once with the status in its file “fails”.
RECORDER = """\
for command in "$@"; do :; done
folder=@/$TARGET
[ "$command" != serves ] || { cat "$folder/serves" && exit; }
echo "$TARGET $*" >>"@/commands"
[ "$command" != status ] || echo '{"release": 7}'
if [ -e "$folder/fails" ]; then
  status=$(cat "$folder/fails")
  rm "$folder/fails"
  exit "$status"
fi
case $command in
  rollback) echo "clearnet 6, onion 6" >"$folder/serves" ;;
  release) echo "clearnet 8, onion 8" >"$folder/serves" ;;
  backup) tar --create --directory "@/kept" . ;;
esac
"""
# The beginning of another: preparing takes a while, and fails.
PREPARED = """\
if [ "$*" = prepare ]; then
  (cd "$(dirname "$0")/.." && ls -d * settings/*) >"@/$TARGET/sent"
  sleep 0.5
  echo "$TARGET prepared" >>"@/commands"
  exit 1
fi
"""


@pytest.fixture
def side(tmp_path: Path) -> AdminSide:
    """An admin's checkout, with three servers that serve release 7."""
    made = AdminSide(tmp_path)
    (tmp_path / "deploy/server/run.sh").write_text(RECORDER.replace("@/", f"{tmp_path}/"))
    made.ssh(
        '[ ! -e down ] || [ "$1" != "$(cat down)" ] || { echo "no route" >&2; exit 255; }\n'
        'TARGET=${1#root@} PATH=/usr/sbin:/usr/bin:/bin exec sh -c "$2"'
    )
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "serves").write_text("clearnet 7, onion 7\n")
    (tmp_path / "onion.key").write_text("the onion's key\n")
    made.settings(SETTINGS + "ONION_KEY=../onion.key\n")
    return made


def fail_once(side: AdminSide, name: str, status: int) -> None:
    """Let the next command on that server exit with ``status``."""
    (side.folder / name / "fails").write_text(str(status))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (INSTALL, "--check install"),
        (("upgrade", *INSTALL), "--check upgrade"),
        (("--dry-run", *INSTALL), "--dry-run --check install"),
        (("release", "release"), "--check release"),
        (("rollback",), "--check rollback"),
        (("notify-test",), "notify-test"),
    ],
)
def test_a_command_visits_one_server_after_another(
    side: AdminSide, arguments: tuple[str, ...], expected: str
) -> None:
    """Each server gets the command in the order of ``SERVERS``, and has to pass its checks."""
    message = side.run(*arguments)
    assert side.commands() == [f"{name} {expected}" for name in "abc"]
    assert [line for line in message.splitlines() if line.startswith("==")] == [
        f"== root@{name}" for name in "abc"
    ]


def test_the_others_are_prepared_while_the_first_is_installed(side: AdminSide) -> None:
    """They get our code, but no key and no release; each visit waits for it, even if it fails."""
    (side.folder / "deploy/server/run.sh").write_text(
        PREPARED.replace("@/", f"{side.folder}/") + RECORDER.replace("@/", f"{side.folder}/")
    )
    side.ssh(
        '[ "$1 $2" != "-o BatchMode=yes" ] || shift 2\n'
        'TARGET=${1#root@} PATH=/usr/sbin:/usr/bin:/bin exec sh -c "$2"'
    )
    message = side.run(*INSTALL)
    commands = side.commands()
    assert "a prepared" not in commands
    for name in "bc":
        assert commands.index(f"{name} prepared") < commands.index(f"{name} --check install")
        sent = (side.folder / name / "sent").read_text().split()
        settings = ["settings", "settings/server", "settings/site.env"]
        assert sent == ["offline", "requirements.txt", "server", *settings]
    assert "Fix the problem" not in message


def test_one_server_needs_no_headings(side: AdminSide) -> None:
    """With ``SERVER``, one name in ``SERVERS`` or a named server, nothing more is sent."""
    for settings, arguments in (
        (ONE, ()),
        (SETTINGS.replace(" root@b root@c", ""), ()),
        (SETTINGS, ("root@a",)),
    ):
        side.settings(settings)
        assert side.run("release", "release", *arguments) == ""
    assert side.commands() == ["a release"] * 3


def test_a_failure_stops_the_run_and_is_completed_by_the_next(side: AdminSide) -> None:
    """The first failure stops the run; a report says what each server serves."""
    fail_once(side, "b", 1)
    lines = side.run("release", "release", status=1).splitlines()
    assert lines == [
        "== root@a",
        "== root@b",
        "Stopped at root@b. What each server serves:",
        "  root@a: clearnet 8, onion 8",
        "  root@b: clearnet 7, onion 7",
        "  root@c: clearnet 7, onion 7",
        "Fix the problem above, and run the same command again: it completes the work.",
    ]
    assert side.commands() == ["a --check release", "b --check release"]
    side.run("release", "release")
    assert side.commands()[2:] == [f"{name} --check release" for name in "abc"]


def test_a_server_that_does_not_answer_is_in_the_report(side: AdminSide) -> None:
    """The report has ssh's message for a server that cannot be reached."""
    (side.folder / "down").write_text("root@b")
    lines = side.run("release", "release", status=1).splitlines()
    assert "  root@a: clearnet 8, onion 8" in lines
    assert "  root@b: no route" in lines
    assert lines[2].startswith("no route")


def test_a_repeated_rollback_goes_back_once(side: AdminSide) -> None:
    """A server that an interrupted rollback has visited does not go back again."""
    fail_once(side, "b", 1)
    side.run("rollback", status=1)
    assert side.commands() == ["a --check rollback", "b --check rollback"]
    assert "went back from release 7 earlier" in side.run("rollback")
    assert side.commands()[2:] == ["b --check rollback", "c --check rollback"]


def test_a_rollback_that_cannot_ask_a_server_changes_nothing(side: AdminSide) -> None:
    """Before anything is rolled back, every server says what it serves."""
    (side.folder / "down").write_text("root@c")
    message = side.run("rollback", status=1)
    assert message.startswith("root@c does not say which release it serves: no route\n")
    assert side.commands() == []


def test_a_missing_certificate_is_requested_again_at_the_end(side: AdminSide) -> None:
    """The authority may ask a server that comes later, so the first is visited twice."""
    fail_once(side, "a", 4)
    side.run(*INSTALL)
    assert [line.split()[0] for line in side.commands()] == ["a", "b", "c", "a"]
    fail_once(side, "c", 4)
    message = side.run(*INSTALL)
    assert "== root@c, again" in message
    side.settings(ONE)
    fail_once(side, "a", 4)
    side.run(*INSTALL, status=1)


def test_status_shows_every_server(side: AdminSide) -> None:
    """A server that fails or does not answer hides no other, and the command exits 1."""
    (side.folder / "down").write_text("root@a")
    fail_once(side, "b", 1)
    assert "could not connect to root@a" in side.run("status", status=1)
    assert side.commands() == ["b status", "c status"]


def test_status_as_json_is_a_list_of_all_servers(side: AdminSide) -> None:
    """Each has its name and its own status, which is null if it does not answer."""
    (side.folder / "down").write_text("root@b")
    assert status_json(side, 1) == [
        {"server": "root@a", "status": {"release": 7}},
        {"server": "root@b", "status": None},
        {"server": "root@c", "status": {"release": 7}},
    ]
    side.settings(ONE)
    assert status_json(side, 0) == [{"server": "root@a", "status": {"release": 7}}]


def test_each_server_has_its_own_backup(side: AdminSide) -> None:
    """One file for each server; a second run keeps those that exist and writes the others."""
    (side.folder / "down").write_text("root@b")
    side.run("backup", "x.backup", *PASSPHRASE, status=1)
    assert [path.name for path in side.folder.glob("x.backup*")] == ["x.backup.a"]
    (side.folder / "down").unlink()
    assert "x.backup.a exists already, and is kept." in side.run("backup", "x.backup", *PASSPHRASE)
    assert sorted(path.name for path in side.folder.glob("x.backup*")) == [
        f"x.backup.{name}" for name in "abc"
    ]
    side.run("restore", "x.backup.b", "root@b", *PASSPHRASE, *INSTALL)


@pytest.mark.parametrize("command", [("uninstall", *PASSPHRASE), ("restore", "kept", *PASSPHRASE)])
def test_what_cannot_be_undone_needs_the_name_of_one_server(
    side: AdminSide, command: tuple[str, ...]
) -> None:
    """``uninstall`` and ``restore`` never act on all servers at once."""
    assert "Name one of them: root@SERVER." in side.run(*command, status=2)
    assert side.commands() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SETTINGS + "SERVER=root@a\n", "SERVER and SERVERS are both set."),
        (SETTINGS + "DOMAIN=cccr.example\n", "ADDRESSES is not set."),
        (SETTINGS + "ADDRESSES=192.0.2.1 b.example\n", "ADDRESSES: “b.example” is not an IP"),
        ('SERVERS=root@a "; rm\n', 'SERVERS: “";” is not a server'),
        (SETTINGS, "ONION_KEY is not set, but the servers"),
    ],
)
def test_settings_that_do_not_fit_several_servers_are_rejected(
    side: AdminSide, settings: str, message: str
) -> None:
    """A contradiction, or what several servers would lack, is named before anything is sent."""
    side.settings(settings)
    assert message in side.run(*INSTALL, status=1)
    assert side.commands() == []


def status_json(side: AdminSide, status: int) -> object:
    """Return what ``status --json`` prints."""
    done = subprocess.run(
        ["bash", "deploy/deploy.sh", "status", "--json"],
        cwd=side.folder,
        env=side.environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


DOCTOR = """\
#!/bin/sh
case "$*" in *--json*) echo '[{"name": "tor", "verdict": "wrong"}]' && exit 1 ;; esac
[ "$(wc -l <@/tries)" -lt @TRIES ] || exit 0
echo try >>@/tries
echo "ok     release   is fine"
echo "WRONG  tor       has no network. Wait."
echo "1 wrong: 1 ok."
exit 1
"""
# What status.sh needs of the other parts.
STATUS = """
COMMAND=$FOLDER/doctor CHECK_PAUSE=0 DOMAIN=cccr.example WEB_SERVERS=(clearnet onion)
doctor_options() { DOCTOR_OPTIONS=(); }
release_number() { echo 7; }
release_of() { [ "$1" = onion ] || echo 6; }
releases_stored() { printf '6\\n7\\n'; }
onion_published() { echo abc.onion; }
status_of() { echo "active since today: Published."; }
"""


def doctor(folder: Path, tries: int) -> None:
    """Let a server's checks fail that many times."""
    (folder / "tries").touch()
    (folder / "doctor").write_text(DOCTOR.replace("@TRIES", str(tries)).replace("@", str(folder)))
    (folder / "doctor").chmod(0o755)


def test_a_server_passes_once_its_onion_is_known(tmp_path: Path) -> None:
    """The checks are tried again, because directories need a while."""
    doctor(tmp_path, 2)
    done = in_server(f"{STATUS}\nstatus_check", tmp_path)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "tries").read_text().splitlines()) == 2


def test_a_server_that_fails_its_checks_says_which(tmp_path: Path) -> None:
    """Only what is wrong is printed, and the run fails."""
    doctor(tmp_path, 99)
    done = in_server(f"{STATUS}\nstatus_check", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "doctor",
        "WRONG  tor       has no network. Wait.",
        "This server does not pass its checks, so the next one is not visited.",
    ]


def test_the_status_of_one_server_as_json(tmp_path: Path) -> None:
    """It has what ``status`` prints, and the doctor's list; the exit status is the doctor's."""
    doctor(tmp_path, 99)
    day = f"{TODAY:%Y-%m-%d}"
    put_release(signed_release(6), tmp_path / "srv/releases/6")
    put_release(
        with_latest(policy_release("editor", "second", sequence=7)), tmp_path / "srv/releases/7"
    )
    (tmp_path / "srv/current").symlink_to("releases/7")
    done = in_server(f"{STATUS}\nstatus_json", tmp_path)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == {
        "release": 7,
        "stored": [6, 7],
        "serves": {"clearnet": 6, "onion": None},
        "clearnet": "https://cccr.example/",
        "onion": "http://abc.onion/",
        "signed": {"6": ["organisation"], "7": ["editor", "second"]},
        "signers": {
            "editor": {"release": 7, "day": day, "latest": day},
            "lawyer": {"release": None, "day": None, "latest": None},
            "second": {"release": 7, "day": day, "latest": None},
        },
        "units": dict.fromkeys(
            ("nginx", "tor@cccr", "cccr-web-clearnet", "cccr-web-onion", "cccr-web-manager"),
            "active since today: Published.",
        ),
        "checks": [{"name": "tor", "verdict": "wrong"}],
    }


def test_what_says_that_the_release_is_the_newest_reaches_every_server(side: AdminSide) -> None:
    """It is signed once with --key; without it, the file must be there."""
    missing = side.run("latest", "release", status=1)
    assert "There is no release/SHA256SUMS.latest." in missing
    (side.folder / "organisation.key").write_text("secret\n")
    (side.folder / "deploy/cccr-web").write_text(
        '#!/bin/sh\necho "$@" >>cccr-web.args\necho newest >"$2/SHA256SUMS.latest"\n'
    )
    script = side.folder / "deploy/server/run.sh"
    script.write_text('cat "${0%/*}/../SHA256SUMS.latest" >>"' + f'{side.folder}/got"\n{RECORDER}')
    script.write_text(script.read_text().replace("@/", f"{side.folder}/"))
    side.run("latest", "release", "--key", "organisation.key", *PASSPHRASE)
    side.run("latest", "release")
    assert side.commands() == [f"{name} latest" for name in "abcabc"]
    assert (side.folder / "got").read_text() == "newest\n" * 6
    assert (side.folder / "cccr-web.args").read_text() == (
        "latest release --key organisation.key --passphrase-file passphrase\n"
    )


def signers(folder: Path, *options: str) -> list[str]:
    """Return what is said of the signers of the releases in a folder."""
    script = TOP / "deploy/server/signers.py"
    command = [sys.executable, "-I", *map(str, (script, folder, folder / "current")), *options]
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


def test_the_status_says_what_each_signer_signed_last(tmp_path: Path) -> None:
    """Signatures hold no time, so the days are those of the releases and of the statement."""
    past = (TODAY - timedelta(days=9)).date()
    put_release(signed_release(2), tmp_path / "2")
    put_release(policy_release("lawyer", "second", sequence=9), tmp_path / "9")
    put_release(
        with_latest(policy_release("editor", "second", sequence=10), issued=past), tmp_path / "10"
    )
    (tmp_path / "current").symlink_to("10")
    day = f"{TODAY:%Y-%m-%d}"
    assert signers(tmp_path) == [
        f"release 2              of {day}, signed by organisation",
        f"release 9              of {day}, signed by lawyer, second",
        f"release 10             of {day}, signed by editor, second",
        f"signer editor          last signed release 10 of {day}, and SHA256SUMS.latest of {past}",
        f"signer lawyer          last signed release 9 of {day}",
        f"signer second          last signed release 10 of {day}",
    ]
    shutil.rmtree(tmp_path / "9")
    assert "signer lawyer          signed no stored release" in signers(tmp_path)
    for number in ("9", "10"):
        shutil.rmtree(tmp_path / number, ignore_errors=True)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("2")
    put_release(with_latest(signed_release(2), KEY, issued=past), tmp_path / "2")
    last = f"last signed release 2 of {day}, and SHA256SUMS.latest of {past}"
    assert signers(tmp_path)[1:] == [f"signer organisation    {last}"]


def test_the_status_of_a_damaged_release_is_no_crash(tmp_path: Path) -> None:
    """After a power failure, files may be empty or missing."""
    (tmp_path / "3").mkdir()
    (tmp_path / "3/RELEASE.json").touch()
    assert signers(tmp_path) == [
        "release 3              of ?, signed by nobody",
        "signer organisation    signed no stored release",
    ]


PROMOTE = ("promote", "root@b", "--key", "organisation.key", *PASSPHRASE)
PEER = "b" * 56 + ".onion"


def promotes(side: AdminSide) -> None:
    """Let servers take part in a promotion."""
    script = side.folder / "deploy/server/run.sh"
    peer = f'[ "$command" != peer ] || {{ echo {PEER} && exit; }}\n'
    script.write_text(
        script.read_text().replace('echo "$TARGET $*"', f'{peer}echo "$TARGET $*"', 1)
    )
    (side.folder / "organisation.key").write_text("secret\n")
    command = side.folder / "deploy/cccr-web"
    command.write_text(
        '#!/bin/sh\necho "$@" >cccr-web.args\n'
        'while [ "$1" != --out ]; do shift; done\necho note >"$2"\n'
    )


def test_a_promotion_reaches_the_promoted_server_last(side: AdminSide) -> None:
    """All others stand by first; the note names the server's own onion."""
    promotes(side)
    side.run(*PROMOTE)
    assert side.commands() == ["a promote", "c promote", "b promote"]
    arguments = (side.folder / "cccr-web.args").read_text()
    assert arguments.startswith(f"onion promotion {PEER} --key organisation.key --public-key ")
    assert "--passphrase-file passphrase" in arguments


def test_a_former_publisher_that_does_not_answer_must_be_called_dead(side: AdminSide) -> None:
    """Without ``--dead`` nothing begins to publish, because it may still do so."""
    promotes(side)
    (side.folder / "down").write_text("root@a")
    assert "root@a does not answer, so it may still publish" in side.run(*PROMOTE, status=1)
    assert side.commands() == []
    assert "You said that it is gone." in side.run(*PROMOTE, "--dead")
    assert side.commands() == ["c --dead promote", "b --dead promote"]


def test_a_former_publisher_that_does_not_end_is_never_called_dead(side: AdminSide) -> None:
    """A server that answers must stand by, with ``--dead`` too."""
    promotes(side)
    fail_once(side, "c", 1)
    assert "root@c does not stand by, so root@b must not" in side.run(*PROMOTE, "--dead", status=1)
    assert side.commands() == ["a --dead promote", "c --dead promote"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("promote", "--key", "passphrase"), 2, "promote needs root@SERVER"),
        (("promote", "root@b"), 2, "and --key"),
        (("promote", "root@d", "--key", "passphrase"), 1, "does not name root@d."),
        (("install", "root@d", *INSTALL), 1, "does not name root@d."),
        (("status", "--dead"), 2, "status does not use --dead."),
        (("release", "release", "--replace-onion"), 2, "release does not use --replace-onion."),
    ],
)
def test_only_a_named_server_can_be_promoted(
    side: AdminSide, arguments: tuple[str, ...], status: int, message: str
) -> None:
    """A promotion needs one of the servers in the settings, and the organisation's key."""
    assert message in side.run(*arguments, status=status)
    assert side.commands() == []


# A server with our command, its own onion key, and a systemd that starts the manager at once.
STANDING = """
COMMAND=@/cccr-web DOMAIN= ONION_KEY_FILE=$FOLDER/onion.key
systemctl() {
  case $* in
    *StatusText*) cat "$FOLDER/text" ;;
    restart*) echo "$*" ;;
    *) return 0 ;;
  esac
}
lock
"""


def peer_server(
    folder: Path, script: str, name: str = "root@b"
) -> subprocess.CompletedProcess[str]:
    """Run a script on a server of that name; a and b are the servers."""
    start = STANDING.replace("@/", f"{Path(sys.executable).parent}/")
    start += f'SERVERS="root@a root@b"; echo {name} >"$BUNDLE/settings/server"\n'
    if not (folder / "onion.key").exists():
        new_key(folder / "onion.key")
    return in_server(start + script, folder)


def test_servers_find_each_other_by_the_onion_key_alone(tmp_path: Path) -> None:
    """Each lists the same onions, and has the key of its own; nothing names a machine."""
    script = 'peers_install; cat "$PEERS"; key_address "$PEER_KEY"; peer_own'
    lists = []
    for name in ("root@a", "root@b"):
        *lines, key, own = peer_server(tmp_path, script, name).stdout.splitlines()
        assert key == own
        lists.append(dict(line.split() for line in lines if line[0] != "#"))
        assert "root" not in "".join(lines[1:])
    a, b = lists
    assert a == {"first": a["own"], "own": a["own"], "other": b["own"]}
    assert b == {"first": a["own"], "own": b["own"], "other": a["own"]}
    again = peer_server(tmp_path, 'peers_install; echo "changes $CHANGES"')
    assert again.stdout == "changes 0\n"
    one = peer_server(tmp_path, 'SERVERS=root@b; peers_install; has_peers || ls "$ETC"')
    assert one.stdout == ""
    wrong = peer_server(tmp_path, "peers_install", "root@c")
    assert "does not name this server, which you call root@c" in wrong.stderr


def test_a_note_makes_the_manager_follow(tmp_path: Path) -> None:
    """It restarts, and the command returns once it stands by or publishes, as the note says."""
    script = """
    peers_install 2>/dev/null
    { echo "Number: $NUMBER"; echo "Publisher: ${PUBLISHER:-$(peer_own)}"; } >"$BUNDLE/promotion"
    peers_promote; interrupted_done
    """
    (tmp_path / "text").write_text("Published: b in 3.0 s.\n")
    done = peer_server(tmp_path, f"NUMBER=5; {script}")
    assert done.stdout == "restart cccr-web-manager.service\n", done.stderr
    assert done.stderr.endswith("  Published: b in 3.0 s.\n")
    assert peer_server(tmp_path, f"NUMBER=5; {script}").stdout == ""
    (tmp_path / "text").write_text("Standby: another server publishes the onion.\n")
    peers = dict(line.split() for line in (tmp_path / "etc/peers").read_text().splitlines()[1:])
    done = peer_server(tmp_path, f"NUMBER=6 PUBLISHER={peers['other']}; {script}")
    assert done.stderr.endswith("  Standby: another server publishes the onion.\n")
    older = peer_server(tmp_path, f"NUMBER=5; {script}")
    assert "This server has a newer note already." in older.stderr
    note = f"Number: 6\nPublisher: {peers['other']}\n"
    assert (tmp_path / "etc/promotion").read_text() == note


@pytest.mark.parametrize(
    "change",
    [
        "new_key",  # the former one was in a seized server
        'SERVERS="root@b root@c"',  # the promoted server was taken out
    ],
)
def test_a_note_that_names_none_of_the_servers_is_removed(tmp_path: Path, change: str) -> None:
    """Otherwise all of them would stand by for a server that no longer exists."""
    script = """
    new_key() { rm "$ONION_KEY_FILE"; "$COMMAND" onion key new "$ONION_KEY_FILE"; }
    peers_install
    { echo "Number: 5"; echo "Publisher: $(peer_address root@a)"; } >"$PROMOTION"
    peers_install; cat "$PROMOTION"
    """
    kept = peer_server(tmp_path, script)
    assert kept.stdout.startswith("Number: 5\n"), kept.stderr
    done = peer_server(tmp_path, f'{script} {change}; peers_install; changed "$PROMOTION"')
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "etc/promotion").exists()
