"""What several people come to about a pair, in a word."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.reviews import Drawn, Review, Verdict, json_lines, merged, pair_of, read_reviews, word_of
from memaudit.reviews.drawing import sample_of

COPY, OTHER, ACCEPTED, UNSURE, BACK = Verdict
AB = pair_of("a" * 64, "b" * 64)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((COPY,), COPY),
        ((ACCEPTED,), ACCEPTED),
        ((ACCEPTED, ACCEPTED, UNSURE), ACCEPTED),
        ((ACCEPTED, COPY), COPY),
        ((OTHER, UNSURE), OTHER),
        ((UNSURE, UNSURE), UNSURE),
        ((OTHER, COPY), None),
        ((OTHER, ACCEPTED), None),
    ],
)
def test_the_word_of_several(words: tuple[Verdict, ...], expected: Verdict | None) -> None:
    for order in permutations(words):
        assert word_of([Review(AB, each, who) for each, who in zip(order, "XYZ", strict=False)]) is expected


def test_a_name_in_other_letters_is_the_same_person() -> None:
    """What it took back, it no longer says."""
    found = merged([Review(AB, OTHER, "Ann"), Review(AB, BACK, "ann")])
    assert (found.verdicts, found.said) == ({}, {})
    assert merged([Review(AB, OTHER, "Ann"), Review(AB, OTHER, "ANN")]).counts.people == 1


@given(
    st.lists(
        st.builds(
            Review,
            st.sampled_from([AB, pair_of("a" * 64, "c" * 64)]),
            st.sampled_from(Verdict),
            st.sampled_from(["Ann", 'B"o,b', "Ü — x"]),
            st.none(),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=5).map(str.strip),
            st.sampled_from([None, date(2027, 1, 31)]),
            st.booleans(),
            drawn=st.none(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, reviews: list[Review]) -> None:
    path: Path = tmp_path_factory.mktemp("r") / "reviews.jsonl"
    path.write_text(json_lines(reviews), encoding="utf-8")
    found, expected = read_reviews([path]), merged(reviews)
    assert (found.faces, found.counts) == (expected.faces, expected.counts)
    assert found.said == expected.said


def test_a_sample_is_drawn_by_its_seed_and_names_what_it_is_of() -> None:
    pairs = [pair_of(f"{n:064x}", "f" * 64) for n in range(50)]
    first, again, other = (sample_of(pairs * 2, 10, "frame", seed) for seed in (1, 1, 2))
    assert first == again != other
    assert {each.drawn for each in first} == {Drawn("frame", "findings", 50.0)}
    assert len({each.pair for each in first}) == 10
