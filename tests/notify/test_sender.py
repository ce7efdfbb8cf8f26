"""Messages arrive by mail and at a webhook, directly or only through tor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import TOP
from support.hosting import short_folder
from support.receivers import Mailbox, SocksTor, Webhook, mailbox, socks_tor, webhook
from support.tls import certificate

from cccr_web.listen import Unix
from cccr_web.notify import DeliveryError, Sender

# In a namespace without any network, not even loopback, run a command that records what it does
# with sockets (docs.python.org/3/library/audit_events.html). A unix socket is in the file system.
OFFLINE = ("unshare", "--map-root-user", "--net", "--uts")
RECORDED = """
import os, socket, sys
socket.sethostname("server.hoster.example")
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def record(event, values):
    if event.startswith("socket."):
        said = [repr(value) for value in values if not hasattr(value, "fileno")]
        os.write(log, " ".join([event, *said]).encode() + b"\\n")
sys.addaudithook(record)
from cccr_web.cli import main
main()
"""


@dataclass(frozen=True)
class ShieldedSender:
    """A server that can reach nothing but a tor, which knows a mail server and a webhook."""

    folder: Path
    tor: SocksTor
    hook: Webhook
    box: Mailbox

    @property
    def log(self) -> list[str]:
        """What the commands did with sockets, each once."""
        return sorted({*(self.folder / "log").read_text().splitlines()})

    def test(self, *urls: str, status: int = 0) -> str:
        """Run ``notify test`` for these URLs, and return what it prints."""
        settings = self.folder / "notify.env"
        settings.touch(mode=0o600)
        settings.write_text(f"NOTIFY={' '.join(urls)}\n")
        command = [*OFFLINE, sys.executable, "-c", RECORDED, str(self.folder / "log")]
        command += ["notify", "test", "--settings", str(settings), "--name", "an onion"]
        done = subprocess.run(
            [*command, "--socks", f"unix:{self.folder / 'socks'}"],
            env={**os.environ, "REQUESTS_CA_BUNDLE": str(self.folder / "hook.example.pem")},
            cwd=TOP,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return str(done.stdout)


@pytest.fixture
def onion() -> Iterator[ShieldedSender]:
    """Such a server; the webhook speaks TLS."""
    with short_folder() as folder, webhook() as hook, mailbox() as box:
        hook.use_tls(certificate(folder, "hook.example"))
        names = {"hook.example": hook.port, "mail.example": box.port}
        with socks_tor(folder / "socks", names) as tor:
            yield ShieldedSender(folder, tor, hook, box)


def test_a_message_arrives_by_mail() -> None:
    """The subject is the title; the text is plain, in UTF-8."""
    with mailbox() as box:
        url = f"mailto://127.0.0.1:{box.port}/?from=a@cccr.example&to=b@cccr.example"
        Sender().send(url, "cccr.example: WRONG: disk", "公民 has 90 MB left.\nRemove “old” ones.")
    (message,) = box.messages
    assert (message["Subject"], message["To"]) == ("cccr.example: WRONG: disk", "b@cccr.example")
    assert message.get_content_type() == "text/plain"
    assert message.get_payload(decode=True).decode().splitlines() == [  # type: ignore[union-attr]
        "公民 has 90 MB left.",
        "Remove “old” ones.",
    ]


def test_a_ping_is_a_request() -> None:
    """It fetches the URL, and an error of the service is a failure."""
    with webhook() as hook:
        url = f"http://127.0.0.1:{hook.port}/secret-id"
        Sender().ping(url)
        hook.status = 500
        with pytest.raises(DeliveryError, match="500"):
            Sender().ping(url)
    assert hook.pinged == ["/secret-id"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "json://someone:secretword@127.0.0.1:9/pathword",
        "mailto://someone:secretword@127.0.0.1:9/?from=a@cccr.example&to=b@cccr.example",
        "ntfy://someone:secretword@127.0.0.1:9/pathword",
        "matrix://someone:secretword@127.0.0.1:9/!pathword:cccr.example",
        "signal://127.0.0.1:9/+14155550100/+14155550101",
    ],
)
def test_no_error_holds_a_part_of_the_url(url: str) -> None:
    """Names, passwords and addresses are removed from the reason; what is left says why."""
    with pytest.raises(DeliveryError) as caught:
        Sender().send(url, "a title", "a body")
    said = str(caught.value)
    assert "Connection refused" in said
    for secret in ("someone", "secretword", "127.0.0.1", "pathword", "4155550100", "cccr.example"):
        assert secret not in said


def test_only_tor_gets_a_connection(onion: ShieldedSender) -> None:
    """Mail and webhook arrive where only tor's socket can be reached; it resolves every name.

    No other socket is opened and no name is resolved, although smtplib has no proxy.
    """
    said = onion.test(
        "jsons://hook.example/hook", "mailto://mail.example:2525/?from=a@b.example&to=c@d.example"
    )
    assert said == "target 1 (jsons): delivered\ntarget 2 (mailto): delivered\n"
    assert onion.hook.titles == ["an onion: a test"]
    assert [message["Subject"] for message in onion.box.messages] == ["an onion: a test"]
    assert onion.tor.asked == [("hook.example", 443), ("mail.example", 2525)]
    # AF_UNIX is family 1, SOCK_STREAM type 1.
    used = {line for line in onion.log if not line.startswith("socket.__new__ 1 1 ")}
    assert used == {f"socket.connect '{onion.folder}/socks'"}


def test_the_mail_server_does_not_learn_the_name_of_the_machine(onion: ShieldedSender) -> None:
    """It greets as localhost, and the message has the time in UTC."""
    onion.test("mailto://mail.example:2525/?from=a@b.example&to=c@d.example")
    assert onion.box.greetings[0] in {"localhost", "[127.0.0.1]"}
    (message,) = onion.box.messages
    assert message["Date"].endswith("+0000")
    assert "hoster" not in message.as_string()


@pytest.mark.parametrize("url", ["rsyslog://log.example", "json://gone.example"])
def test_what_cannot_go_through_tor_fails(onion: ShieldedSender, url: str) -> None:
    """A target that needs UDP, or that tor cannot reach, gets nothing, and opens no socket."""
    assert "NOT delivered" in onion.test(url, status=1)
    used = {line.split()[0] for line in onion.log if not line.startswith("socket.__new__ 1 1 ")}
    assert used <= {"socket.connect"}
    assert {name for name, _ in onion.tor.asked} <= {"gone.example"}


def test_a_missing_tor_is_named() -> None:
    """Without tor nothing is sent, and the reason says so."""
    with short_folder() as folder, pytest.raises(DeliveryError, match="Is tor running"):
        Sender(Unix(folder / "none")).ping("https://ping.example/")
