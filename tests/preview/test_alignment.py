"""Paragraphs of two translations find each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cccr_web.preview.alignment import align


def block(size: int, tag: str = "p") -> str:
    """Return a block of ``size`` characters."""
    return f"<{tag}>{'x' * size}</{tag}>"


def test_equal_texts_are_paired_in_order() -> None:
    """Without a gap."""
    blocks = [block(30), block(10, "h2"), block(80)]
    assert align(blocks, blocks) == [(0, 0), (1, 1), (2, 2)]


def test_a_missing_paragraph_is_a_gap_at_its_place() -> None:
    """The lengths of its neighbours show which one is missing."""
    ours = [block(300), block(50), block(200), block(90)]
    theirs = [block(100), block(67), block(30)]
    assert align(ours, theirs) == [(0, 0), (1, None), (2, 1), (3, 2)]
    assert align(theirs, ours) == [(0, 0), (None, 1), (1, 2), (2, 3)]


def test_blocks_of_other_kinds_are_never_a_pair() -> None:
    """A heading is not a translation of a paragraph, however long."""
    assert set(align([block(9, "h2")], [block(9)])) == {(0, None), (None, 0)}


def test_an_empty_text_is_all_gaps() -> None:
    """On either side, or on both."""
    assert align([block(5)], []) == [(0, None)]
    assert align([], [block(5)]) == [(None, 0)]
    assert align([], []) == []


SIZES = st.lists(st.tuples(st.integers(0, 90), st.sampled_from(["p", "h2", "ul"])), max_size=12)


@given(SIZES, SIZES)
def test_every_block_is_shown_once_and_in_order(
    ours: list[tuple[int, str]], theirs: list[tuple[int, str]]
) -> None:
    """Whatever the texts are."""
    pairs = align([block(*one) for one in ours], [block(*one) for one in theirs])
    assert [i for i, _ in pairs if i is not None] == [*range(len(ours))]
    assert [j for _, j in pairs if j is not None] == [*range(len(theirs))]
    assert (None, None) not in pairs
