"""Searching a model: whether it holds pictures, whatever the prompt."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from memaudit import __version__
from memaudit.api.notebook import grid
from memaudit.api.places import sources_of
from memaudit.embedding.reconcile import bytes_of
from memaudit.encoders.devices import require_device
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.errors import InputError, MemauditError, MissingDependencyError, UsageError
from memaudit.extraction.pipeline_model import PipelineModel
from memaudit.extraction.repeated import one_of_each
from memaudit.extraction.retained import (
    LEAST_HELD_OUT,
    Retained,
    Searched,
    held_out_for,
    is_loss,
    least_together,
    nearest_drawing,
    ranked,
)
from memaudit.extraction.searching import Budget, PictureSearch, squared
from memaudit.files import digest_of, make_folder, read_json, sealed, unsealed, whole_file, write_json
from memaudit.folders import sole_writer
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.image_ref import ImageRef
from memaudit.images.measures import simplicity
from memaudit.images.sources import iter_images
from memaudit.release.diffusing import pipeline_digest
from memaudit.report.searching import write_search_page
from memaudit.types import Coverage, Float32, Progress, silent
from memaudit.words import plural

SCHEMA, STATE = "urn:memaudit:search:1", "urn:memaudit:search-state:1"
_RESULT, _PAGE, _STATE, _DRAWN = "search.json", "search.html", "state.json", "drawn"
_MOST_LISTED = 500
_LARGEST = 1024  # pixels of a side that are kept of a picture


class _Read(NamedTuple):
    """A picture that can be read; it is read again when its turn comes. thumbnail: its small embedding."""

    ref: ImageRef
    sha256: str
    simplicity: float
    thumbnail: Float32


@dataclass(frozen=True, repr=False)
class SearchRun:
    """Listed pictures among held-out ones. pictures: the best predicted first; held_out: what the search reached for
    those; pipeline: the digest of its files; allowed: the share of pictures that may be unreadable. listed_repeats,
    held_out_repeats: near-duplicates of others of them, which count once, and are in neither coverage.

    >>> [name for name in ("headline", "page", "retained", "warnings") if hasattr(ma.SearchRun, name)]
    ['headline', 'page', 'retained', 'warnings']
    """

    pictures: tuple[Retained, ...]
    held_out: tuple[Searched, ...]
    listed_coverage: Coverage
    held_out_coverage: Coverage
    budget: Budget
    pipeline: str
    allowed: float
    folder: Path
    listed_repeats: int = 0
    held_out_repeats: int = 0

    @property
    def retained(self) -> tuple[Retained, ...]:
        """Those with q of 0.05 and less."""
        return tuple(each for each in self.pictures if each.retained)

    @property
    def conclusive(self) -> bool:
        return not self.warnings

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why it decides nothing."""
        found = []
        for coverage, what in ((self.listed_coverage, "listed"), (self.held_out_coverage, "held-out")):
            if not coverage.measured or coverage.falls_short(self.allowed):
                found.append(f"{coverage.measured:,} of {coverage.total:,} {what} pictures can be read and searched")
        listed, held_out = len(self.pictures), len(self.held_out)
        together = least_together(listed, held_out)
        if held_out < LEAST_HELD_OUT:
            found.append(f"no rank among {held_out:,} held-out pictures is rare enough: give {LEAST_HELD_OUT} and more")
        elif together > 1 and not self.retained:
            found.append(
                f"fewer than {together:,} of {listed:,} pictures cannot be found among {held_out:,} held-out ones: "
                f"give {held_out_for(listed):,} held-out ones, or list fewer"
            )
        return tuple(found)

    @property
    def page(self) -> Path:
        return self.folder / _PAGE

    @property
    def headline(self) -> str:
        are = "is" if len(self.retained) == 1 else "are"
        found = f"{len(self.retained):,} of {plural(len(self.pictures), 'picture')} {are} found in the model"
        return found if self.conclusive else f"Inconclusive: {found}"

    @property
    def repeats(self) -> str:
        """How many pictures count once with another of which they are near-duplicates; empty for none."""
        counts = ((self.listed_repeats, "listed"), (self.held_out_repeats, "held-out"))
        told = [f"{count:,} {what} pictures" for count, what in counts if count]
        return f"{' and '.join(told)} are near-duplicates of others, and count once" if told else ""

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {
            "schema": SCHEMA,
            "memaudit": __version__,
            "conclusive": self.conclusive,
            "warnings": list(self.warnings),
            "pipeline": self.pipeline,
            "budget": asdict(self.budget),
            "coverage": self.listed_coverage.as_dict(),
            "held_out_coverage": self.held_out_coverage.as_dict(),
            "listed_repeats": self.listed_repeats,
            "held_out_repeats": self.held_out_repeats,
            "retained": len(self.retained),
            "pictures": [
                {
                    **asdict(each.picture),
                    "rank": each.rank,
                    "p": each.p,
                    "q": each.q,
                    "retained": each.retained,
                    "given_back": each.given_back,
                }
                for each in self.pictures
            ],
            "held_out": [asdict(each) for each in self.held_out],
        }

    def __repr__(self) -> str:
        return f"<SearchRun: {self.headline}>"

    def _repr_html_(self) -> str:
        rows = [(each.picture.image_id, each.rank, f"{each.p:.3g}", f"{each.q:.3g}") for each in self.pictures]
        return grid(("picture", "rank", "p", "q"), rows, title="memaudit extract", headline=self.headline)


