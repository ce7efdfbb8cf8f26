"""Tamperings with a release under a policy, of which one signer's key is stolen.

The release is signed by “editor” and “second”; the thief holds the key of “editor”.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cccr_web.release import PolicySigner, Release, SigningKey, SigningPolicy
from cccr_web.release.archive import Archive, make_archive, pack_zip
from cccr_web.release.manifest import digest, format_manifest
from support.policies import (
    CHAIN,
    EDITOR,
    SECURITY_KEY,
    SSH_KEY,
    STRANGER,
    THIRD,
    TWO_OF_THREE,
    chained_release,
    key_change,
    one_key,
    policy_release,
    policy_signature,
    release_under,
    ssh_signature,
)
from support.signed import put_release, signed_release

MINISIG = "SHA256SUMS.editor.minisig"
SSHSIG = "SHA256SUMS.second.sshsig"
LAWYER = "SHA256SUMS.lawyer.sshsig"
PAGE = "en/index.html"
RECORD = b"1 2026-11-22T00:00:00Z %s\n3 2026-11-23T00:00:00Z %s\n" % (b"a" * 64, b"c" * 64)
ZIP = "cccr-web.zip"
FolderChange = Callable[[Path], object]


def good_release() -> Release:
    """Return the release that is tampered with."""
    return policy_release("editor", "second")


@dataclass(frozen=True, slots=True)
class Tampering:
    """A change of a folder. ``watch`` requests no file that a release does not have.

    ``genuine`` is whether verify.py exits with 3: our files are genuine, and it lists the rest.
    ``release`` is what is tampered with, and ``trusted`` what its reader trusts.
    """

    name: str
    change: FolderChange
    remote: bool = True
    genuine: bool = False
    release: Callable[[], Release] = good_release
    trusted: SigningPolicy = TWO_OF_THREE


def edit(file: str, change: Callable[[bytes], bytes]) -> FolderChange:
    """Return a change of one file's bytes."""

    def do(folder: Path) -> None:
        before = (folder / file).read_bytes()
        after = change(before)
        assert after != before
        (folder / file).write_bytes(after)

    return do


def put(file: str, body: bytes) -> FolderChange:
    """Return a change that writes a file."""
    return lambda folder: (folder / file).write_bytes(body)


def always(body: bytes) -> Callable[[bytes], bytes]:
    """Return a change to these bytes."""
    return lambda _: body


def remove(file: str) -> FolderChange:
    """Return a change that removes a file."""
    return lambda folder: (folder / file).unlink()


def rename(file: str, target: str) -> FolderChange:
    """Return a change of a file's name."""
    return lambda folder: (folder / file).rename(folder / target)


def add(file: str) -> Callable[[dict[str, bytes]], object]:
    """Return the addition of a file."""
    return lambda files: files.update({file: b"x"})


def sums() -> bytes:
    """Return the list of the release."""
    return good_release().files["SHA256SUMS"].body


def flip(at: int) -> Callable[[bytes], bytes]:
    """Return a change of one byte of a text to another letter."""
    return lambda body: body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]


def thief(
    change: Callable[[dict[str, bytes]], object], policy: SigningPolicy | None = None
) -> FolderChange:
    """Return a change of any files, which the thief lists, signs with one key and packs."""

    def do(folder: Path) -> None:
        release = good_release()
        files = {path: file.body for path, file in release.listed.items()}
        if policy is not None:
            files["policy.txt"] = policy.to_file()
            facts = dataclasses.replace(release.metadata, fingerprint=policy.fingerprint)
            files["RELEASE.json"] = facts.to_json()
        change(files)
        listed = format_manifest({path: digest(body) for path, body in files.items()})
        signed = {MINISIG: TWO_OF_THREE.sign(listed, EDITOR)[MINISIG]}
        if policy is not None:
            for signer in policy.signers:
                if signer.key == STRANGER.public:
                    signed[signer.file] = signer.sign(listed, STRANGER)
        else:
            signed[SSHSIG] = release.files[SSHSIG].body
        whole = {**files, "SHA256SUMS": listed, **signed}
        whole[ZIP] = make_archive(whole, release.metadata.time)
        (folder / SSHSIG).unlink()
        for path, body in whole.items():
            (folder / path).write_bytes(body)

    return do


