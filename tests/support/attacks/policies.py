"""Tamperings with a release under a policy, of which one signer's key is stolen.

The release is signed by “editor” and “second”; the thief holds the key of “editor”.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cccr_web.release import PolicySigner, Release, SigningPolicy
from cccr_web.release.archive import Archive, make_archive, pack_zip
from cccr_web.release.manifest import digest, format_manifest
from support.policies import (
    EDITOR,
    SECURITY_KEY,
    SSH_KEY,
    TWO_OF_THREE,
    policy_release,
    ssh_signature,
)
from support.signed import known_key, signed_release

MINISIG = "SHA256SUMS.editor.minisig"
SSHSIG = "SHA256SUMS.second.sshsig"
LAWYER = "SHA256SUMS.lawyer.sshsig"
STRANGER = known_key(b"a stranger")
PAGE = "en/index.html"
ZIP = "cccr-web.zip"
FolderChange = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Tampering:
    """A change of a folder. ``watch`` requests no file that a release does not have.

    ``genuine`` is whether verify.py exits with 3: our files are genuine, and it lists the rest.
    """

    name: str
    change: FolderChange
    remote: bool = True
    genuine: bool = False


def good_release() -> Release:
    """Return the release that is tampered with."""
    return policy_release("editor", "second")


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


TAMPERINGS = (
    *signature_changes(),
    *more_signatures(),
    *list_changes(),
    *policy_changes(),
    *file_changes(),
    *zip_changes(),
)
