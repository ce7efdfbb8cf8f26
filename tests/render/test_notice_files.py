"""``translations/files/``: notices go into a release byte for byte, or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from support.pages import Element, pages
from support.policies import key_change, one_key
from support.signed import KEY, OPENPGP_KEY, known_key
from support.texts import replace_once, texts_with_key

from cccr_web.config import find_tree
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.notices import make_canary, make_mirrors, make_security_txt
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.render.copies import single_url

DAY = date(2026, 11, 24)
TOMORROW = datetime.now(UTC).date() + timedelta(days=1)
NEXT, OTHER = known_key(b"next"), known_key(b"another")
CANARY = make_canary(KEY, DAY, DAY + timedelta(days=90), ("x",), ("y",))
MIRRORS = make_mirrors(KEY, DAY, ("https://cccr.example",))
SECURITY = make_security_txt(datetime(2027, 6, 30, tzinfo=UTC), [("Contact", "tel:+1-201-555-01")])
Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make a tree of the real texts with this key, and with these notices."""

    def make(files: dict[str, bytes], public_key: str = str(KEY.public)) -> Path:
        folder = texts_with_key(tmp_path, public_key)
        for path, body in files.items():
            (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / path).write_bytes(body)
        return folder

    return make


def built(folder: Path, time: datetime | None = None) -> Release:
    """Build the tree."""
    return build_release(folder, find_tree("templates"), time=time)


def problems(folder: Path, time: datetime | None = None) -> list[str]:
    """Return the problems that stop a build of the tree."""
    with pytest.raises(CccrError) as caught:
        built(folder, time)
    return str(caught.value).splitlines()


def test_notices_are_published_byte_for_byte(tree: Tree) -> None:
    """Every notice is in the release, unchanged and listed."""
    files = {
        "mirrors.txt": MIRRORS,
        "canary.txt": CANARY,
        "keys.txt": key_change(NEXT, KEY),
        ".well-known/security.txt": SECURITY,
    }
    release = built(tree(files))
    assert {path: release.files[path].body for path in files} == files


def test_a_notice_is_published_with_line_feeds_only(tree: Tree) -> None:
    """What an editor on Windows saved is published as it was signed, so minisign verifies it."""
    release = built(tree({"mirrors.txt": b"\xef\xbb\xbf" + MIRRORS.replace(b"\n", b"\r\n")}))
    assert release.files["mirrors.txt"].body == MIRRORS


def test_a_notice_dates_the_release(tree: Tree) -> None:
    """The newest notice, like the newest text, sets the release time."""
    folder = tree({"mirrors.txt": make_mirrors(KEY, TOMORROW, ("https://cccr.example",))})
    assert built(folder).metadata.time.date() == TOMORROW


def test_a_release_without_notices_can_be_built(tree: Tree) -> None:
    """The folder of notices is optional."""
    assert "mirrors.txt" not in built(tree({})).files


def test_all_problems_are_reported_at_once(tree: Tree) -> None:
    """Unknown names, links and malformed notices are reported together, each with its file."""
    folder = tree({"notes.txt": b"x", "canary.txt": b"x", ".well-known/security.txt": b"x"})
    (folder / "files" / "mirrors.txt").symlink_to(folder / "site.toml")
    (folder / "files" / "more").symlink_to(folder)
    found = problems(folder)
    assert [line.partition(": ")[0] for line in found] == [
        "translations/files/.well-known/security.txt:1",
        "translations/files/canary.txt:1",
        "translations/files/mirrors.txt:1",
        "translations/files/more:1",
        "translations/files/notes.txt:1",
    ]
    assert "is not a field of RFC 9116" in found[0]
    assert "holds no signature" in found[1]
    assert "is not a regular file" in found[2]
    assert "Only these files are allowed here" in found[3]


def test_problems_are_reported_with_those_of_the_texts(tree: Tree) -> None:
    """Problems of notices and of texts appear in one list."""
    folder = tree({"notes.txt": b"x"})
    shutil.rmtree(folder / "en")
    found = problems(folder)
    assert any("notes.txt" in line for line in found)
    assert any("messages.po:1: The file is missing" in line for line in found)


def test_without_a_key_no_notice_is_published(tree: Tree) -> None:
    """Signed notices are rejected while site.toml names no key."""
    assert "key is not known" in problems(tree({"mirrors.txt": MIRRORS}, ""))[0]