def repack(change: Callable[[dict[str, bytes]], object]) -> FolderChange:
    """Return a change of what the ZIP holds."""

    def do(folder: Path) -> None:
        release = good_release()
        files = {path: file.body for path, file in release.files.items() if path != ZIP}
        change(files)
        (folder / ZIP).write_bytes(make_archive(files, release.metadata.time))

    return do


def signature_changes() -> Iterator[Tampering]:
    """Yield what can be done with the two signatures."""
    older = policy_release("editor", "second", sequence=2)
    for file in (MINISIG, SSHSIG):
        other = SSHSIG if file == MINISIG else MINISIG
        body = good_release().files[file].body
        edits: dict[str, Callable[[bytes], bytes]] = {
            "empty": lambda _: b"",
            "cut": lambda whole: whole[: len(whole) // 2],
            "without its last line feed": lambda whole: whole[:-1],
            "with another line": lambda whole: whole + b"\n",
            "with spaces": lambda whole: whole.replace(b"\n", b" \n"),
            "with CR LF": lambda whole: whole.replace(b"\n", b"\r\n"),
            "twice": lambda whole: whole * 2,
            "of another release": always(older.files[file].body),
            "the other's": always(good_release().files[other].body),
            "lower case": bytes.lower,
            "too long": lambda whole: whole + b" " * 70_000,
        }
        places = (3, 60, 90, len(body) // 2, len(body) - 40, len(body) - 10)
        edits |= {f"byte {at}": flip(at) for at in places}
        for name, change in edits.items():
            yield Tampering(f"{file} {name}", edit(file, change))
        yield Tampering(f"{file} removed", remove(file))
        for target in (LAWYER, "SHA256SUMS.mallory.minisig", "SHA256SUMS.mallory.sshsig"):
            yield Tampering(
                f"{file} as {target}",
                rename(file, target),
            )
        yield Tampering(
            f"{file} as one of a single key",
            rename(file, file.replace(".editor", "").replace(".second", "")),
        )


def more_signatures() -> Iterator[Tampering]:
    """Yield signatures of the wrong kind, by others, and duplicates."""
    text = sums()
    made = {
        "for another namespace": ssh_signature(text, SSH_KEY, namespace=b"git"),
        "over SHA-256": ssh_signature(text, SSH_KEY, hashed=b"sha256"),
        "by the security key": ssh_signature(text, SECURITY_KEY),
        "over another list": ssh_signature(text + b"\n", SSH_KEY),
    }
    for name, body in made.items():
        yield Tampering(f"a signature {name}", put(SSHSIG, body))
    untouched = {
        "untouched": ssh_signature(text, SECURITY_KEY, flags=0),
        "with unknown flags": ssh_signature(text, SECURITY_KEY, flags=0x41),
        "over another list": ssh_signature(text + b"\n", SECURITY_KEY),
        "for another namespace": ssh_signature(text, SECURITY_KEY, namespace=b"git"),
        "by the other SSH key": ssh_signature(text, SSH_KEY),
        "damaged": ssh_signature(text, SECURITY_KEY).replace(b"S", b"T"),
        "empty": b"",
    }
    for name, body in untouched.items():
        yield Tampering(f"a third signature {name}", put(LAWYER, body))
    comments = {
        "by nobody's name": "signer:mallory",
        "with a text": "signer:editor Read this!",
        "without a comment": "",
        "with the facts": "sequence:1",
    }
    for name, comment in comments.items():
        yield Tampering(f"a signature {name}", put(MINISIG, EDITOR.sign(text, comment)))
    yield Tampering("a stranger's signature", put(MINISIG, STRANGER.sign(text, "signer:editor")))
    for file in ("SHA256SUMS.mallory.minisig", "SHA256SUMS.editor.sshsig", "SHA256SUMS.asc"):
        body = good_release().files[MINISIG].body
        yield Tampering(f"{file} as well", put(file, body), remote=False, genuine=True)


def list_changes() -> Iterator[Tampering]:
    """Yield what can be done with the list."""
    swapped = sums().splitlines(keepends=True)
    edits: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda _: b"",
        "without a line": lambda text: text.split(b"\n", 1)[1],
        "with another hash": flip(5),
        "with another ZIP": lambda text: text + b"0" * 64 + b"  zzz.zip\n",
        "out of order": lambda _: b"".join([swapped[1], swapped[0], *swapped[2:]]),
        "with CR LF": lambda text: text.replace(b"\n", b"\r\n"),
        "without its end": lambda text: text[:-1],
        "of another release": lambda _: (
            policy_release("editor", "second", sequence=2).files["SHA256SUMS"].body
        ),
        "of one key": lambda _: signed_release(1).files["SHA256SUMS"].body,
    }
    for name, change in edits.items():
        yield Tampering(f"a list {name}", edit("SHA256SUMS", change))
    for file, listed in {"ZIP": ZIP, "signature": MINISIG, "another signature": LAWYER}.items():
        yield Tampering(f"a list with the {file}", thief(add(listed)))


def policy_changes() -> Iterator[Tampering]:
    """Yield policies that a thief would like."""
    stranger = PolicySigner("second", STRANGER.public)
    editor, lawyer, second = TWO_OF_THREE.signers
    policies = {
        "threshold 1": SigningPolicy(1, 1, TWO_OF_THREE.signers),
        "threshold 3": SigningPolicy(1, 3, TWO_OF_THREE.signers),
        "a higher number": SigningPolicy(2, 2, TWO_OF_THREE.signers),
        "the stranger's key": SigningPolicy(1, 2, (editor, lawyer, stranger)),
        "one signer": SigningPolicy(1, 1, (editor,)),
        "two signers": SigningPolicy(1, 2, (editor, second)),
        "a stranger as well": SigningPolicy(
            1, 2, (editor, lawyer, PolicySigner("mallory", STRANGER.public), second)
        ),
        "another name": SigningPolicy(
            1, 2, (PolicySigner("editors", EDITOR.public), lawyer, second)
        ),
    }
    for name, policy in policies.items():
        yield Tampering(f"a policy with {name}", put("policy.txt", policy.to_file()))
        yield Tampering(f"a signed policy with {name}", thief(lambda _: None, policy))
    edits: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda _: b"",
        "with CR LF": lambda text: text.replace(b"\n", b"\r\n"),
        "with a comment": lambda text: text + b"# \n",
        "cut": lambda text: text[:-20],
    }
    for name, change in edits.items():
        yield Tampering(f"a policy {name}", edit("policy.txt", change))
    yield Tampering("no policy", lambda folder: (folder / "policy.txt").unlink())
    yield Tampering("a list without the policy", thief(lambda files: files.pop("policy.txt")))


