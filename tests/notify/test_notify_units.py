"""The units that check, watch and notify, as ``deploy.sh`` writes them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from support import TOP
from support.command import run
from support.deploy.scripts import AdminSide, in_server
from support.hostile import Hostile, answers
from support.signed import KEY, PUBLIC, facts, signed_release
from support.systemd import unit_faults

from cccr_web.release import Signer, make_release

# Instead of a booted server: what the scripts ask it, and where they write.
WRITE = """
WEB_SERVERS=(clearnet onion)
systemctl() { echo 252; }
onion_address() { echo aaaa.onion; }
NOTIFY="json://x" PING= DOMAIN=$3
notify_write "$FOLDER/units"
mkdir "$FOLDER/watching"
WATCH="https://cccr.example http://aaaa.onion"
watch_write "$FOLDER/watching"
"""
UNITS = {
    "units/cccr-doctor.service": 30,  # the root of the machine, which sees everything
    "units/cccr-notify.service": 20,
    "watching/cccr-watch.service": 20,
    "watching/cccr-watch-notify.service": 20,
}


def write(folder: Path, domain: str) -> None:
    """Write the units of a server with this domain, and those of a watcher."""
    (folder / "etc").mkdir()
    (folder / "etc/notify.env").touch()
    done = in_server(WRITE.replace("$3", f'"{domain}"'), folder)
    assert done.returncode == 0, done.stderr
    for file in folder.glob("*/*.service"):
        text = file.read_text()
        assert not re.search("@[A-Z_]+@", text), text
        # A program that this machine has.
        file.write_text(text.replace("/opt/cccr-web/current/bin/cccr-web", "/bin/true"))


@pytest.mark.parametrize("domain", ["", "cccr.example"])
def test_systemd_accepts_the_units(tmp_path: Path, domain: str) -> None:
    """systemd finds no fault in any unit or timer."""
    write(tmp_path, domain)
    for folder in ("units", "watching"):
        files = sorted((tmp_path / folder).glob("*.*[er]"))
        assert len(files) == 4
        assert unit_faults(files) == []


def exposure(folder: Path, name: str) -> tuple[int, str]:
    """Return the exposure of a unit with its drop-ins, times ten, as systemd judges it."""
    unit = folder / name
    parts = [unit, *sorted(folder.glob(f"{name}.d/*.conf"))]
    whole = folder / f"whole-{unit.name}"
    whole.write_text("\n".join(part.read_text() for part in parts))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(whole)],
        capture_output=True,
        check=False,
        text=True,
    )
    match = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert match is not None, done.stdout + done.stderr
    return round(float(match[1]) * 10), done.stdout


@pytest.mark.parametrize("name", UNITS)
def test_the_units_are_sandboxed(tmp_path: Path, name: str) -> None:
    """systemd rates the sandbox of each unit with a network at most 2.0, of root's at most 3.0."""
    write(tmp_path, "cccr.example")
    found, shown = exposure(tmp_path, name)
    assert found <= UNITS[name], shown


def test_the_sender_of_an_onion_has_no_network(tmp_path: Path) -> None:
    """It has tor's socket and nothing else, and it cannot control tor: at most 0.5."""
    write(tmp_path, "")
    text = (tmp_path / "units/cccr-notify.service").read_text()
    assert " --socks unix:/run/tor-instances/cccr/socks " in text
    folder = tmp_path / "units/cccr-notify.service.d"
    assert sorted(file.name for file in folder.iterdir()) == ["hardening.conf", "tor.conf"]
    settings = "".join(file.read_text() for file in sorted(folder.iterdir()))
    for line in (
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "IPAddressDeny=any",
        "InaccessiblePaths=-/run/tor-instances/cccr/control",
        "InaccessiblePaths=-/run/tor-instances/cccr/control.authcookie",
    ):
        assert f"\n{line}\n" in settings
    assert exposure(tmp_path, "units/cccr-notify.service")[0] <= 5


