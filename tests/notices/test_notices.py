"""The notices under the organisation's key: canary, mirrors, keys, security.txt, pgp.txt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.policies import key_change
from support.signed import DAY, KEY, content, facts, known_key
from support.signed import OPENPGP_KEY as PGP

from cccr_web.errors import CccrError
from cccr_web.notices import (
    NOTICES,
    Notice,
    check_notices,
    make_canary,
    make_mirrors,
    make_security_txt,
    read_notice,
    write_notice,
)
from cccr_web.notices.signed_text import LINES, NoticeFormat, sign_text
from cccr_web.release import make_release
from cccr_web.serve import file_headers
from cccr_web.serve.policy import clearnet_policy

OLD_KEY = known_key(b"the old key")
OTHER_KEY = known_key(b"another key")
ONION = "http://" + "a" * 56 + ".onion"
SECURITY = ".well-known/security.txt"
CANARY = make_canary(
    KEY, DAY, DAY + timedelta(days=90), ("No key was given away.", "无人索要。"), ("A headline",)
)
MIRRORS = make_mirrors(KEY, DAY, ("https://cccr.example", ONION))
KEYS = key_change(OLD_KEY, KEY)
EXPIRES = datetime(2027, 6, 30, tzinfo=UTC)
CONTACT = make_security_txt(EXPIRES, [("Contact", "mailto:a@cccr.example")])
BYTES = {
    "canary.txt": "888c297c4cc2efbed87f5781113d3892a8367083bd1fc8340830e84df87b2970",
    "mirrors.txt": "f14e32f57583374328c643c0e9ce622245bf9981baade37d2630acc7c9ee6d4e",
    "keys.txt": "b85565e425728948be8bd27bdbab791343137a6bdcd32ba13523c5a550301275",
}
EARLIER_WORDS = """\
# Each brings the same bytes. An address that is not here is not ours.
# 以下各地址的内容完全相同。不在这里的地址不是我们的。
"""
EARLIER_MIRRORS = "d702392f0aee4d0a92fee280d1987421628ed3bbc444b6f706ba2087ce8b4acf"
GOOD = {
    "canary.txt": CANARY,
    "mirrors.txt": MIRRORS,
    "keys.txt": KEYS,
    "releases.txt": f"1 2026-11-22T00:00:00Z {'a' * 64}\n".encode(),
    "pgp.txt": PGP,
    SECURITY: CONTACT,
}


def test_every_notice_that_we_make_is_accepted() -> None:
    """Each notice is read back with its day and its end."""
    said = {path: read_notice(path, body, KEY.public) for path, body in GOOD.items()}
    assert said == {
        "canary.txt": Notice(DAY, datetime(2027, 2, 21, tzinfo=UTC)),
        "mirrors.txt": Notice(DAY, datetime(2027, 11, 23, tzinfo=UTC)),
        "keys.txt": Notice(),
        "releases.txt": Notice(),
        "pgp.txt": Notice(),
        SECURITY: Notice(until=EXPIRES),
    }
    assert said.keys() == NOTICES


def test_the_bytes_of_a_notice_never_change() -> None:
    """Published notices must verify with every later version, so each form is fixed."""
    made = {path: hashlib.sha256(GOOD[path]).hexdigest() for path in BYTES}
    assert made == BYTES


def test_an_earlier_list_of_addresses_stays_valid() -> None:
    """One from the time when only the organisation's own addresses were listed is still read."""
    text = MIRRORS.decode().partition("-----BEGIN")[0]
    text = re.sub(r"# Each serves .*《官方地址》。\n", EARLIER_WORDS, text, flags=re.DOTALL)
    earlier = sign_text(text.encode(), (KEY,), f"mirrors {DAY}")
    assert hashlib.sha256(earlier).hexdigest() == EARLIER_MIRRORS
    assert read_notice("mirrors.txt", earlier, KEY.public) == Notice(
        DAY, datetime(2027, 11, 23, tzinfo=UTC)
    )


