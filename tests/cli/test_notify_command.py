"""``cccr-web notify``: its settings, output and exit status, and what a killed one leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import TOP
from support.command import run
from support.receivers import Webhook, webhook

RESULT = {"name": "disk", "verdict": "wrong", "sentence": "It is full.", "remedy": "Empty it."}


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A receiver."""
    with webhook() as made:
        yield made


def settings(folder: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file of settings."""
    file = folder / "notify.env"
    file.write_text(text)
    file.chmod(mode)
    return file


def send(folder: Path, url: str) -> list[str]:
    """Return the arguments that send what ``doctor`` found, one thing that is wrong."""
    report = folder / "doctor.json"
    report.write_text(json.dumps([RESULT]))
    file = settings(folder, f"# The recipients.\nNOTIFY={url}\nDOMAIN=cccr.example\n")
    options = ["--settings", str(file), "--state", str(folder / "state"), "--name", "us"]
    return ["notify", "send", *options, str(report)]


def test_send_exits_0_once_everything_is_delivered(tmp_path: Path, hook: Webhook) -> None:
    """It exits with 1 while a message waits, and says for which target, without its URL."""
    arguments = send(tmp_path, hook.url())
    hook.status = 500
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Not delivered to target 1 (json): ")
    assert "secretword" not in done.output
    hook.status = 200
    done = run(*arguments)
    assert (done.exit_code, done.output, hook.titles) == (0, "", ["us: WRONG: disk"])
    assert (run(*arguments).exit_code, len(hook.received)) == (0, 1)


def test_a_killed_run_loses_no_message_and_composes_none_twice(
    tmp_path: Path, hook: Webhook
) -> None:
    """SIGKILL while a receiver takes its time: the next run delivers the message, once."""
    arguments = send(tmp_path, hook.url())
    hook.may_answer.clear()
    hook.status = 503  # what the killed run sent does not count
    for _ in range(2):
        hook.arrived.clear()
        process = subprocess.Popen([sys.executable, "-m", "cccr_web", *arguments], cwd=TOP)
        assert hook.arrived.wait(60)
        assert "secretword" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert [path.name for path in (tmp_path / "state").iterdir()] == ["notify.json"]
    hook.may_answer.set()
    hook.status = 200
    assert run(*arguments).exit_code == 0
    assert hook.titles == ["us: WRONG: disk"]


def test_test_sends_one_message_to_every_target(tmp_path: Path, hook: Webhook) -> None:
    """It says which target accepted the message, and exits with 1 if one did not."""
    file = settings(tmp_path, f"NOTIFY={hook.url()} json://127.0.0.1:9/word nosuch://word\n")
    done = run("notify", "test", "--settings", file, "--name", "us")
    assert done.exit_code == 1
    first, second, third = done.stdout.splitlines()
    assert first == "target 1 (json): delivered"
    assert second.startswith("target 2 (json): NOT delivered: ")
    assert third.startswith("target 3 (nosuch): NOT delivered: ")
    assert "word" not in done.output
    assert done.stderr.startswith("Not every target accepted the message: 2 of 3 failed.")
    assert hook.titles == ["us: a test"]


def test_a_ping_follows_a_run_whose_checks_reported(
    tmp_path: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that expects the ping notices if the watcher or its checks stop."""
    from cccr_web.notify import Recipients

    recipients = Recipients((hook.url(),), f"http://127.0.0.1:{hook.port}/ping")
    monkeypatch.setattr(Recipients, "read", lambda _file: recipients)
    arguments = send(tmp_path, hook.url())
    assert run(*arguments).exit_code == 0
    assert hook.pinged == ["/ping"]
    os.utime(tmp_path / "doctor.json", (0, 0))
    assert run(*arguments).exit_code == 0
    assert hook.pinged == ["/ping"]


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("NOTIFY=json://secretword/\n", 0o640, "is open to other users (mode 0640)"),
        ("DOMAIN=cccr.example\n", 0o600, "sets no recipients. Add a line such as NOTIFY=ntfys"),
        ("NOTIFY=secretword\n", 0o600, "a value of NOTIFY is not a URL such as ntfys://"),
        *(
            (f"NOTIFY=json://x/\nPING={url}\n", 0o600, "PING is not an https address")
            for url in (
                *(
                    "http://secretword/",
                    "https://",
                    "https://[secretword",
                    "https://secretword..x/",
                ),
                *("https://x/secretword/ü", "https://secretword:0/", "https://secretword:x/"),
                f"https://{'a' * 64}.secretword/",
            )
        ),
    ],
)
def test_wrong_settings_are_rejected(tmp_path: Path, text: str, mode: int, problem: str) -> None:
    """Nothing is sent, and the message says what is wrong, without a URL."""
    file = settings(tmp_path, text, mode)
    done = run("notify", "test", "--settings", file, "--name", "us")
    assert done.exit_code == 1
    assert problem in done.stderr
    assert "secretword" not in done.output


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """The message names the file, and says what belongs in it."""
    done = run("notify", "test", "--settings", tmp_path / "none", "--name", "us")
    assert done.exit_code == 1
    assert f"{tmp_path}/none cannot be read: No such file" in done.stderr
    done = run("notify", "test", "--settings", "x", "--name", "us", "--socks", "systemd:x")
    assert done.exit_code == 2
    assert "is not HOST:PORT or unix:/PATH" in done.stderr