def test_no_command_line_holds_a_target(tmp_path: Path) -> None:
    """The URLs reach the sender as a credential, which only root and the sender can read."""
    write(tmp_path, "cccr.example")
    for name in ("units/cccr-notify.service", "watching/cccr-watch-notify.service"):
        text = (tmp_path / name).read_text()
        assert "--settings %d/notify.env" in text
        assert re.search(r"^LoadCredential=notify.env:/\S+/notify.env$", text, re.MULTILINE)
        assert "json://" not in text


def test_the_watcher_remembers_what_it_saw(tmp_path: Path) -> None:
    """Its command notices another release of the same number, and an older one."""
    write(tmp_path, "cccr.example")
    unit = (tmp_path / "watching/cccr-watch.service").read_text()
    assert "\nStateDirectory=cccr-watch\nStateDirectoryMode=0700\n" in unit
    _, *words = command(unit)
    with Hostile(signed_release(2)) as site:
        here = {
            "/run/cccr-watch/watch.json": tmp_path / "watch.json",
            "/var/lib/cccr-watch": tmp_path / "state",
            "/etc/cccr-watch/public.key": PUBLIC,
            "https://cccr.example": site.url,
        }
        local = [here.get(word, word) for word in words if not word.endswith(".onion")]
        fork = Signer(KEY).sign(make_release({"en/index.html": b"x"}, facts(2)))
        for release, kind in (
            (signed_release(2), None),
            (fork, "fork"),
            (signed_release(1), "rollback"),
        ):
            site.answers = answers(release)
            assert run(*local).exit_code == (1 if kind else 0)
            (address,) = json.loads((tmp_path / "watch.json").read_bytes())["addresses"]
            kinds = {each["kind"] for each in address["differences"]}
            assert kind in kinds if kind else not kinds


def test_a_test_message_is_sent_by_the_same_command(tmp_path: Path) -> None:
    """“notify-test” runs the unit with a drop-in: without a state, and without a report."""
    write(tmp_path, "cccr.example")
    unit = (tmp_path / "units/cccr-notify.service").read_text()
    drop_in = (TOP / "deploy/server/units/notify-test.conf").read_text()
    options = ["--settings", "%d/notify.env", "--name", "cccr.example"]
    remembered = ["--state", "/var/lib/cccr-notify", "/run/cccr-doctor/doctor.json"]
    assert command(unit) == ["/bin/true", "notify", "send", *options, *remembered]
    assert command(unit + drop_in) == ["/bin/true", "notify", "test", *options]


def command(text: str) -> list[str]:
    """Return the command of a unit with its variables replaced, as systemd splits it."""
    lines = re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
    variables = dict(item.split("=", 1) for line in lines for item in shlex.split(line))
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return shlex.split(re.sub(r"\$(\w+)", lambda match: variables[match[1]], line))


def test_settings_with_passwords_are_private(tmp_path: Path) -> None:
    """The server keeps them in a file that only root can read, and a dry run does not show them."""
    script = """
    NOTIFY="json://secretword@x" PING=https://x/id
    touch "$BUNDLE/settings/site.env"
    settings_kept
    lock
    DRY_RUN=yes; notify_settings; DRY_RUN=no; notify_settings
    stat --format %a "$NOTIFY_FILE"
    cat "$NOTIFY_FILE"
    """
    done = in_server(script, tmp_path)
    assert done.returncode == 0, done.stderr
    kept, private = done.stdout.split("600\n")
    assert "secretword" not in kept + done.stderr
    assert private.endswith("NOTIFY=json://secretword@x\nPING=https://x/id\n")


def test_targets_stay_unless_the_settings_change_them(tmp_path: Path) -> None:
    """Without settings they stay; a backup brings them back; empty ones remove them."""
    script = """
    lock
    echo NOTIFY=a >"$NOTIFY_FILE"
    notify_settings && cat "$NOTIFY_FILE"
    echo NOTIFY=b >"$BUNDLE/settings/notify.env"
    notify_settings && cat "$NOTIFY_FILE"
    touch "$BUNDLE/settings/site.env"
    notify_settings && cat "$NOTIFY_FILE"
    NOTIFY=c && notify_settings && grep NOTIFY "$NOTIFY_FILE"
    NOTIFY= && rm "$BUNDLE/settings/notify.env" && notify_settings && ls "$ETC"
    """
    done = in_server(script, tmp_path)
    assert (done.stdout, done.returncode) == ("NOTIFY=a\nNOTIFY=b\nNOTIFY=b\nNOTIFY=c\n", 0), (
        done.stderr
    )


