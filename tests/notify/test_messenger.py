"""When a message is sent, what it says, and that each arrives once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.receivers import Webhook, webhook
from support.signed import TODAY, facts

from cccr_web.doctor import CheckResult, CheckVerdict, to_json
from cccr_web.errors import CccrError
from cccr_web.notify import Messenger, Recipients, Sender
from cccr_web.release import make_release
from cccr_web.watch import Difference, DifferenceKind, Report, SiteResult

START = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RENEW = "Renew it: certbot renew."


def kept(**values: object) -> str:
    """Return the state of a first run, but with these values."""
    times = dict.fromkeys(("first_run", "last_heartbeat"), START.isoformat())
    lists = dict[str, object]({name: [] for name in ("sent_at", "problems", "messages")})
    return json.dumps({"format": 1, **times, **lists, **values})


class NotifiedSite:
    """A messenger on a clock that the test sets, and the reports that it reads."""

    def __init__(self, folder: Path, *urls: str, ping: str | None = None) -> None:
        self.folder = folder
        self.recipients = Recipients(urls, ping)
        self.now = START
        self.log: list[str] = []
        self.files: dict[str, Path] = {}

    def doctor(self, *results: tuple[str, str, str]) -> None:
        """Write a report of ``doctor``: name, verdict and sentence of each check."""
        self._write(
            "doctor",
            to_json(
                CheckResult(name, CheckVerdict(verdict), sentence, RENEW)
                for name, verdict, sentence in results
            ),
        )

    def watch(
        self, sites: dict[str, list[str]], expires: datetime | None = TODAY + 99 * DAY
    ) -> None:
        """Write a report of ``watch``: the kinds of differences at each address.

        ``expires`` is when the release expires on the real clock; ``None`` means no release.
        """
        results = (
            SiteResult(
                address,
                1,
                1,
                1.0,
                tuple(Difference("/en/", DifferenceKind(kind), "it is other") for kind in kinds),
            )
            for address, kinds in sites.items()
        )
        release = expires and make_release({"en/index.html": b"x"}, facts(expires=expires))
        self._write("watch", Report(release or None, tuple(results)).to_json())

    def _write(self, program: str, report: str) -> None:
        self.files[program] = self.folder / f"{program}.json"
        self.files[program].write_text(report)
        os.utime(self.files[program], (self.now.timestamp(),) * 2)

    def run(self, after: timedelta = timedelta()) -> bool:
        """Let time pass, with the same results in new reports, and run."""
        self.now += after
        for file in self.files.values():
            if file.exists() and after <= DAY:
                os.utime(file, (self.now.timestamp(),) * 2)
        return self.run_late()

    def run_late(self, after: timedelta = timedelta()) -> bool:
        """Let time pass, without a new report, and run."""
        self.now += after
        messenger = Messenger(
            "cccr.example", self.folder / "state", self.recipients, Sender(), self.log.append
        )
        return messenger.run(self.files.values(), self.now)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A receiver."""
    with webhook() as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, hook: Webhook) -> NotifiedSite:
    """A site with nothing wrong, after its first message was received."""
    made = NotifiedSite(tmp_path, hook.url())
    made.doctor(("certificate", "ok", "It is valid."), ("disk", "ok", "It has 9 GB left."))
    assert made.run()
    hook.received.clear()
    return made


def test_the_first_run_says_that_the_checks_are_running(tmp_path: Path, hook: Webhook) -> None:
    """The first message shows that messages arrive; the next comes after a week."""
    site = NotifiedSite(tmp_path, hook.url())
    site.doctor(("disk", "ok", "It has 9 GB left."))
    assert site.run()
    assert hook.titles == ["cccr.example: the checks are running"]
    assert hook.bodies[0] == (
        "The checks are running: doctor (2026-11-29 09:00 UTC); nothing is wrong.\n"
        "This message comes once a week."
    )
    for _ in range(13):
        site.run(12 * HOUR)
    assert len(hook.received) == 1
    site.run(12 * HOUR)
    assert len(hook.received) == 2