def file_changes() -> Iterator[Tampering]:
    """Yield changed files, also signed with the one stolen key."""
    page = {PAGE: b"<!doctype html>another page"}
    yield Tampering("a changed page", put(PAGE, page[PAGE]))
    yield Tampering("a changed page, signed once", thief(lambda files: files.update(page)))
    yield Tampering("a page more, signed once", thief(lambda files: files.update({"x.html": b""})))
    yield Tampering("a page less, signed once", thief(lambda files: files.pop(PAGE)))
    yield Tampering("an unlisted page", put("en/x.html", b""), remote=False, genuine=True)
    yield Tampering("no page", lambda folder: (folder / PAGE).unlink(), genuine=True)
    for key, value in {
        "format": 1,
        "sequence": 2,
        "expires": "2099-01-01T00:00:00Z",
        "fingerprint": EDITOR.public.fingerprint,
    }.items():

        def say(body: bytes, key: str = key, value: object = value) -> bytes:
            return json.dumps({**json.loads(body), key: value}).encode()

        def say_in(files: dict[str, bytes], said: Callable[[bytes], bytes] = say) -> None:
            files["RELEASE.json"] = said(files["RELEASE.json"])

        yield Tampering(f"another {key}", edit("RELEASE.json", say))
        yield Tampering(f"another {key}, signed once", thief(say_in))


