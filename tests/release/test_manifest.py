"""``SHA256SUMS`` is read so that it can mean one thing only (``release/manifest.py``)."""

from __future__ import annotations

import pytest

from cccr_web.errors import ReleaseError
from cccr_web.release import manifest
from cccr_web.release.manifest import digest, format_manifest, is_safe_path, parse_manifest

A = digest(b"a")
B = digest(b"b")


def test_a_manifest_is_parsed_as_it_was_formatted() -> None:
    """A manifest is sorted by path."""
    hashes = {"en/b.html": B, "a.html": A, ".well-known/security.txt": A}
    text = format_manifest(hashes)
    assert text.decode() == f"{A}  .well-known/security.txt\n{A}  a.html\n{B}  en/b.html\n"
    assert parse_manifest(text) == hashes


BROKEN: dict[str, tuple[str, str]] = {
    "empty": ("", "is empty or cut off"),
    "no final newline": (f"{A}  a", "is empty or cut off"),
    "empty line": (f"{A}  a\n\n", "line 2, is not “SHA-256, two spaces, path”"),
    "CRLF": (f"{A}  a\r\n{B}  b\r\n", "line 1, is not"),
    "CR in a path": (f"{A}  a\rb\n", "line 1, is not"),
    "upper-case hexadecimal digits": (f"{A.upper()}  a\n", "line 1, is not"),
    "short sum": (f"{A[1:]}  a\n", "line 1, is not"),
    "long sum": (f"{A}0  a\n", "line 1, is not"),
    "one space": (f"{A} a\n", "line 1, is not"),
    "binary mark": (f"{A} *a\n", "line 1, is not"),
    "tab": (f"{A}\ta\n", "line 1, is not"),
    "escaped line of sha256sum": (f"\\{A}  a\\nb\n", "line 1, is not"),
    "comment": (f"# x\n{A}  a\n", "line 1, is not"),
    "BOM": (f"\ufeff{A}  a\n", "line 1, is not"),
    "no path": (f"{A}  \n", "line 1, is not"),
    "long path": (f"{A}  {'a' * 201}\n", "line 1, is not"),
    "three spaces": (f"{A}   a\n", "' a' is not a path inside a release"),
    "absolute": (f"{A}  /etc/passwd\n", "'/etc/passwd' is not a path inside a release"),
    "above": (f"{A}  ../a\n", "'../a' is not a path inside a release"),
    "above in the middle": (f"{A}  en/../../a\n", "is not a path inside a release"),
    "here": (f"{A}  ./a\n", "is not a path inside a release"),
    "two slashes": (f"{A}  en//a\n", "is not a path inside a release"),
    "final slash": (f"{A}  en/\n", "is not a path inside a release"),
    "hidden": (f"{A}  .htaccess\n", "is not a path inside a release"),
    "hidden below": (f"{A}  en/.git\n", "is not a path inside a release"),
    "only .well-known": (f"{A}  .well-known\n", "is not a path inside a release"),
    "hidden in .well-known": (f"{A}  .well-known/.a\n", "is not a path inside a release"),
    "backslash": (f"{A}  en\\a\n", "is not a path inside a release"),
    "drive": (f"{A}  C:a\n", "is not a path inside a release"),
    "NUL": (f"{A}  a\0b\n", "is not a path inside a release"),
    "not ASCII": (f"{A}  公.html\n", "is not a path inside a release"),
    "option": (f"{A}  -rf\n", "is not a path inside a release"),
    "named twice": (f"{A}  a\n{A}  a\n", "line 2: 'a' is named twice or out of order after 'a'"),
    "named twice with two sums": (f"{A}  a\n{B}  a\n", "line 2: 'a' is named twice"),
    "unsorted": (f"{A}  b\n{B}  a\n", "line 2: 'a' is named twice or out of order after 'b'"),
    "same but for case": (f"{A}  A.html\n{B}  a.html\n", "'A.html' and 'a.html', the same but"),
    "file and folder": (f"{A}  en\n{B}  en/a\n", "names 'en' as a file and as a folder"),
    "file and folder but for case": (f"{A}  EN\n{B}  en/a\n", "names 'EN' as a file and as a"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_an_ambiguous_manifest_is_rejected(text: str, message: str) -> None:
    """A manifest that a program could read differently is rejected, with the line number."""
    with pytest.raises(ReleaseError) as caught:
        parse_manifest(text.encode())
    assert str(caught.value).startswith("SHA256SUMS")
    assert message in str(caught.value)


def test_a_manifest_that_is_too_long_is_rejected() -> None:
    """A manifest longer than that of any site is rejected before it is parsed."""
    with pytest.raises(ReleaseError, match=r"has 16,777,217 bytes, more than 16,777,216"):
        parse_manifest(b"\n" * (manifest.MAX_BYTES + 1))


def test_a_release_of_too_many_files_is_not_made() -> None:
    """No manifest is made that a server would reject."""
    hashes = {f"{number}.html": "0" * 64 for number in range(manifest.MAX_FILES + 1)}
    with pytest.raises(ReleaseError, match=r"lists 60,001 files, more than 60,000\.$"):
        format_manifest(hashes)
    hashes.popitem()
    assert len(parse_manifest(format_manifest(hashes))) == 60_000


@pytest.mark.parametrize("path", ["../a", "/a", "公.html", "a b", "a\n", ""])
def test_an_unsafe_path_is_never_listed(path: str) -> None:
    """A path that is not the same on every system is rejected."""
    assert not is_safe_path(path)
    with pytest.raises(ReleaseError, match="cannot be the name of a file in a release"):
        format_manifest({path: A})