def run_search(
    pictures: str | Path | Sequence[str | Path],
    pipeline: str | Path,
    held_out: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    steps: int = 100,
    vectors: int = 8,
    draws: int = 4,
    seed: int = 0,
    device: str = "auto",
    max_unreadable: float = 0.01,
    progress: Progress = silent,
) -> SearchRun:
    """Search a pipeline of diffusers for pictures, whatever the prompt: fit a few vectors in a caption's place to each,
    with the same budget as for held-out pictures, and rank what is reached among these.

    pictures: a short list: the most duplicated, claimed, or formerly found ones. held_out: 19 and more pictures like
    them that the model never saw. steps, vectors, draws, seed: the budget of each picture. out: folder of search.json,
    its page and the drawings; stopped, it goes on there. Raises UsageError for an impossible budget, InputError for a
    folder that holds no such pipeline, MissingDependencyError without diffusers.

    >>> ma.run_search("generations", "no-pipeline", held_out="training", out="search", steps=0)
    Traceback (most recent call last):
    memaudit.errors.UsageError: --steps 0: expected a number from 1 to 10,000
    """
    budget = Budget(steps, vectors, draws, seed)
    _require_possible(budget, device)
    if importlib.util.find_spec("diffusers") is None:
        raise MissingDependencyError('a search in a model needs diffusers: pip install "memaudit-vision[diffusers]"')
    folder = Path(out)
    with sole_writer(folder):
        listed, listed_total = _read_all(pictures, _MOST_LISTED)
        held, held_total = _read_all(held_out)
        _require_apart(listed, held)
        told, others = _distinct(listed), _distinct(held)
        digest = pipeline_digest(Path(pipeline), f"--pipeline {pipeline}")
        search = PictureSearch(PipelineModel(Path(pipeline), device, vectors), budget)
        kept = _Search(search, folder, digest_of([digest, asdict(budget)]))
        reached = list[Searched | None]()
        for number, read in enumerate([*told, *others]):
            progress("searching", number, len(told) + len(others))
            reached.append(kept(read, drawn=number if number < len(told) else None))
        found, known = (list(filter(None, part)) for part in (reached[: len(told)], reached[len(told) :]))
        repeats = len(listed) - len(told), len(held) - len(others)
        run = SearchRun(
            ranked(found, known),
            tuple(known),
            Coverage(len(found), listed_total - repeats[0]),
            Coverage(len(known), held_total - repeats[1]),
            budget,
            digest,
            max_unreadable,
            folder,
            *repeats,
        )
        write_search_page(run.page, run.pictures, run.held_out, run.headline, run.warnings, digest)
        write_json(folder / _RESULT, sealed(run.as_dict()))
    return run


