"""What can be done to the files of a release."""

from __future__ import annotations

import io
import os
import socket
import zipfile
from functools import partial
from pathlib import Path

from support.attacks.target import (
    CHANGES,
    KINDS,
    PAGE,
    ZIP_LIMIT,
    AttackTarget,
    attack,
    simple,
)
from support.signed import (
    content,
    put,
    signed_release,
)

# A file is not the one that was listed: each change for each kind of file.

for _kind in KINDS:
    for _way, _change in CHANGES.items():
        simple(
            f"{_kind} {_way}",
            f"{_kind} is not the file that SHA256SUMS lists.",
            partial(AttackTarget.change, path=_kind, change=_change),
        )
    simple(
        f"{_kind} swapped",
        f"{_kind} is not the file that SHA256SUMS lists. It is en/who-we-are.html.",
        partial(AttackTarget.change, path=_kind, change=lambda _: content(2)["en/who-we-are.html"]),
    )
    simple(
        f"{_kind} missing",
        f"{_kind} cannot be read: No such file or directory.",
        partial(AttackTarget.remove, path=_kind),
    )
simple(
    "a page of the last release put back",
    f"{PAGE} is not the file that SHA256SUMS lists.",
    lambda target: (target / PAGE).write_bytes(content(1)[PAGE]),
)
# The ZIP has the lengths of the other files, and nothing has its own.
with zipfile.ZipFile(io.BytesIO(signed_release(2).files["cccr-web.zip"].body)) as _packed:
    _LONGEST = max(entry.file_size for entry in _packed.infolist())
for _path, _limit in ((PAGE, _LONGEST), ("cccr-web.zip", ZIP_LIMIT)):
    simple(
        f"{_path} too long",
        f"{_path} has more than {_limit:,} bytes.",
        partial(AttackTarget.lengthen, path=_path, length=_limit + 1),
    )


# Something is there that is not listed.


def add(name: str, as_shown: str | None = None) -> None:
    """A file with this name is added."""
    simple(
        f"{as_shown or name} added",
        f"{as_shown or name} is not listed in SHA256SUMS.",
        lambda target: (target / name).write_bytes(b"<script>"),
    )


add("en/new.html")
add(".htaccess")
add("en/Index.html")
add("en\\index.html", ascii("en\\index.html").replace("\\\\", "\\").strip("'"))
add("en/index.html ")
add("en/index.html\x1b[2J", r"'en/index.html\x1b[2J'")
add("en/caf\u00e9.html", r"'en/caf\xe9.html'")
add("en/cafe\u0301.html", r"'en/cafe\u0301.html'")
add("en/ind\u0435x.html", r"'en/ind\u0435x.html'")
add(os.fsdecode(b"en/\xff.html"), r"'en/\udcff.html'")
add("SHA256SUMS.sig")
simple(
    "an empty folder added",
    "fr is not listed in SHA256SUMS.",
    lambda target: (target / "fr").mkdir(),
)
simple(
    "a hidden folder added",
    ".git is not listed in SHA256SUMS.",
    lambda target: put({".git/config": b"[core]"}, target.folder),
)
simple(
    "a link added",
    "en/link.html is not listed in SHA256SUMS.",
    lambda target: (target / "en/link.html").symlink_to("index.html"),
)
simple(
    "a named pipe added",
    "en/pipe is not listed in SHA256SUMS.",
    lambda target: os.mkfifo(target / "en/pipe"),
)


# A file or folder is replaced by something else.


@attack(f"{PAGE} cannot be read: it is a link.")
def a_link_to_the_same_bytes(target: AttackTarget) -> None:
    """A link to the same bytes."""
    (target / PAGE).rename(target.folder.parent / "index.html")
    (target / PAGE).symlink_to(target.folder.parent / "index.html")


@attack("en/cccr-en.epub cannot be read: Not a directory.")
def a_folder_that_is_a_link(target: AttackTarget) -> None:
    """A folder that is a link."""
    (target / "en").rename(target.folder.parent / "en")
    (target / "en").symlink_to(target.folder.parent / "en")


@attack("en/cccr-en.epub cannot be read: Not a directory.")
def a_file_for_a_folder(target: AttackTarget) -> None:
    """A file for a folder."""
    (target / "en").rename(target.folder.parent / "en")
    (target / "en").write_bytes(b"")


@attack(f"{PAGE} is not a regular file.")
def a_folder_for_a_file(target: AttackTarget) -> None:
    """A folder for a file."""
    (target / PAGE).unlink()
    (target / PAGE).mkdir()


@attack(f"{PAGE} is not a regular file.")
def a_named_pipe_for_a_file(target: AttackTarget) -> None:
    """A named pipe for a file."""
    (target / PAGE).unlink()
    os.mkfifo(target / PAGE)


@attack(f"{PAGE} cannot be read: No such device or address.")
def a_socket_for_a_file(target: AttackTarget) -> None:
    """A socket for a file."""
    (target / PAGE).unlink()
    here = Path.cwd()
    os.chdir(target / "en")  # the whole path is too long for a socket's
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("index.html")
    finally:
        os.chdir(here)


@attack("SHA256SUMS cannot be read: it is a link.")
def the_list_a_link(target: AttackTarget) -> None:
    """The list a link."""
    target.sums.rename(target.folder.parent / "sums")
    target.sums.symlink_to(target.folder.parent / "sums")


@attack("SHA256SUMS.minisig cannot be read: it is a link.")
def the_signature_a_link(target: AttackTarget) -> None:
    """The signature a link."""
    (target / "SHA256SUMS.minisig").rename(target.folder.parent / "minisig")
    (target / "SHA256SUMS.minisig").symlink_to(target.folder.parent / "minisig")
