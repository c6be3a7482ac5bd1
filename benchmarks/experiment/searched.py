"""Whether pictures of the training set are in a model, whatever the prompt: the search of `memaudit extract --pipeline`
in the small model, for a few that stand there often and a few that stand there once, among held-out ones."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from benchmarks.experiment.found import rate_figure
from benchmarks.experiment.generate import images_of, model_of, pixels_of
from benchmarks.experiment.model import SIDE, Denoiser, device_of, draw_by, shares
from benchmarks.experiment.pictures import EMOJI, PHOTOGRAPH
from benchmarks.record import Figure
from memaudit.extraction.retained import Searched, nearest_drawing, ranked
from memaudit.extraction.searching import Budget, PictureSearch
from memaudit.images.measures import simplicity
from scripts.alterations import read_rgb

LISTED = {64: 3, 1: 3}  # of each kind, by how often they stand there
HELD_OUT = 20  # of each kind: enough that three of a group in the first place are found
BUDGET = Budget(steps=40, vectors=1, draws=4)


class SmallModel:
    """The model of the experiment as a search wants one (`memaudit.extraction.searching.Searchable`): what is fitted
    stands where the mean over a caption's words does."""

    side = SIDE

    def __init__(self, model: Denoiser) -> None:
        self._model, self._device = model.requires_grad_(False), device_of(model)
        self.start: Any = model.words.weight[None, :1].clone()  # of no word

    def seen(self, picture: Image.Image) -> Any:
        return pixels_of(picture)[None].to(self._device)

    def loss(self, seen: Any, told: Any, times: Any, noise: Any) -> Any:
        times, noise = times.to(self._device), noise.to(self._device)
        of_picture, of_noise = shares(times)
        found = self._model.predicted(of_picture * seen + of_noise * noise, times, _each(told, len(times)))
        return (found - (of_picture * noise - of_noise * seen)).square().mean()

    def draw(self, told: Any, seeds: list[int]) -> list[Image.Image]:
        return images_of(draw_by(self._model, _each(told, len(seeds)), seeds, guidance=1.0))


def _each(told: Any, count: int) -> Any:
    return told.mean(dim=1).expand(count, -1)


def figures_of(folder: Path, weights: Path, data: str, device: str, budget: Budget = BUDGET) -> Iterator[Figure]:
    """folder: of the seed."""
    search = PictureSearch(SmallModel(model_of(weights, device)), budget)
    held_out = [_searched(search, path, drawn=False) for path in _some(folder / "held-out", 1, HELD_OUT)]
    for copies, count in LISTED.items():
        listed = [_searched(search, path, drawn=True) for path in _some(folder / "training", copies, count)]
        found = ranked(listed, held_out)
        what = f", of pictures that stand there {copies} times"
        yield Figure(
            data, len(found), f"search: median rank among {len(held_out)} held-out{what}", median(o.rank for o in found)
        )
        yield rate_figure(data, f"search: found in the model{what}", [one.retained for one in found])
        yield rate_figure(data, f"search: given back{what}", [one.given_back for one in found])


def _searched(search: PictureSearch, path: Path, *, drawn: bool) -> Searched:
    picture = read_rgb(path)
    reached = search(picture)
    distance = nearest_drawing(picture, search.draw(reached.found))[1] if drawn else None
    return Searched(path.stem, str(path), "", simplicity(picture), reached.loss_before, reached.loss, distance)


def _some(folder: Path, copies: int, count: int) -> list[Path]:
    """The first of each kind that stand there so often, as they are: of a picture the first row."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["copies"]) == copies]
    return [folder / path for kind in (EMOJI, PHOTOGRAPH) for path in _first(rows, kind, copies)[:count]]


def _first(rows: Sequence[Mapping[str, str]], kind: str, copies: int) -> list[str]:
    return [row["path"] for row in rows if row["kind"] == kind][::copies]