def test_what_becomes_wrong_is_said_once(site: NotifiedSite, hook: Webhook) -> None:
    """A message has two lines for each problem: what is wrong since when, and what to do."""
    site.now += HOUR
    site.doctor(("certificate", "wrong", "It expires in 9 days."), ("disk", "ok", "."))
    site.run()
    assert hook.titles == ["cccr.example: WRONG: certificate"]
    assert hook.bodies == [
        "WRONG since 2026-11-29 10:00 UTC: certificate: It expires in 9 days.\n" + RENEW
    ]
    site.doctor(("certificate", "wrong", "It expires in 8 days."), ("disk", "ok", "."))
    for _ in range(3):
        site.run(HOUR)
    assert len(hook.received) == 1


def test_what_lasts_is_said_once_a_day(site: NotifiedSite, hook: Webhook) -> None:
    """A reminder says since when it is wrong, and what is wrong now."""
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    site.run()
    site.doctor(("disk", "wrong", "It has 80 MB left."))
    for _ in range(24):
        site.run(HOUR)
    assert hook.titles[1:] == ["cccr.example: still wrong: disk"]
    assert (
        hook.bodies[1]
        == f"Still wrong since 2026-11-29 09:00 UTC: disk: It has 80 MB left.\n{RENEW}"
    )


def test_what_is_right_again_is_said_once(site: NotifiedSite, hook: Webhook) -> None:
    """The message says since when it is right, and what was wrong since when."""
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    site.run()
    site.now += HOUR
    site.doctor(("disk", "ok", "It has 9 GB left."))
    for _ in range(30):
        site.run(HOUR)
    assert hook.titles[1:] == ["cccr.example: right again: disk"]
    assert hook.bodies[1] == (
        "Right again since 2026-11-29 11:00 UTC: disk.\n"
        "It was wrong since 2026-11-29 09:00 UTC: It has 90 MB left."
    )


def test_another_fault_of_the_same_check_is_said_at_once(site: NotifiedSite, hook: Webhook) -> None:
    """A second fault does not wait for the day's reminder."""
    site.doctor(("permissions", "wrong", "/a is open to all."))
    site.run()
    site.doctor(
        ("permissions", "wrong", "/a is open to all."),
        ("permissions", "wrong", "/b is open to all."),
    )
    site.run(HOUR)
    assert hook.titles == ["cccr.example: WRONG: permissions"] * 2
    assert "/a is open to all. (and 1 more)\n" in hook.bodies[1]


def test_a_check_that_could_not_run_is_neither_wrong_nor_right(
    site: NotifiedSite, hook: Webhook
) -> None:
    """What was not checked, or is not in the report, stays as it was."""
    site.doctor(("tor", "wrong", "It does not run."), ("banners", "not checked", "."))
    site.run()
    assert hook.titles == ["cccr.example: WRONG: tor"]
    site.doctor(("tor", "not checked", "."))
    site.run(HOUR)
    site.doctor(("disk", "ok", "."))
    site.run(HOUR)
    assert len(hook.received) == 1


def test_several_changes_are_one_message(site: NotifiedSite, hook: Webhook) -> None:
    """What changes in one report is said in one message, with the gravest first."""
    site.doctor(("disk", "wrong", "It has 90 MB left."), ("tor", "ok", "."))
    site.run()
    names = [f"check {number}" for number in range(6)]
    site.doctor(("disk", "ok", "."), *((name, "wrong", "No.") for name in names))
    site.run(HOUR)
    assert hook.titles[1] == (
        "cccr.example: WRONG: check 0, check 1, check 2, check 3 and 2 more; right again: disk"
    )
    assert hook.bodies[1].count("\n\n") == 6


def test_differences_are_said_for_each_address(site: NotifiedSite, hook: Webhook) -> None:
    """A report of ``watch`` gives the first difference of each address, and what to do about it."""
    site.watch(
        {
            "https://a.example": [],
            "https://b.example": ["changed"] * 3,
            "http://c.onion": ["unreachable"],
        },
        expires=(expires := datetime.now(UTC) + 9 * DAY + HOUR),
    )
    site.run()
    assert hook.titles == ["cccr.example: WRONG: release, https://b.example, http://c.onion"]
    said = f"release: It expires on {expires:%Y-%m-%d} (in 9 days).\nBuild and sign"
    assert said in hook.bodies[0]
    assert "https://b.example: changed: /en/: it is other (and 2 more)\nLook at" in hook.bodies[0]
    assert "unreachable: /en/: it is other\nCheck whether the server runs" in hook.bodies[0]