def test_mirrors_follow_the_onion_mirror_guidelines() -> None:
    """Each line that begins with http is a mirror, and all other text follows a #."""
    lines = MIRRORS.decode().partition("-----BEGIN")[0].splitlines()
    assert [line for line in lines if line.startswith("http")] == ["https://cccr.example", ONION]
    assert {line[:1] for line in lines if not line.startswith("http")} == {"#", ""}


def resigned(whole: bytes, old: bytes, new: bytes) -> bytes:
    """Change the text and sign it again with the right key."""
    text = whole.partition(b"-----BEGIN")[0]
    assert old in text
    return sign_text(text.replace(old, new), (KEY,), "a test")


BAD: dict[str, tuple[str, bytes, str]] = {
    "unknown name": ("notes.txt", b"x", "notes.txt is not a notice"),
    "too big": ("pgp.txt", PGP * 200, "more than 65,536 bytes"),
    "canary unsigned": ("canary.txt", CANARY.partition(b"-----")[0], "holds no signature"),
    "canary of another": (
        "canary.txt",
        make_canary(OTHER_KEY, DAY, DAY + timedelta(days=1), ("x",), ("y",)),
        f"canary.txt names the key {OTHER_KEY.public.fingerprint}; the organisation's key is",
    ),
    "canary signed by another": (
        "canary.txt",
        sign_text(CANARY.partition(b"-----")[0], (OTHER_KEY,), "x"),
        "another key",
    ),
    "canary changed": ("canary.txt", CANARY.replace(b"No key", b"A key"), "does not match"),
    "canary signed twice": (
        "canary.txt",
        sign_text(CANARY.partition(b"-----")[0], (KEY, KEY), "x"),
        "holds 2 signatures",
    ),
    "canary with more": (
        "canary.txt",
        resigned(CANARY, b"\nKey: ", b"\nA word: more\nKey: "),
        "is not in the form",
    ),
    "canary without a day": (
        "canary.txt",
        resigned(CANARY, b"Date: 2026-11-22", b"Date: 2026-11-31"),
        "canary.txt: issued cannot be “2026-11-31”",
    ),
    "canary without statements": (
        "canary.txt",
        resigned(CANARY, b"Whoever", b"Who"),
        "is not in the form",
    ),
    "canary for too long": (
        "canary.txt",
        resigned(CANARY, b"by: 2027-02-20", b"by: 2027-06-20"),
        "due on 2027-06-20",
    ),
    "canary not UTF-8": (
        "canary.txt",
        sign_text(b"\xff\n", (KEY,), "x"),
        "is not UTF-8",
    ),
    "canary with a line after its signature": (
        "canary.txt",
        CANARY + b"x\n",
        "after its signatures",
    ),
    "mirrors with a path": (
        "mirrors.txt",
        resigned(MIRRORS, b"cccr.example\n", b"cccr.example/en\n"),
        "is not the address of a mirror",
    ),
    "mirrors over http": (
        "mirrors.txt",
        resigned(MIRRORS, b"https://cccr", b"http://cccr"),
        "is not the address of a mirror",
    ),
    "mirrors twice": (
        "mirrors.txt",
        resigned(MIRRORS, ONION.encode(), b"https://cccr.example"),
        "or one twice",
    ),
    "mirrors of the last day of all": (
        "mirrors.txt",
        resigned(MIRRORS, b"2026-11-22", b"9999-12-31"),
        "is not in the form",
    ),
    "mirrors with more": (
        "mirrors.txt",
        resigned(MIRRORS, b"# Each", b"more\n# Each"),
        "is not in the form",
    ),
    "mirrors signed by another": (
        "mirrors.txt",
        sign_text(MIRRORS.partition(b"-----")[0], (OTHER_KEY,), "x"),
        "another key",
    ),
    "keys of others": (
        "keys.txt",
        key_change(OLD_KEY, OTHER_KEY),
        f"not from {KEY.public.fingerprint}",
    ),
    "keys that lead on": ("keys.txt", key_change(KEY, OTHER_KEY), "but the organisation has"),
    "keys half signed": (
        "keys.txt",
        KEYS[: KEYS.rindex(b"-----BEGIN")],
        "as for policy 1, it has 0 of 1 signatures; organisation can sign",
    ),
    "a secret key": ("pgp.txt", PGP.replace(b"PUBLIC", b"PRIVATE"), "other than public keys"),
    "a secret key after a public one": (
        "pgp.txt",
        PGP + PGP.replace(b"PUBLIC", b"PRIVATE"),
        "other than public keys",
    ),
    "half a key": ("pgp.txt", PGP + PGP[:200], "other than public keys"),
    "bytes around a key": ("pgp.txt", b"\x1b[2J\n" + PGP, "other than public keys"),
    "no key": ("pgp.txt", b"Our key is secret.\n", "other than public keys"),
    "a key without a fingerprint": (
        "pgp.txt",
        PGP + PGP.replace(b"mDMEa", b"mDMDa"),
        "pgp.txt holds a key without a readable fingerprint",
    ),
    "no contact": (SECURITY, b"Expires: 2027-06-30T00:00:00Z\n", "has no Contact"),
    "no end": (SECURITY, b"Contact: mailto:a@cccr.example\n", "has no Expires"),
    "two ends": (SECURITY, CONTACT + b"Expires: 2027-06-30T00:00:00Z\n", "more than one Expires"),
    "an end of another form": (
        SECURITY,
        CONTACT.replace(b"2027-06-30T00:00:00Z", b"June"),
        "Expires is",
    ),
    "an end without a zone": (SECURITY, CONTACT.replace(b"00Z", b"00"), "Expires is"),
    "an end in another ISO 8601 form": (
        SECURITY,
        CONTACT.replace(b"2027-06-30T00:00:00Z", b"20270630T000000Z"),
        "Expires is",
    ),
    "an end in no 61st minute": (SECURITY, CONTACT.replace(b"00:00:00Z", b"00:60:00Z"), "Expires"),
    "an end before the first day of all": (
        SECURITY,
        CONTACT.replace(b"2027-06-30T00:00:00Z", b"0001-01-01T00:00:00+09:00"),
        "Expires is",
    ),
    "a misspelt field in small letters": (
        SECURITY,
        b"expire: x\n" + CONTACT,
        "line 1: “expire: x” is not a field of RFC 9116. Did you mean “Expires”?",
    ),
    "an address without its scheme": (SECURITY, b"Contact: mailto:a\n" + CONTACT, "line 1"),
    "two ends in other letters": (
        SECURITY,
        CONTACT + b"EXPIRES: 2027-06-30T00:00:00Z\n",
        "more than one Expires",
    ),
    "a misspelt field": (SECURITY, b"Contacts: mailto:a@b\n" + CONTACT, "line 1: “Contacts"),
    "a contact over http": (SECURITY, b"Contact: http://b.example\n" + CONTACT, "line 1"),
    "security.txt not UTF-8": (SECURITY, b"\xff" + CONTACT, "is not UTF-8"),
    "half an OpenPGP signature": (
        SECURITY,
        b"-----BEGIN PGP SIGNED MESSAGE-----\n\n" + CONTACT,
        "that gpg did not sign",
    ),
}