class _Search:
    """Searches of a run, each kept when it is done: whoever is stopped goes on after the last."""

    def __init__(self, search: PictureSearch, folder: Path, basis: str) -> None:
        self._search, self._folder, self._basis = search, folder, basis
        self._done = _state_of(folder / _STATE, basis)

    def __call__(self, read: _Read, drawn: int | None) -> Searched | None:
        """drawn: the number of its drawing, None for none. None: the search came to nothing."""
        name = "" if drawn is None else f"{_DRAWN}/{drawn:04d}.png"
        key = f"{read.sha256} {name}"
        told = self._done.get(key)
        if told is None or (told and name and not (self._folder / name).is_file()):
            told = self._searched(read, name)
            self._done[key] = told
            content = {"schema": STATE, "basis": self._basis, "done": self._done}
            write_json(self._folder / _STATE, sealed(content))
        if not told:
            return None
        loss_before, loss, distance = told
        nearest = distance if name else None
        place = (read.ref.image_id, read.ref.uri, read.sha256)
        return Searched(*place, read.simplicity, loss_before, loss, nearest, name)

    def _searched(self, read: _Read, name: str) -> list[float]:
        """Losses before and after, and the distance of the nearest drawing, 0 of none; empty where a loss is none."""
        picture = _again(read)
        reached = self._search(picture)
        if not (is_loss(reached.loss_before) and is_loss(reached.loss)):
            return []
        if not name:
            return [reached.loss_before, reached.loss, 0.0]
        drawings = self._search.draw(reached.found)
        nearest, distance = nearest_drawing(squared(picture, self._search.side), drawings)
        make_folder(self._folder / _DRAWN)
        data = io.BytesIO()
        drawings[nearest].save(data, "PNG")
        with whole_file(self._folder / name) as file:
            file.write(data.getvalue())
        return [reached.loss_before, reached.loss, distance]


def _state_of(path: Path, basis: str) -> dict[str, list[float]]:
    """What earlier calls with the same pipeline and budget came to."""
    if not path.is_file():
        return {}
    try:
        told = unsealed(path, read_json(path))
    except MemauditError:
        return {}
    return dict(told["done"]) if (told.get("schema"), told.get("basis")) == (STATE, basis) else {}


def _read_all(sources: str | Path | Sequence[str | Path], most: int | None = None) -> tuple[list[_Read], int]:
    """Pictures that can be read, and of how many. Raises UsageError for more than `most`. Memory: their names and small
    embeddings, and one picture."""
    read, total = list[_Read](), 0
    for total, ref in enumerate(iter_images(sources_of(sources), contents=False), start=1):
        if most is not None and total > most:
            raise UsageError(f"more than {most:,} pictures: a search is for a short list, and takes long for each")
        read.extend(_readable(ref))
    return read, total


def _readable(ref: ImageRef) -> Iterator[_Read]:
    try:
        data = bytes_of(ref)
        picture = _picture_in(data)
    except (OSError, InputError, UnreadableImageError):
        return
    small = ThumbnailEncoder()
    thumbnail = small.encode(small.preprocess(picture)[None])[0]
    yield _Read(ref, hashlib.sha256(data).hexdigest(), simplicity(picture), thumbnail)


def _picture_in(data: bytes) -> Image.Image:
    picture = decode(data, side=_LARGEST).image
    picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    return picture


def _again(read: _Read) -> Image.Image:
    """Raises InputError if it is no longer what it was."""
    try:
        data = bytes_of(read.ref)
    except (OSError, InputError):
        data = b""
    if hashlib.sha256(data).hexdigest() != read.sha256:
        raise InputError(f"{read.ref.image_id} was changed or is gone since the search began: search again")
    return _picture_in(data)


def _distinct(read: Sequence[_Read]) -> list[_Read]:
    """One of each family of near-duplicates, in order."""
    return [read[place] for place in np.sort(one_of_each(np.array([each.thumbnail for each in read])))] if read else []


def _require_apart(listed: Sequence[_Read], held_out: Sequence[_Read]) -> None:
    known = {each.sha256: each.ref.image_id for each in listed}
    for each in held_out:
        if each.sha256 in known:
            raise InputError(
                f"{each.ref.image_id} of the held-out pictures is {known[each.sha256]} of the listed ones: a model "
                "that saw the one saw the other"
            )


def _require_possible(budget: Budget, device: str) -> None:
    require_device(device)
    for name, value, most in (
        ("--steps", budget.steps, 10_000),
        ("--vectors", budget.vectors, 77),
        ("--draws", budget.draws, 100),
    ):
        if not 1 <= value <= most:
            raise UsageError(f"{name} {value}: expected a number from 1 to {most:,}")
    if not 0 <= budget.seed < 2**31:
        raise UsageError(f"--seed {budget.seed}: expected 0 to 2,147,483,647")