@pytest.mark.parametrize(
    ("path", "body", "last"),
    [
        ("canary.txt", CANARY, datetime(2027, 2, 22, 23, 59, 59, tzinfo=UTC)),
        (".well-known/security.txt", SECURITY, datetime(2027, 6, 29, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_notice_that_expired_before_the_release_is_rejected(
    tree: Tree, path: str, body: bytes, last: datetime
) -> None:
    """Expiry is measured at the release time, not at the time of the build."""
    folder = tree({path: body})
    assert path in built(folder, last).files
    (found,) = problems(folder, last + timedelta(seconds=1))
    assert found.startswith(f"translations/files/{path}:1: It was valid until ")


@pytest.mark.parametrize(
    ("mirrors", "keys", "expected"),
    [
        (
            make_mirrors(KEY, TOMORROW + timedelta(days=1), ("https://cccr.example",)),
            key_change(NEXT, KEY) + key_change(NEXT, OTHER)[len(one_key(NEXT, 0).to_file()) :],
            [
                "keys.txt:1: keys.txt: the policy of number 1 does not follow policy 1",
                "mirrors.txt:1: It is dated",
            ],
        ),
        (
            make_mirrors(KEY, date(2024, 1, 1), ("https://cccr.example",)),
            key_change(KEY, NEXT),
            [
                "keys.txt:1: keys.txt leads to",
                "mirrors.txt:1: It was valid until 2025-01-01",
            ],
        ),
    ],
)
def test_notices_with_impossible_dates_or_changes_of_keys_are_rejected(
    tree: Tree, mirrors: bytes, keys: bytes, expected: list[str]
) -> None:
    """Dated later than tomorrow by the clock, expired, two successors, or another newest key."""
    found = problems(tree({"mirrors.txt": mirrors, "keys.txt": keys}))
    assert len(found) == len(expected)
    for problem, pattern in zip(found, expected, strict=True):
        assert re.match(f"translations/files/{pattern}", problem), problem


def test_the_former_site_in_a_notice_is_rejected(tree: Tree) -> None:
    """The former site's address must be defanged in notices too."""
    folder = tree({})
    defanged = next(
        line for line in (folder / "site.toml").read_text().splitlines() if "hxxp://" in line
    )
    host = defanged.partition("hxxp://www")[2].strip('"/').replace("[.]", ".").lstrip(".")
    body = make_canary(KEY, DAY, DAY + timedelta(days=9), (f"See {host}",), ("y",))
    (folder / "files").mkdir()
    (folder / "files" / "canary.txt").write_bytes(body)
    assert any("former site" in line for line in problems(folder))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "sequence = 1",
            "sequence = 0",
            (
                "translations/site.toml:4: “sequence” must be a whole number from 1 to "
                "1,000,000,000, higher than in the last release."
            ),
        ),
        (
            f'public_key = "{KEY.public}"',
            'public_key = "RW"',
            (
                "translations/site.toml:12: “public_key” must be the line of the public key file "
                'that starts with RW, or "".'
            ),
        ),
    ],
)
def test_a_wrong_fact_is_not_reported_as_wrong_notices(
    tree: Tree, old: str, new: str, problem: str
) -> None:
    """Notices are verified with the key, whatever else is wrong in the facts."""
    folder = tree(
        {
            "mirrors.txt": MIRRORS,
            "canary.txt": CANARY,
            "keys.txt": key_change(NEXT, KEY),
            ".well-known/security.txt": SECURITY,
        }
    )
    replace_once("site.toml", old, new)(folder)
    assert problems(folder) == [problem]


def test_a_wrong_notice_is_reported_with_a_wrong_fact(tree: Tree) -> None:
    """Two causes are two problems in one run."""
    folder = tree({"canary.txt": CANARY.replace(b"x", b"z")})
    replace_once("site.toml", "sequence = 1", "sequence = 0")(folder)
    found = [problem.split(":")[0] for problem in problems(folder)]
    assert found == ["translations/files/canary.txt", "translations/site.toml"]


ONION = f"http://{'b' * 55}d.onion"
COPY = "https://copy.example"


def official(*urls: str) -> Callable[[Path], object]:
    """Return a function that makes these the site's own addresses."""
    onions = [url.removeprefix("http://") for url in urls if url.startswith("http://")]
    clearnet = next((url for url in urls if url.startswith("https://")), "")

    def change(folder: Path) -> None:
        replace_once("site.toml", 'clearnet = ""', f'clearnet = "{clearnet}"')(folder)
        replace_once("site.toml", "onions = []", f"onions = {onions}".replace("'", '"'))(folder)

    return change


def addresses_page(release: Release, slug: str) -> Element:
    """Return the main part of the page of addresses."""
    return pages(release)[f"{slug}/addresses.html"].one("main")


def test_mirrors_and_the_page_list_the_same_addresses(tree: Tree) -> None:
    """The page shows every address of mirrors.txt, its own ones first, others as mirrors."""
    urls = (ONION, COPY, "https://cccr.example")
    folder = tree({"mirrors.txt": make_mirrors(KEY, DAY, urls)})
    official(ONION, "https://cccr.example")(folder)
    release = built(folder)
    for slug, label in (("en", "Mirrors run by others"), ("zh-hant", "由別人管理的鏡像")):
        listed = addresses_page(release, slug).all("dl")[0]
        parts = [part for part in listed.children if isinstance(part, Element)]
        at = next(i for i, part in enumerate(parts) if label in part.text)
        shown = [
            [code.text for part in some for code in part.all("code") if "http" in code.text]
            for some in (parts[:at], parts[at:])
        ]
        assert shown == [[f"{ONION}/", "https://cccr.example/"], [f"{COPY}/"]]


def test_mirrors_must_have_every_official_address(tree: Tree) -> None:
    """An address of site.toml that mirrors.txt lacks is a problem."""
    folder = tree({"mirrors.txt": make_mirrors(KEY, DAY, (ONION, COPY))})
    official(ONION, "https://cccr.example")(folder)
    assert problems(folder) == [
        (
            "translations/files/mirrors.txt:1: https://cccr.example is in site.toml, but not here: "
            "make it again with every address."
        )
    ]


def test_notices_are_linked_and_explained_if_they_exist(tree: Tree) -> None:
    """The page of addresses links each notice of the release, and no other; copies name them."""
    notices = {
        "mirrors.txt": MIRRORS,
        "canary.txt": CANARY,
        "keys.txt": key_change(NEXT, KEY),
        ".well-known/security.txt": SECURITY,
    }
    release = built(tree(notices))
    for language in LANGUAGES:
        _, listed = addresses_page(release, language.slug).all("dl")
        assert [link.attributes["href"] for link in listed.all("a")] == [f"../{p}" for p in notices]
        assert [link.text for link in listed.all("a")] == [*notices]
        assert all(part.text for part in listed.all("dd"))
        copy = release.files[single_url(language)].body
        assert b"canary.txt" in copy
        assert b"canary.txt</a>" not in copy


def test_without_notices_none_is_mentioned(tree: Tree) -> None:
    """The page names no file that the release lacks."""
    release = built(tree({}))
    main = addresses_page(release, "en")
    assert len(main.all("dl")) == 1
    assert "mirrors.txt" not in main.text
    assert ".asc" not in pages(release)["en/verify.html"].one("main").one("dl").text


@pytest.mark.parametrize("contact", ["letters@cccr.example", "https://cccr.example/letters"])
def test_the_contact_is_shown(tree: Tree, contact: str) -> None:
    """It is text and no link, which would open a program that sends a name."""
    folder = tree({})
    replace_once("site.toml", 'contact = ""', f'contact = "{contact}"')(folder)
    main = addresses_page(built(folder), "en")
    assert contact in [code.text for code in main.all("code")]
    assert not any(contact in link.attributes["href"] for link in main.all("a"))


@pytest.mark.parametrize(
    "contact", ["letters", "a@b@cccr.example", "http://cccr.example/", "mailto:a@cccr.example"]
)
def test_a_contact_that_is_no_address_is_rejected(tree: Tree, contact: str) -> None:
    """A contact is a mail address, an https address, or nothing."""
    folder = tree({})
    replace_once("site.toml", 'contact = ""', f'contact = "{contact}"')(folder)
    (problem,) = problems(folder)
    assert problem.endswith(' “contact” must be a mail address, an https address, or "" for none.')


def test_an_openpgp_key_is_shown_with_its_fingerprint(tree: Tree) -> None:
    """The page of addresses shows pgp.txt; the page of verification its signature, too."""
    release = built(tree({"pgp.txt": OPENPGP_KEY}))
    main = addresses_page(release, "en")
    assert "D9EF 5333 0FFE F310 56C2 3561 98A4 37EB 2FB7 6171" in main.text
    hrefs = [link.attributes["href"] for link in pages(release)["en/verify.html"].all("a")]
    assert {"../pgp.txt", "../SHA256SUMS.asc"} <= {*hrefs}
