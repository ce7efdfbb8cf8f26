"""What a release can wrongly say of itself, and where the path can lead."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from support.attacks.target import (
    MINISIG,
    AttackTarget,
    attack,
    simple,
)
from support.signed import (
    TODAY,
    ServerFolder,
    facts,
    organisation_key,
    signed_release,
)

if TYPE_CHECKING:
    from cccr_web.release import Metadata

# What the release says of itself.

OTHERWISE = "but RELEASE.json says otherwise."


@attack(
    f"{MINISIG} was made for “sequence:3 issued:{TODAY:%Y-%m-%dT%H:%M:%SZ} "
    f"expires:{TODAY + timedelta(days=365):%Y-%m-%dT%H:%M:%SZ}”, {OTHERWISE}"
)
def a_signed_comment_that_says_otherwise(target: AttackTarget) -> None:
    """A signed comment that says otherwise."""
    target.facts = facts(3)
    target.sign()


@attack("Release 1 is older than release 2, which was served before.")
def an_older_release(target: AttackTarget) -> Path:
    """An older release."""
    older = AttackTarget(target.folder.parent / "older")
    older.say(sequence=1)
    _served_before(target)
    return older.folder


@attack(
    "SHA256SUMS differs from that of release 2, which was served before. "
    "Raise the sequence in site.toml for each release."
)
def another_release_of_the_same_number(target: AttackTarget) -> None:
    """Another release of the same number."""
    _served_before(target)
    target.say(expires=TODAY + timedelta(days=1))


def _served_before(target: AttackTarget) -> None:
    """Remember release 2 as the newest, as its server would, without serving it now."""
    ServerFolder(target.folder.parent).source.accept(signed_release(2))


simple(
    "a date to come",
    f"RELEASE.json is dated {TODAY + timedelta(days=2):%Y-%m-%d}, which is in the future.",
    lambda target: target.say(time=TODAY + timedelta(days=2)),
)
simple(
    "a key that did not sign",
    f"RELEASE.json names the key None, but {organisation_key().public.fingerprint} signed.",
    lambda target: target.say(fingerprint=None),
)
for _key, _value in {
    "sequence": 0,
    "time": "tomorrow",
    "expires": None,
    "fingerprint": "0000",
    "languages": {},
    "style_hashes": ["'unsafe-inline'"],
}.items():
    simple(
        f"{_key} {_value!r}",
        f"RELEASE.json: “{_key}” is missing or wrong.",
        partial(AttackTarget.says, key=_key, value=_value),
    )


@attack(
    "RELEASE.json: “sequence” is more than 1,000,000,000. Correct it in site.toml and build again."
)
def a_sequence_that_no_record_could_hold(target: AttackTarget) -> None:
    """A sequence that no record could hold."""
    known = {"sequence": 10**18, "time": target.facts.time, "expires": target.facts.expires}
    target.facts = cast("Metadata", SimpleNamespace(**known))
    target.says("sequence", 10**18)


simple(
    "an end before its beginning",
    "RELEASE.json: “expires” is 2026-01-01T00:00:00Z, which is before “time”, "
    f"{TODAY:%Y-%m-%dT%H:%M:%SZ}.",
    lambda target: target.says("expires", "2026-01-01T00:00:00Z"),
)
simple(
    "a newer format",
    "RELEASE.json is of format 3; this version of cccr-web reads formats 1 and 2. "
    "Upgrade it, on a server with: deploy/deploy.sh upgrade",
    lambda target: target.says("format", 3),
)
simple(
    "no JSON",
    "RELEASE.json is not JSON: Expecting value: line 1 column 1 (char 0).",
    lambda target: target.release_json(b"<script>"),
)


# Where the path leads.


@attack(
    "{folder}/loop is not a release: Not a directory. Make one with: cccr-web build --out FOLDER"
)
def a_link_to_itself(target: AttackTarget) -> Path:
    """A link to itself."""
    loop = target.folder.parent / "loop"
    loop.symlink_to(loop)
    return loop


@attack(
    "{folder}/gone is not a release: No such file or directory. "
    "Make one with: cccr-web build --out FOLDER"
)
def a_link_to_nothing(target: AttackTarget) -> Path:
    """A link to nothing."""
    return target.folder.parent / "gone"


@attack("SHA256SUMS cannot be read: No such file or directory.")
def an_empty_folder(target: AttackTarget) -> Path:
    """An empty folder."""
    empty = target.folder.parent / "empty"
    empty.mkdir()
    return empty