def test_an_address_that_is_no_longer_watched_is_no_longer_wrong(
    site: NotifiedSite, hook: Webhook
) -> None:
    """Nobody is reminded of an address for ever."""
    site.watch({"https://a.example": ["changed"], "https://b.example": []})
    site.run()
    site.watch({"https://b.example": []})
    site.run(HOUR)
    assert hook.titles[1:] == ["cccr.example: right again: https://a.example"]


def test_a_release_without_a_signature_is_wrong(site: NotifiedSite, hook: Webhook) -> None:
    """It is wrong if no address has a signed release."""
    site.watch({}, expires=None)
    site.run()
    assert "release: No address has a release with a good signature.\n" in hook.bodies[0]
    site.watch({}, expires=(expired := TODAY - 2 * DAY))
    site.run(HOUR)
    assert f"release: It expired on {expired:%Y-%m-%d}.\n" in hook.bodies[1]


def test_the_last_day_of_a_release_is_said_as_watch_says_it(
    site: NotifiedSite, hook: Webhook
) -> None:
    """The message has the words of ``watch``, which alone knows when an expiry is near."""
    site.watch({}, expires=datetime.now(UTC) + HOUR)
    site.run()
    assert "(in less than a day).\n" in hook.bodies[0]


@pytest.mark.parametrize("how", ["old", "missing", "damaged"])
def test_a_check_that_no_longer_reports_is_wrong(
    site: NotifiedSite, hook: Webhook, how: str
) -> None:
    """A report that is three hours old, or cannot be read, is said as any other problem."""
    file = site.files["doctor"]
    if how == "missing":
        file.unlink()
    elif how == "damaged":
        file.write_text('{"half": ')
    else:
        site.run_late(3 * HOUR)
        assert not hook.received
    site.run_late(3 * HOUR + MINUTE)
    assert hook.titles == ["cccr.example: WRONG: doctor"]
    assert "systemctl status cccr-doctor.timer cccr-doctor.service" in hook.bodies[0]
    site.now += HOUR
    site.doctor(("disk", "ok", "."))
    site.run()
    assert hook.titles[1:] == ["cccr.example: right again: doctor"]


def test_at_most_three_messages_are_written_in_an_hour(site: NotifiedSite, hook: Webhook) -> None:
    """What changes after them is said in the next hour; what came and went is not said."""
    site.now += HOUR
    for number in range(10):
        site.doctor(*((f"check {each}", "wrong", "No.") for each in range(number + 1)))
        site.run(MINUTE)
    assert len(hook.received) == 3
    site.doctor(*((f"check {each}", "wrong", "No.") for each in range(8)))
    site.run(HOUR)
    assert hook.titles[3] == ("cccr.example: WRONG: check 3, check 4, check 5, check 6 and 1 more")


def test_a_receiver_that_is_down_gets_each_message_later_once(
    site: NotifiedSite, hook: Webhook
) -> None:
    """What cannot be delivered is kept and tried again; another target gets it once meanwhile."""
    with webhook() as other:
        site.recipients = Recipients((hook.url(), other.url()))
        hook.stop()
        site.doctor(("disk", "wrong", "It has 90 MB left."))
        for _ in range(3):
            assert not site.run(10 * MINUTE)
        site.doctor(("disk", "ok", "."))
        assert not site.run(2 * HOUR)
        assert other.titles == ["cccr.example: WRONG: disk", "cccr.example: right again: disk"]
        assert "target 1 (json): " in site.log[0]
        assert "Connection refused" in site.log[0]
        hook.start()
        for _ in range(3):
            assert site.run(10 * MINUTE)
        assert hook.titles == other.titles
        assert len(other.received) == 2
    assert (
        "This was written on 2026-11-29 09:10 UTC; it could not be sent before." in hook.bodies[0]
    )
    assert not {"someone", "secretword", "hook"} & {*"".join(site.log).split()}