# What gpg, Kleopatra, Sequoia and Windows' editors make of our notices, and what RFC 9116 allows.
HEADERS = (
    b"Version: GnuPG v2\nComment: Alice (CCCR) <a@cccr.example>\nComment: https://x.example/, \n"
)
SIGNED = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\nHash: SHA512\n\n%s"
    b"-----BEGIN PGP SIGNATURE-----\n%s\niHUEARYIAB0W\n=mxyZ\n-----END PGP SIGNATURE-----\n"
)


def crlf(text: bytes) -> bytes:
    """Return a text as Windows' editors save it."""
    return b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")


def clear_signed(text: bytes, headers: bytes) -> bytes:
    """Return a text with an OpenPGP signature around it and these armour headers."""
    return SIGNED % (text.replace(b"\n-", b"\n- -"), headers)


RFC_9116 = b"""\
# Comment, \xe7\xac\xac9116\xe5\x8f\xb7

contact: mailto:security%2Buri%2Bencoded@cccr.example  \t
Contact: tel:+1-201-555-0123
Contact: xmpp:a@cccr.example
ENCRYPTION: dns:5d2d37ab76d47d36._openpgpkey.cccr.example?type=OPENPGPKEY
Encryption: openpgp4fpr:5f2de5521c63a801ab59ccb603d49de44b29100f
Encryption: https://cccr.example/pgp-key.txt#%E5%85%AC
Preferred-Languages: en , zh-Hans,\tes-419
X-Other: anything at all \xe4\xbd\xa0
Expires: 2027-06-29t19:59:60.25-04:00
"""
FOREIGN: dict[str, tuple[str, bytes]] = {
    "a key with headers": ("pgp.txt", PGP.replace(b"-\n\n", b"-\n" + HEADERS + b" \t\n")),
    "a key on Windows": ("pgp.txt", crlf(PGP)),
    "a key with headers on Windows": (
        "pgp.txt",
        crlf(PGP.replace(b"-\n\n", b"-\n" + HEADERS + b"\n")),
    ),
    "a key with text around": ("pgp.txt", "我们的公钥：\n".encode() + PGP + b"Write to us.\n"),
    "two keys with blank lines around": ("pgp.txt", b"\n" + PGP + b"\n\n" + PGP + b"\n"),
    "a key without its last line feed": ("pgp.txt", PGP.rstrip()),
    "a canary on Windows": ("canary.txt", crlf(CANARY)),
    "mirrors, signed": ("mirrors.txt", clear_signed(MIRRORS, b"")),
    "mirrors, signed with headers": ("mirrors.txt", clear_signed(MIRRORS, HEADERS)),
    "mirrors, signed on Windows": ("mirrors.txt", crlf(clear_signed(MIRRORS, HEADERS))),
    "keys on Windows": ("keys.txt", crlf(KEYS)),
    "all that RFC 9116 allows": (SECURITY, RFC_9116),
    "the same on Windows": (SECURITY, crlf(RFC_9116)),
    "the same, signed": (SECURITY, clear_signed(RFC_9116, HEADERS)),
    "the same, signed on Windows": (SECURITY, crlf(clear_signed(RFC_9116, HEADERS))),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_notice_from_another_program_is_accepted(case: str) -> None:
    """Line ends, marks, blanks and armour headers of other programs change nothing."""
    path, body = FOREIGN[case]
    expected = read_notice(path, GOOD[path], KEY.public)
    if RFC_9116.split()[1] in body:
        expected = Notice(until=datetime(2027, 6, 29, 23, 59, 59, 250000, UTC))
    assert read_notice(path, body, KEY.public) == expected


@pytest.mark.parametrize("headers", [b"Not a header\n", b"Comment: \x1b[2J\n", b"NotDashEscaped\n"])
def test_an_armour_with_other_lines_is_rejected(headers: bytes) -> None:
    """Only headers may be outside what gpg has signed, and nothing that a terminal acts on."""
    with pytest.raises(CccrError, match="that gpg did not sign"):
        read_notice("mirrors.txt", clear_signed(MIRRORS, headers), KEY.public)
    with pytest.raises(CccrError, match="other than public keys"):
        read_notice("pgp.txt", PGP.replace(b"-\n\n", b"-\n" + headers + b"\n"), KEY.public)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_notice_is_rejected(case: str) -> None:
    """The error says what is wrong with the notice's name, format, key or date."""
    path, body, problem = BAD[case]
    with pytest.raises(CccrError) as refused:
        read_notice(path, body, KEY.public)
    assert problem in str(refused.value)


ARMOURED = {
    "a key": ("pgp.txt", PGP),
    "two keys": ("pgp.txt", PGP + PGP),
    "mirrors, signed": ("mirrors.txt", clear_signed(MIRRORS, b"")),
    "security.txt, signed on Windows": (SECURITY, crlf(clear_signed(RFC_9116, HEADERS))),
}


@pytest.mark.parametrize("case", ARMOURED)
def test_the_checksum_of_an_armour_may_be_absent_but_not_wrong(case: str) -> None:
    """It is optional (RFC 9580, section 6.1), but GnuPG reads no armour with a wrong one."""
    path, body = ARMOURED[case]
    (*_, last) = re.finditer(rb"\n=[A-Za-z0-9+/]{4}(?=\r?\n)", body)
    absent = body[: last.start()].rstrip(b"\r") + body[last.end() :]
    assert read_notice(path, absent, KEY.public) == read_notice(path, body, KEY.public)
    at = last.start() - 3
    damaged = [
        body[: last.start()] + b"\n=AAAA" + body[last.end() :],
        body[:at] + (b"B" if body[at : at + 1] == b"A" else b"A") + body[at + 1 :],
    ]
    for each in damaged:
        with pytest.raises(CccrError, match=f"^{path} holds a damaged OpenPGP armour"):
            read_notice(path, each, KEY.public)


def test_a_signature_that_is_not_base64_is_damaged() -> None:
    """Its characters may be right, but not their number."""
    whole = clear_signed(MIRRORS, b"").replace(b"iHUEARYIAB0W", b"iHUEARYIAB0Wx")
    with pytest.raises(CccrError, match="damaged OpenPGP armour"):
        read_notice("mirrors.txt", whole, KEY.public)


def test_a_notice_cannot_be_checked_without_a_key() -> None:
    """While the organisation has no key, it has no notices either."""
    with pytest.raises(CccrError, match="key is not known"):
        read_notice("mirrors.txt", MIRRORS, None)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: make_canary(KEY, DAY, DAY, ("x",), ("y",)), "due on 2026-11-22"),
        (lambda: make_canary(KEY, DAY, DAY + timedelta(days=187), ("x",), ("y",)), "186 days"),
        (lambda: make_canary(KEY, DAY, DAY + timedelta(days=1), (), ("y",)), "has no statement"),
        (lambda: make_canary(KEY, DAY, DAY + timedelta(days=1), ("x",), ()), "or no proof"),
        (
            lambda: make_canary(KEY, DAY, DAY + timedelta(days=1), ("x\n2. y",), ("z",)),
            "is not a line of text",
        ),
        (
            lambda: make_canary(KEY, DAY, DAY + timedelta(days=1), ("x",), (" ",)),
            "is not a line of text",
        ),
        (
            lambda: make_canary(KEY, DAY, DAY + timedelta(days=1), ("x -----BEGIN",), ("y",)),
            "looks like a signature",
        ),
        (lambda: make_mirrors(KEY, DAY, ()), "has no address"),
        (
            lambda: make_mirrors(KEY, DAY, ("https://cccr.example/",)),
            "is not the address of a mirror",
        ),
        (lambda: make_mirrors(KEY, DAY, ("https://cccr.example:8443",)), "is not the address"),
        (lambda: make_security_txt(EXPIRES, [("Contact", "a@b")]), "not a field of RFC 9116"),
    ],
)
def test_a_notice_that_readers_would_reject_is_not_made(
    make: Callable[[], bytes], problem: str
) -> None:
    """A notice is rejected before it is signed, and the error says what to do."""
    with pytest.raises(CccrError, match=problem) as refused:
        make()
    assert refused.value.remedy


