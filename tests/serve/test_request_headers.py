"""Codings, entity tags and ranges (``serve/request_headers.py``)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cccr_web.serve.request_headers import (
    Precondition,
    accepted_coding,
    content_range,
    evaluate,
    qualities,
    read_range,
)

BOTH = ("br", "gzip")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("gzip ; q=0.5 , br ; q=0.9", "br"),
        ("br;q=0, gzip;q=0.001", "gzip"),
        ("gzip;q=0", "identity"),
        ("deflate", "identity"),
        ("*", "br"),
        ("*;q=0", "identity"),
        ("br;q=0, *", "gzip"),
        ("identity;q=0", "identity"),
        ("identity;q=0, gzip", "gzip"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("*;q=0.1, identity", "identity"),
        ("gzip;q=2", "identity"),
        ("gzip;q=0.0001", "identity"),
        ("gzip;q=x", "identity"),
        ("gzip;level=9", "identity"),
        ("gzip gzip", "identity"),
        (",,;,gzip", "gzip"),
        ("gzip," + "x," * 500, "gzip"),
    ],
)
def test_the_best_accepted_coding_is_chosen(accepted: str | None, coding: str) -> None:
    """The best coding that both sides support is chosen (RFC 9110, 12.5.3)."""
    assert accepted_coding(accepted, BOTH) == coding


def test_a_long_header_is_read_up_to_a_limit() -> None:
    """A header has room for thousands of values; the first ones count, at little cost."""
    assert qualities("A;q=0.5, b,?,c;q=2," + "x," * 5000) == [
        ("a", 0.5),
        ("b", 1.0),
        *[("x", 1.0)] * 60,
    ]


@given(st.text(max_size=200))
def test_any_accept_encoding_yields_a_known_coding(accepted: str) -> None:
    """Any Accept-Encoding yields one of the known codings."""
    assert accepted_coding(accepted, BOTH) in {*BOTH, "identity"}
    assert accepted_coding(accepted, ()) == "identity"


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "outcome"),
    [
        (None, None, Precondition.PASSED),
        (None, '"a"', Precondition.NOT_MODIFIED),
        (None, 'W/"a"', Precondition.NOT_MODIFIED),
        (None, '"b", "a"', Precondition.NOT_MODIFIED),
        (None, " * ", Precondition.NOT_MODIFIED),
        (None, '"b"', Precondition.PASSED),
        (None, '"a-gzip"', Precondition.PASSED),
        (None, "a", Precondition.PASSED),
        (None, '"*"', Precondition.PASSED),
        ('"a"', None, Precondition.PASSED),
        ("*", None, Precondition.PASSED),
        ('W/"a"', None, Precondition.FAILED),
        ('"b"', None, Precondition.FAILED),
        ('"b"', '"a"', Precondition.FAILED),
        ('"a"', '"a"', Precondition.NOT_MODIFIED),
    ],
)
def test_preconditions_are_evaluated_in_order(
    if_match: str | None, if_none_match: str | None, outcome: Precondition
) -> None:
    """If-Match goes first and compares strongly, If-None-Match weakly (RFC 9110, 13.2.2)."""
    assert evaluate(if_match, if_none_match, '"a"') is outcome


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-99", range(100)),
        ("bytes=0-100", range(100)),
        ("bytes=90-", range(90, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-1000", range(100)),
        ("BYTES=1-2", range(1, 3)),
        ("bytes=100-", range(100, 100)),
        ("bytes=-0", range(100, 100)),
        ("bytes=2-1", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("bytes=a-b", None),
        ("bytes 0-1", None),
        ("lines=0-1", None),
        ("bytes=" + "9" * 100 + "-", None),
        ("", None),
        (None, None),
    ],
)
def test_a_single_byte_range_is_parsed(header: str | None, part: range | None) -> None:
    """A single byte range is supported; anything else gets the whole file (RFC 9110, 14.2)."""
    found = read_range(header, None, '"a"', 100)
    assert (found is None) == (part is None)
    assert list(found or ()) == list(part or ())


def test_if_range_compares_strongly() -> None:
    """If-Range with a weak tag or a date never matches (RFC 9110, 13.1.5)."""
    for tag, given_ in (
        ('"a"', True),
        ('W/"a"', False),
        ('"b"', False),
        ("Sat, 1 Jan 2000", False),
    ):
        assert (read_range("bytes=0-1", tag, '"a"', 100) is not None) == given_


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 200))
def test_a_range_lies_inside_the_file(first: int, last: int, length: int) -> None:
    """No range reaches beyond the file, and Content-Range states it."""
    part = read_range(f"bytes={first}-{last}", None, '"a"', length)
    if part:
        assert 0 <= part.start < part.stop <= length
        assert content_range(part, length) == f"bytes {part[0]}-{part[-1]}/{length}"