def zip_changes() -> Iterator[Tampering]:
    """Yield what can be done with the ZIP, which the list does not name."""
    edits: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda _: b"",
        "cut": lambda body: body[:-30],
        "with a byte more": lambda body: body + b"\0",
        "with a byte before it": lambda body: b"\0" + body,
        "with another time": lambda body: body.replace(body[10:14], b"\0\0\x21\x5a"),
        "of one key": lambda _: signed_release(1).files[ZIP].body,
        "of another release": lambda _: (
            policy_release("editor", "second", sequence=2).files[ZIP].body
        ),
        "with three signatures": lambda _: (
            policy_release("editor", "lawyer", "second").files[ZIP].body
        ),
        "with one signature": lambda _: policy_release("editor").files[ZIP].body,
    }
    for name, change in edits.items():
        yield Tampering(f"a ZIP {name}", edit(ZIP, change))
    contents: dict[str, Callable[[dict[str, bytes]], object]] = {
        "another page": lambda files: files.update({PAGE: b"another"}),
        "no page": lambda files: files.pop(PAGE),
        "a file more": lambda files: files.update({"x.html": b""}),
        "another policy": lambda files: files.update({"policy.txt": b""}),
        "another list": lambda files: files.update({"SHA256SUMS": b""}),
        "no list": lambda files: files.pop("SHA256SUMS"),
        "another signature": lambda files: files.update({MINISIG: b""}),
        "no signature": lambda files: files.pop(SSHSIG),
        "a ZIP": lambda files: files.update({ZIP: b""}),
        "an unknown signature": lambda files: files.update({"SHA256SUMS.mallory.sshsig": b""}),
    }
    for name, pick in contents.items():
        yield Tampering(f"a ZIP that holds {name}", repack(pick))
    yield Tampering("no ZIP", lambda folder: (folder / ZIP).unlink(), genuine=True)

    def store(folder: Path) -> None:
        body = (folder / ZIP).read_bytes()
        names = [path for path in good_release().files if path != ZIP]
        files = {f"cccr-web/{path}": Archive(body, ZIP).read(path, 1 << 20) for path in names}
        time = good_release().metadata.time
        (folder / ZIP).write_bytes(pack_zip(files, time, stored=files))

    yield Tampering("a stored ZIP", store)


def become(release: Release) -> FolderChange:
    """Return the replacement of a whole release by another one."""

    def do(folder: Path) -> None:
        shutil.rmtree(folder)
        put_release(release, folder)

    return do