def test_no_notice_contains_a_line_that_looks_like_a_signature() -> None:
    """Every format rejects such a line: readers find the end of the text by it."""
    lines = NoticeFormat("x.txt", "{lines}\n", {"lines": LINES}, SimpleNamespace, lambda _: (), "")
    assert lines.format(SimpleNamespace(lines=("a", "b"))) == b"a\nb\n"
    with pytest.raises(CccrError, match=r"^x\.txt: “-----BEGIN x” looks like a signature"):
        lines.format(SimpleNamespace(lines=("a", "-----BEGIN x")))


LAST = {"canary.txt": date(2027, 2, 20), "mirrors.txt": date(2027, 11, 22)}


@pytest.mark.parametrize("path", LAST)
def test_a_release_holds_no_notice_that_expired_before_it(path: str) -> None:
    """A notice is valid until its last day is over, at the release's time and at its signing."""
    last = datetime.combine(LAST[path], time(23, 59), UTC)
    after = last + timedelta(minutes=1)
    problem = f"{path}: It was valid until {after:%Y-%m-%d} 00:00 UTC, but "
    made_then = make_release({path: GOOD[path]}, facts(time=last, expires=after))
    check_notices(made_then, KEY.public)
    check_notices(made_then, KEY.public, last)
    with pytest.raises(CccrError, match=f"^{problem}this machine's clock says {after:%Y-%m-%d}"):
        check_notices(made_then, KEY.public, after)
    made_later = make_release({path: GOOD[path]}, facts(time=after, expires=after))
    with pytest.raises(CccrError, match=f"^{problem}the release is dated {after:%Y-%m-%d}"):
        check_notices(made_later, KEY.public)