def test_tor_opens_a_socket_only_where_messages_need_it(tmp_path: Path) -> None:
    """With a domain, or without notifications, tor has no SOCKS port; tor accepts the line."""
    script = """
    for DOMAIN in "" cccr.example; do
      for file in "" "$ETC/none"; do
        NOTIFY_FILE=${file:-$ETC/notify.env} SOCKS=0
        if notify_needs_tor; then echo needed; else echo "${DOMAIN:-none} ${file##*/}"; fi
      done
    done
    sed -n '/^tor_install/,/^}/p' "$HERE/tor.sh" | grep -o 'SOCKS="[^"]*"'
    """
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/notify.env").touch()
    done = in_server(script, tmp_path)
    assert done.stdout.splitlines()[:4] == [
        "needed",
        "none none",
        "cccr.example ",
        "cccr.example none",
    ]
    options = done.stdout.splitlines()[4].removeprefix('SOCKS="').removesuffix('"')
    line = options.replace("$NOTIFY_SOCKS", str(tmp_path / "socks"))
    checked = subprocess.run(
        ["tor", "--defaults-torrc", "/dev/null", "-f", "-", "--verify-config", "--hush"],
        input=f"SocksPort {line}\nDataDirectory {tmp_path}/tor\n",
        capture_output=True,
        check=False,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_open_settings_with_passwords_are_rejected(tmp_path: Path) -> None:
    """``deploy.sh`` sends nothing as long as other users can read the URLs."""
    side = AdminSide(tmp_path)
    settings = "SERVER=root@a.example\nPUBLIC_KEY=../organisation.pub\nNOTIFY=json://secretword/\n"
    side.settings(settings)
    (tmp_path / "deploy/site.env").chmod(0o640)
    said = side.run("status", status=1)
    assert "can be read by other users" in said
    assert "Run: chmod 600" in said
    (tmp_path / "deploy/site.env").chmod(0o600)
    side.run("notify-test")
    assert side.commands() == ["notify-test"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("NOTIFY=secretword", "NOTIFY: a value is not a URL such as ntfys://ntfy.sh/TOPIC"),
        ("NOTIFY=json://a secretword", "NOTIFY: a value is not a URL"),
        ("PING=http://secretword", "PING: the value is not an https address."),
        ("PING=https://secretword", "PING is set, but NOTIFY is not."),
        ("WATCH=http://cccr.example", "WATCH: “http://cccr.example” is not an address"),
    ],
)
def test_wrong_settings_are_rejected(tmp_path: Path, line: str, problem: str) -> None:
    """The message names the setting, and shows no part of a secret."""
    side = AdminSide(tmp_path)
    side.settings(f"SERVER=root@a.example\n{line}\n")
    said = side.run("status", status=1)
    assert problem in said
    assert "secretword" not in said


def test_a_watcher_is_another_machine(tmp_path: Path) -> None:
    """It is never installed on ``SERVER`` by default, nor on a machine that has the site."""
    (tmp_path / "side").mkdir()
    side = AdminSide(tmp_path / "side")
    assert "needs root@MACHINE or --local" in side.run("watch-install", status=2)
    done = in_server('touch "$ETC/site.env"; WATCH=x NOTIFY=x; watch_install', tmp_path)
    assert (done.returncode, "The site itself is on this machine" in done.stderr) == (1, True)
    for missing, words in (
        ("WATCH= NOTIFY=x", "nothing to watch"),
        ("WATCH=x", "No one is set to be notified"),
    ):
        done = in_server(f'rm -f "$ETC/site.env"; {missing}; watch_install', tmp_path)
        assert (done.returncode, words in done.stderr) == (1, True)
