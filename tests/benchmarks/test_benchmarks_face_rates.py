"""Promises of benchmarks/face_rates.py: what is told of a user's own people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.face_rates import IMPOSTORS, Compared, compared, cut_at, rates_of, read_groups, seen_in
from benchmarks.measure import BenchmarkError
from benchmarks.record import Figure


def faces(people: int, each: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(size=(people, 64)), each, axis=0)
    vectors = own + noise * rng.normal(size=own.shape)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), np.repeat(np.arange(people), each)


def by_measure(found: list[Figure]) -> dict[str, Figure]:
    return {figure.measure.split(" at the lowest")[0]: figure for figure in found}


def test_the_cut_is_the_lowest_that_three_impostor_pairs_reach() -> None:
    impostors = np.array([0.1, 0.9, 0.5, 0.7, 0.6, 0.5], np.float32)
    cut = cut_at(impostors, IMPOSTORS)
    assert (impostors >= np.float32(cut)).sum() == IMPOSTORS
    assert cut == pytest.approx(0.5)
    assert cut_at(impostors[:2], IMPOSTORS) == -1.0


def test_people_who_look_like_themselves_are_found_and_others_less() -> None:
    """All of them, with an interval that has people for its unit; with noise fewer."""
    vectors, person = faces(20, 4, 0.2)
    clear = by_measure([*rates_of(compared(vectors, person), 20, "data")])["true-match rate"]
    assert (clear.median, clear.count) == (1.0, 120)
    assert clear.least is not None
    assert clear.least < 0.9  # of 20 people
    vectors, person = faces(20, 4, 1.6)
    noisy = [*rates_of(compared(vectors, person), 20, "data")]
    assert (by_measure(noisy)["true-match rate"].median or 0) < 0.9
    coarser = [figure.median or 0 for figure in noisy if "false-match rate of" in figure.measure]
    assert coarser == sorted(coarser, reverse=True)
    assert "0.01" in noisy[2].measure


def test_groups_are_told_by_the_same_cut() -> None:
    """One of them whose people all look alike has false matches, and the other none."""
    vectors, person = faces(8, 4, 0.2)
    vectors[16:] = vectors[16] + 0.02 * vectors[16:]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = [*rates_of(compared(vectors, person), 8, "data", {"a": [0, 1, 2, 3], "b": [4, 5, 6, 7]})]
    wrong = {figure.measure.split()[4]: figure for figure in found if figure.measure.startswith("false-match")}
    assert wrong["a,"].median == 0.0
    assert 0 < (wrong["b,"].median or 0) < 0.2
    assert (wrong["a,"].count, wrong["b,"].count) == (96, 96)


def test_one_person_alone_resolves_nothing() -> None:
    pairs = Compared(np.array([0.9], np.float32), np.array([0]), np.array([0]))
    first = next(rates_of(pairs, 1, "data"))
    assert first.count == 1


def test_groups_name_everybody(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("person,group\nada,x\nbob,y\n")
    assert read_groups(file, ["ada", "bob"]) == {"x": [0], "y": [1]}
    with pytest.raises(BenchmarkError, match="no group for 'cem'"):
        read_groups(file, ["ada", "cem"])
    file.write_text("who\nada\n")
    with pytest.raises(BenchmarkError, match="columns person and group"):
        read_groups(file, ["ada"])


def test_a_folder_without_people_is_refused(tmp_path: Path) -> None:
    from pictures import draw

    for name in ("ada", "bob"):
        (tmp_path / name).mkdir()
        draw(1).save(tmp_path / name / "picture.png")
    with pytest.raises(BenchmarkError, match="needs sub-folders of two people"):
        seen_in(tmp_path, "sface")