def chain_changes() -> Iterator[Tampering]:
    """Yield what can be done with keys.txt, for a reader who trusts the second of three policies.

    The thief's policy is signed as it must be, and so is the release under it, except that
    “second” and “lawyer” sign nothing for a thief.
    """
    old, second, newest = CHAIN.policies
    good, links = CHAIN.to_file(), CHAIN.links
    mine = dataclasses.replace(
        newest,
        threshold=1,
        signers=(PolicySigner("editor", EDITOR.public), PolicySigner("mallory", STRANGER.public)),
    )
    both = (EDITOR, STRANGER)
    # What “second” has signed is known to the thief.
    known = links[2].signatures[1], links[1].signatures[1]

    def after(before: SigningPolicy, policy: SigningPolicy, number: int = 0) -> SigningPolicy:
        number = number or before.number + 1
        return dataclasses.replace(policy, number=number, previous=before.sha256)

    def text(*parts: SigningPolicy | bytes) -> bytes:
        return b"".join(each if isinstance(each, bytes) else each.to_file() for each in parts)

    def made(policy: SigningPolicy, *signers: SigningKey) -> bytes:
        return b"".join(policy_signature(policy, each) for each in signers)

    begin = text(old, second, *links[1].signatures)
    ours = text(old, second, *links[1].signatures, newest, *links[2].signatures)
    assert ours == good
    fork, skipped, onwards = after(old, mine), after(second, mine, 3), after(newest, mine)
    alone, three = after(second, one_key(EDITOR, 2)), after(second, mine)
    two = dataclasses.replace(three, threshold=2)
    forged: dict[str, tuple[bytes, SigningPolicy]] = {
        "no signature": (begin + text(three), three),
        "one of two signatures": (begin + text(three) + made(three, EDITOR), three),
        "one signature twice": (begin + text(three) + made(three, EDITOR, EDITOR), three),
        "a stranger's signature": (begin + text(three) + made(three, *both), three),
        "a signature of another change": (
            begin + text(three) + made(three, EDITOR) + known[0],
            three,
        ),
        "a signature of the change before": (
            begin + text(three) + made(three, EDITOR) + known[1],
            three,
        ),
        "a signature of a release": (
            begin
            + text(three)
            + made(three, EDITOR)
            + chained_release().files["SHA256SUMS.second.sshsig"].body,
            three,
        ),
        "a threshold of two": (begin + text(two) + made(two, *both), two),
        "a number left out": (begin + text(skipped) + made(skipped, *both), skipped),
        "a fork after it": (begin + text(fork) + made(fork, *both), fork),
        "a fork in its place": (text(old, fork) + made(fork, *both), fork),
        "a fork below it": (good + text(fork) + made(fork, *both), fork),
        "a beginning of one's own": (text(dataclasses.replace(mine, previous=None)), mine),
        "no beginning": (text(second, three) + made(three, *both), three),
        "no change before": (text(old, three) + made(three, *both), three),
        "one more change": (good + text(onwards) + made(onwards, *both), onwards),
        "two changes in another order": (
            text(old, newest, *links[2].signatures, second, *links[1].signatures),
            newest,
        ),
        "the last change twice": (good + good[len(begin) :], newest),
        "a loop": (begin + text(alone) + made(alone, EDITOR), alone),
        "text after it": (good + b"Trust me.\n", newest),
        "a line feed after it": (good + b"\n", newest),
        "no last line feed": (good[:-1], newest),
        "Windows' line ends": (good.replace(b"\n", b"\r\n"), newest),
        "a mark before it": (b"\xef\xbb\xbf" + good, newest),
        "a policy that is not the release's": (good, three),
        "the key that signed at first": (good, old),
        "a signer's removal undone": (good, second),
        "nothing in it": (b"", three),
    }
    for name, (keys, policy) in forged.items():
        signers = (
            (EDITOR, STRANGER, SSH_KEY, SECURITY_KEY, THIRD) if policy in CHAIN.policies else both
        )
        release = release_under(policy, signers, {"keys.txt": keys})
        yield Tampering(
            f"a chain with {name}", become(release), release=chained_release, trusted=second
        )
    release = release_under(newest, (SSH_KEY, THIRD), {})
    yield Tampering("no chain", become(release), release=chained_release, trusted=second)
    old = SigningPolicy.of(EDITOR.public)
    for name, change in {
        "removed": remove("keys.txt"),
        "of another site": put("keys.txt", key_change(STRANGER, EDITOR)),
        "empty": put("keys.txt", b""),
        "without its end": edit("keys.txt", lambda body: body[: len(body) // 2]),
        "with a changed byte": edit("keys.txt", flip(len(begin) + 40)),
    }.items():
        yield Tampering(f"keys.txt {name}", change, release=chained_release, trusted=old)
    yield Tampering(
        "the stolen first key",
        become(release_under(old, (EDITOR,), {"keys.txt": good})),
        release=chained_release,
        trusted=old,
    )


def recorded_release() -> Release:
    """Return a release with a record of two releases before it."""
    return release_under(TWO_OF_THREE, (EDITOR, SSH_KEY), {"releases.txt": RECORD}, sequence=4)


def record_changes() -> Iterator[Tampering]:
    """Yield what can be done with releases.txt: by the signers themselves, and by others."""
    one, other = RECORD.splitlines(keepends=True)
    signed = {
        "empty": b"",
        "without its end": RECORD[:-1],
        "with CR LF": RECORD.replace(b"\n", b"\r\n"),
        "with a comment": RECORD + b"# end\n",
        "with a blank line": RECORD + b"\n",
        "with two spaces": RECORD.replace(b" ", b"  ", 1),
        "with half a hash": RECORD[:-20] + b"\n",
        "in another order": other + one,
        "with a line twice": one + one,
        "with two releases of one number": one + one.replace(b"a", b"b"),
        "that names the release itself": RECORD + other.replace(b"3 ", b"4 ", 1),
        "that names a later release": RECORD + other.replace(b"3 ", b"5 ", 1),
        "with too high a number": one + other.replace(b"3 ", b"30000000000 ", 1),
    }
    for name, body in signed.items():
        release = release_under(TWO_OF_THREE, (EDITOR, SSH_KEY), {"releases.txt": body}, sequence=4)
        yield Tampering(f"a signed record {name}", become(release), release=recorded_release)
    for name, change in {
        "a line less": edit("releases.txt", lambda _: one),
        "a changed hash": edit("releases.txt", flip(len(RECORD) - 5)),
        "a changed time": edit("releases.txt", flip(6)),
    }.items():
        yield Tampering(f"a record with {name}", change, release=recorded_release)
    yield Tampering("no record", remove("releases.txt"), genuine=True, release=recorded_release)


TAMPERINGS = (
    *signature_changes(),
    *more_signatures(),
    *list_changes(),
    *policy_changes(),
    *file_changes(),
    *zip_changes(),
    *chain_changes(),
    *record_changes(),
)