@pytest.mark.parametrize("path", LAST)
def test_a_release_holds_no_notice_from_its_future(path: str) -> None:
    """A notice may be dated a day later than its release: time zones differ."""
    before = datetime(2026, 11, 21, tzinfo=UTC)
    check_notices(make_release({path: GOOD[path]}, facts(time=before)), KEY.public)
    earlier = make_release({path: GOOD[path]}, facts(time=before - timedelta(seconds=1)))
    with pytest.raises(CccrError, match=f"^{path}: It is dated 2026-11-22, but the release is "):
        check_notices(earlier, KEY.public)


def test_whoever_signs_a_release_verifies_its_notices() -> None:
    """A server does not: the release is signed as a whole."""
    release = make_release({"canary.txt": CANARY.replace(b"No key", b"A key")}, facts())
    check_notices(release, KEY.public)
    with pytest.raises(CccrError, match="does not match"):
        check_notices(release, KEY.public, facts().time)
    check_notices(make_release(content(1), facts()), KEY.public, facts().time)


def test_a_notice_replaces_only_its_own_kind(tmp_path: Path) -> None:
    """A canary replaces a canary, but no other file, and never a key."""
    file = tmp_path / "files" / "canary.txt"
    write_notice(file, CANARY)
    write_notice(file, CANARY)
    assert file.read_bytes() == CANARY
    with pytest.raises(CccrError, match="another kind of file"):
        write_notice(file, MIRRORS)
    (tmp_path / "key").write_bytes(KEY.public.to_file())
    with pytest.raises(CccrError, match="another kind of file"):
        write_notice(tmp_path / "key", CANARY)
    assert (tmp_path / "key").read_bytes() == KEY.public.to_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "key"]


def test_notices_are_served_as_text() -> None:
    """The server sends plain text that caches must revalidate."""
    release = make_release(GOOD, facts())
    headers = file_headers(release, clearnet_policy(release.metadata, ()))
    for path in GOOD:
        assert headers[f"/{path}"]["Content-Type"] == "text/plain; charset=utf-8"
        assert headers[f"/{path}"]["Cache-Control"] == "no-cache"
