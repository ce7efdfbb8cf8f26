"""The sequence in ``site.toml`` is raised; every other byte stays."""

from __future__ import annotations

import pytest

from cccr_web.errors import CccrError
from cccr_web.publish.sequence import raised


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"sequence = 7\n", b"sequence = 8\n"),
        (b"# sequence = 3\n  sequence=1_000 # the number\nexit = ''\n", None),
        (
            b"\xef\xbb\xbfexit = ''\r\nsequence\t=\t7\r\n",
            b"\xef\xbb\xbfexit = ''\r\nsequence\t=\t8\r\n",
        ),
        (b"sequence = 7", b"sequence = 8"),
    ],
)
def test_only_the_number_changes(before: bytes, after: bytes | None) -> None:
    """Comments, blanks, line ends and a byte order mark stay."""
    wanted = after or b"# sequence = 3\n  sequence=8 # the number\nexit = ''\n"
    assert raised(before, 8) == wanted


@pytest.mark.parametrize(
    "text",
    [
        b'text = """\nsequence = 1\n"""\nsequence = 7\n',
        b'"sequence" = 7\n',
        b"sequence = \n",
        b"\xff",
        b"",
    ],
)
def test_what_cannot_be_raised_safely_is_left_alone(text: bytes) -> None:
    """The error says which line to write."""
    with pytest.raises(CccrError, match="Write “sequence = 8” into it"):
        raised(text, 8)