def test_an_error_of_the_receiver_is_no_delivery(site: NotifiedSite, hook: Webhook) -> None:
    """A message that the receiver rejects is tried again."""
    hook.status = 503
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    assert not site.run()
    hook.status = 200
    assert site.run()
    assert hook.titles == ["cccr.example: WRONG: disk"]


def test_a_receiver_that_is_back_gets_ten_messages_in_a_run(
    site: NotifiedSite, hook: Webhook
) -> None:
    """A receiver that was down for days does not get everything at once."""
    hook.stop()
    for number in range(12):
        site.doctor((f"check {number}", "wrong", "No."))
        site.run(HOUR)
    hook.start()
    assert not site.run()
    assert len(hook.received) == 10
    assert site.run()
    assert hook.titles == [f"cccr.example: WRONG: check {number}" for number in range(12)]


def test_a_message_is_given_up_after_a_week(site: NotifiedSite, hook: Webhook) -> None:
    """A target that is down for good does not fill the disk, and the log says what is lost."""
    hook.stop()
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    site.run()
    site.run(DAY)
    assert not site.run_late(6 * DAY + HOUR)
    assert site.log[-1] == "Given up after 7 days: cccr.example: WRONG: disk"
    hook.start()
    assert site.run_late()
    assert hook.titles
    assert "cccr.example: WRONG: disk" not in hook.titles


def test_a_target_that_is_removed_gets_nothing_more(site: NotifiedSite, hook: Webhook) -> None:
    """What waits for it is dropped with it."""
    hook.stop()
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    assert not site.run()
    with webhook() as other:
        site.recipients = Recipients((other.url(),))
        assert site.run()
        assert other.received == []


def test_the_state_is_private_and_without_passwords(site: NotifiedSite, hook: Webhook) -> None:
    """Only the owner can read what waits, and no URL is in it."""
    hook.stop()
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    site.run()
    folder = site.folder / "state"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["notify.json"]
    assert b"secretword" not in (folder / "notify.json").read_bytes()
    assert "secretword" not in repr(site.recipients)


@pytest.mark.parametrize(
    "report",
    [
        *("", "{", "1", "[1]", "[{}]", "[" * 100_000),
        '[{"name": ["a"], "verdict": "wrong", "sentence": "b", "remedy": "c"}]',
        '[{"name": "\\ud800", "verdict": "wrong", "sentence": "b", "remedy": "c"}]',
        '{"problem": null, "addresses": [{"address": {}, "differences": []}]}',
    ],
    ids=range(9),
)
def test_what_is_no_report_is_said(site: NotifiedSite, hook: Webhook, report: str) -> None:
    """Whatever is in its file, the others are read, and a message says that it cannot be."""
    site.files["doctor"].write_text(report)
    site.run()
    assert hook.titles == ["cccr.example: WRONG: doctor"]


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", '{"format": 2}', '{"format": 1}', "{", "[" * 100_000),
        kept(first_run="2026-11-29T00:00:00"),
        kept(sent_at=["2026-11-29"]),
        kept(messages=[{"time": START.isoformat(), "title": "a", "body": "b", "undelivered": 3}]),
        kept(messages=[{"time": START.isoformat(), "title": 1, "body": "b", "undelivered": []}]),
        kept(problems=[{"program": "doctor", "check": ["a"]}]),
    ],
    ids=range(11),
)
def test_a_damaged_state_is_an_error(site: NotifiedSite, body: str) -> None:
    """It is neither repaired nor replaced, and the message says what to do."""
    file = site.folder / "state/notify.json"
    file.write_text(body)
    with pytest.raises(CccrError, match=r"notify\.json is damaged: .* Remove it: "):
        site.run()
    assert file.read_text() == body


def test_a_clock_that_was_ahead_silences_nothing(site: NotifiedSite, hook: Webhook) -> None:
    """If the clock is set back, reminders do not wait until it has caught up."""
    site.now += 365 * DAY
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    site.run()
    site.now -= 365 * DAY
    site.doctor(("disk", "wrong", "It has 90 MB left."))
    site.run()
    assert hook.titles[1:] == ["cccr.example: still wrong: disk"]
