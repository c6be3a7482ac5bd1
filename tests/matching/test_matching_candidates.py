"""Columns of candidates: what their similarity is of, each pair once, the most similar of each; by brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memaudit.matching.candidates import Basis, Candidates, closest_of_either

Row = tuple[int, int, int, Basis]  # query, reference, quarters of similarity, basis
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.sampled_from(list(Basis))), max_size=30
)
NAMES = {Basis.WHOLE: "whole", Basis.VIEW: "mirrored", Basis.TILE: "tile 1,2", Basis.DETAIL: "detail 3,4"}


def made(rows: list[Row]) -> Candidates:
    query, reference, score, basis = np.array(rows, np.int64).reshape(-1, 4).T
    window = np.array([NAMES[row[3]] for row in rows], dtype=object)
    return Candidates(query, reference, (score / 4).astype(np.float32), basis.astype(np.int8), window)


def listed(candidates: Candidates) -> list[tuple[int, int, int, int]]:
    columns = (candidates.query, candidates.reference, candidates.similarity * 4, candidates.basis)
    return [tuple(int(value) for value in row) for row in zip(*columns, strict=True)]


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row[0], -row[2], row[1], row[3] != Basis.WHOLE))


@given(ROWS, st.integers(1, 3))
def test_each_pair_once_and_the_closest_of_each_query(rows: list[Row], most: int) -> None:
    """By what is most similar of a pair, the whole before its parts; ties by the reference. What is equally similar is
    one picture."""
    once: dict[tuple[int, int], Row] = {}
    for row in in_order(rows):
        once.setdefault(row[:2], row)
    assert listed(made(rows).once()) == list(once.values())
    pictures = [
        [row for row in once.values() if row[0] == query and row[2] == score]
        for query in range(5)
        for score in sorted({row[2] for row in once.values() if row[0] == query}, reverse=True)[:most]
    ]
    assert listed(made(rows).closest(most)) == [row for picture in pictures for row in picture[:most]]
    every = made(rows).pictures()
    assert set(listed(every)) <= set(once.values())
    assert sorted((row[0], row[2]) for row in listed(every)) == sorted({(row[0], row[2]) for row in once.values()})


@given(ROWS, st.integers(1, 3))
def test_the_closest_of_each_pair(rows: list[Row], most: int) -> None:
    pairs = sorted({row[:2] for row in rows})
    wanted = [sorted(-row[2] for row in rows if row[:2] == pair)[:most] for pair in pairs]
    found = listed(made(rows).closest_of_pair(most))
    assert [[-row[2] for row in found if row[:2] == pair] for pair in pairs] == wanted
    assert [row[:2] for row in found] == sorted(row[:2] for row in found)


@given(ROWS, ROWS)
def test_places_of_pairs_in_others(rows: list[Row], others: list[Row]) -> None:
    among = made(others).once()
    known = list(zip(among.query.tolist(), among.reference.tolist(), strict=True))
    wanted = [known.index(row[:2]) if row[:2] in known else -1 for row in rows]
    assert made(rows).places_in(among).tolist() == wanted


def test_what_a_similarity_is_of() -> None:
    """Names as reports have them; of a detail a similarity decides nothing."""
    candidates = made([(0, i, 1, basis) for i, basis in enumerate(Basis)])
    assert candidates.views.tolist() == ["whole", "mirrored", "reference tile 1,2", "reference detail 3,4"]
    assert candidates.decides.tolist() == [True, True, True, False]


def test_none() -> None:
    """Columns keep their types where there is nothing."""
    none = Candidates.joined([])
    assert [column.dtype for column in none] == [column.dtype for column in made([(0, 0, 1, Basis.WHOLE)])]
    assert none.views.tolist() == []
    assert listed(none.closest(3)) == listed(none.once()) == []


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 3)), max_size=20), st.integers(1, 3))
def test_the_closest_of_either_are_those_of_brute_force(found: list[tuple[int, int, int]], most: int) -> None:
    """A pair stays if either of its images has fewer than `most` better ones; ties by the number of the partner."""
    edges = {(min(a, b), max(a, b)): score / 4 for a, b, score in found if a != b}
    left, right = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    similarity = np.array(list(edges.values()), np.float32)
    wanted = set()
    for image in range(8):
        own = sorted((-score, sum(edge) - image, edge) for edge, score in edges.items() if image in edge)
        wanted |= {edge for _, _, edge in own[:most]}
    chosen = closest_of_either(left, right, similarity, most)
    assert {edge for edge, stays in zip(edges, chosen, strict=True) if stays} == wanted
