"""Filters: a class of images by labels, in rounds; and what becomes of a store by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from memaudit.api.notebook import card
from memaudit.api.page_choices import AS_IT_IS, PageChoices, how_to_show
from memaudit.api.places import AnyStore, Files, files_of, folder_of, store_at
from memaudit.api.runs import FilterRun, Place
from memaudit.errors import UsageError
from memaudit.filters.apply import logit_at, require_encoders, require_unscored
from memaudit.filters.filter_file import LABELS, Filter, is_filter, read_filter, read_next, require_name, write_filter
from memaudit.filters.joined import Joined
from memaudit.filters.labels import answers_of, read_labels, write_labels
from memaudit.filters.learning import TextPlane
from memaudit.filters.needed import Needed
from memaudit.filters.train import Round, TrainOptions, require_possible, train
from memaudit.folders import sole_writer
from memaudit.report.filtering import write_applied
from memaudit.report.label_page import PAGE, write_label_page
from memaudit.report.page import percent, percent_down
from memaudit.report.run_folder import remove_earlier_pictures
from memaudit.store import require_current
from memaudit.types import Progress, silent

Stores = AnyStore | Sequence[AnyStore]
"""A store, or several of the same images by different encoders."""


@dataclass(frozen=True, repr=False)
class FilterRound:
    """What a round of training left in its folder.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> made = ma.train_filter(store, {"0000.png": 1, "0001.png": 0}, out="zero")
    >>> made.conclusive, made.round
    (False, 1)
    """

    folder: Path
    result: Round

    @property
    def filter(self) -> Filter:
        return self.result.filter

    @property
    def round(self) -> int:
        """How often a probe was trained."""
        return self.filter.rounds

    @property
    def conclusive(self) -> bool:
        """Whether the filter has a cut that finds enough, by its lower bound."""
        return self.filter.cut is not None

    @property
    def to_label(self) -> int:
        """Images in next.csv."""
        return len(read_next(self.folder))

    @property
    def headline(self) -> str:
        at, found = self.filter.at_cut, self.filter
        if at is not None and found.estimate is not None:
            sure = percent_down(1 - found.estimate.error)
            return (
                f"The cut finds {percent(at.recall.value)} of {found.name}, with {sure} confidence "
                f"at least {percent_down(at.recall.lower)}; {percent(at.precision.value)} of what is at or "
                f"above it is of the class (at least {percent_down(at.precision.low)})."
            )
        return f"Inconclusive: {'; '.join(self.warnings)}."

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why there is no cut, and what would give one."""
        return () if self.conclusive else tuple(_why_not(self.result))

    def as_dict(self) -> Mapping[str, object]:
        found = self.filter
        return {
            "out": str(self.folder),
            "round": found.rounds,
            "conclusive": self.conclusive,
            "reasons": list(self.warnings),
            "recall_asked": found.recall,
            "precision_asked": found.precision,
            "labels": asdict(found.trained),
            "labels_of_other_images": self.result.unknown,
            "to_label": self.to_label,
            "sample_without_label": self.result.left,
            "cut": found.cut_probability,
            "at_cut": None if found.at_cut is None else asdict(found.at_cut),
            "measured": _estimate(self.result),
            "needed": None if self.result.needed is None else list(self.result.needed.more),
        }

    def __repr__(self) -> str:
        return f"<FilterRound: {self.headline}>"

    def _repr_html_(self) -> str:
        learned = self.filter.trained
        cells = [("labels", f"{learned.positive:,} of the class, {learned.negative:,} not"), ("round", str(self.round))]
        return card("memaudit filter", self.headline, cells)


def train_filter(
    stores: Stores,
    labels: Files | Mapping[str, int | str] = (),
    out: str | Path = "filter",
    *,
    text: str | None = None,
    text_weights: str | Path | None = None,
    recall: float = 0.95,
    precision: float = 0.0,
    count: int = 60,
    sample: int = 200,
    measure: bool = False,
    again: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> FilterRound:
    """Train a probe of a class on labels, measure it by its random sample, and say whom to label next.

    stores: one, or several of the same images by different encoders. labels: tables of image_id and label (1, 0 or
    unsure), or such a mapping; those of earlier rounds are kept in `out`. out: the folder of the filter, which gives
    the class its name.
    text: a prompt, where a store is by open_clip; text_weights: the file of its weights, if that was given. recall:
    what the cut must find, by its lower bound; precision: what share of it must be of the class, by its estimate.
    count: images to label next that teach the most; sample: drawn at random, by which the probe is measured. measure:
    keep the probe, and draw more for its sample; again: train on, whatever is known.

    Raises UsageError for impossible options, InputError for labels from which nothing can be learned.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.train_filter(store, {"0000.png": 1, "0001.png": 0}, out="zero", count=4, sample=0).to_label
    4
    """
    options = TrainOptions(recall, count, sample, measure, again, seed, precision)
    require_possible(options)
    folder = Path(out)
    name = folder.resolve().name
    require_name(name)
    given = answers_of(labels) if isinstance(labels, Mapping) else read_labels(files_of(labels))
    with sole_writer(folder):
        before = read_filter(folder) if is_filter(folder) else None
        joined = _joined(stores, before)
        known = {**(read_labels([folder / LABELS]) if (folder / LABELS).is_file() else {}), **given}
        plane = _plane(joined, text or (before.text if before else ""), text_weights)
        result = train(joined, known, before, name, options, plane, progress)
        require_current(*joined.stores)
        write_labels(folder / LABELS, known)
        write_filter(folder, result.filter, result.images)
        return FilterRound(folder, result)


def apply_filter(
    trained: str | Path | FilterRound,
    stores: Stores,
    out: str | Path | None = None,
    *,
    cut: float | None = None,
    unscored: str | None = None,
    page: PageChoices = AS_IT_IS,
    progress: Progress = silent,
) -> FilterRun:
    """Decide by a filter what becomes of every image: decisions.parquet, keep.txt and drop.txt.

    trained: the filter's folder. stores: of the encoders that it was trained on. cut: a probability of one's own; None:
    the filter's. unscored: keep or drop what could not be scored; None: neither, and the run is inconclusive where
    there is any.

    Raises InputError for a store of another encoder, InconclusiveError where the filter has no cut.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> made = ma.train_filter(store, {"0000.png": 1, "0001.png": 0}, out="zero", sample=0)
    >>> ma.apply_filter(made, store, out="applied", cut=0.5).decisions.columns
    ('image_id', 'decision', 'score', 'reason')
    """
    require_unscored(unscored)
    found = read_filter(folder_of(trained))
    if cut is not None:
        logit_at(found, cut)
    place = Place(out)
    joined = _joined(stores, found)
    require_encoders(found, joined)
    how = how_to_show(page, joined.stores[0])
    with place.running("filter", how.about):
        if how.alter is not None:
            remove_earlier_pictures(place.folder)
        return place.run(FilterRun, write_applied(found, joined, place.folder, cut, unscored, progress, how))


def review_filter(trained: str | Path | FilterRound, out: str | Path | None = None) -> Path:
    """Write a page that shows the images of next.csv and takes labels by key; return its path. It saves a table that
    `train_filter` reads as labels.

    out: the page; None: label.html in the filter's folder. Raises InputError where there is no filter.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> made = ma.train_filter(store, {"0000.png": 1, "0001.png": 0}, out="zero")
    >>> ma.review_filter(made).name
    'label.html'
    """
    folder = folder_of(trained)
    found = read_filter(folder)
    path = Path(out) if out is not None else folder / PAGE
    write_label_page(path, found, read_next(folder))
    return path


def _estimate(result: Round) -> Mapping[str, object] | None:
    found = result.measured.filter.estimate if result.measured else None
    return None if found is None else {**asdict(found), "strata": [each._asdict() for each in found.strata]}


def _why_not(result: Round) -> Iterator[str]:
    found = result.measured.filter if result.measured else None
    if result.left:
        yield f"{result.left:,} of {len(result.filter.sample):,} images of the random sample have no label"
    elif found is None or found.estimate is None:
        yield "no random sample of this probe has labels, so that nothing is known of what it finds"
    else:
        best = max((cut.recall.lower for cut in found.estimate.cuts), default=0.0)
        sure = percent_down(1 - found.estimate.error)
        yield (
            f"no cut is shown to find {found.recall:.0%} of the class{_of(found)}: with {sure} confidence "
            f"the lowest finds at least {percent_down(best)}"
        )
        yield _needed(found, result.needed)


def _of(found: Filter) -> str:
    return f" at a precision of {found.precision:.0%}" if found.precision else ""


def _needed(found: Filter, needed: Needed | None) -> str:
    if needed is None:
        return "by what is known more labels of the sample would not show it: train further"
    least = [*found.probe.probabilities(np.array(found.low)).tolist(), 0.0]
    listed = ", ".join(
        f"{more:,} of the {rows:,} images with a score of {score:.2g} or more"
        if score
        else f"{more:,} of the lowest {rows:,}"
        for more, rows, score in zip(needed.more, found.rows, least, strict=True)
        if more
    )
    return (
        f"about {needed.total:,} more labels of its sample would show it ({listed}), by memaudit filter train --measure"
    )


def _joined(stores: Stores, found: Filter | None) -> Joined:
    """The stores, in the order of the filter's encoders, where they are of them."""
    given = [stores] if isinstance(stores, str | Path) or not isinstance(stores, Sequence) else list(stores)
    if not given:
        raise UsageError("no store was named: expected at least one")
    opened = [store_at(each) for each in given]
    if found is not None:
        place = {encoder.identity: number for number, encoder in enumerate(found.encoders)}
        opened.sort(key=lambda store: place.get(store.encoder.identity, len(place)))
    return Joined(opened)


def _plane(joined: Joined, text: str, weights: str | Path | None) -> TextPlane | None:
    if not text:
        if weights is not None:
            raise UsageError("--text-weights belongs to --text: name a prompt")
        return None
    from memaudit.encoders.clip import embed_text

    able = [number for number, encoder in enumerate(joined.encoders) if encoder.name.startswith("open_clip:")]
    if not able:
        raise UsageError("--text needs a store by open_clip: the encoders of the stores know no text")
    return TextPlane(text, embed_text(joined.encoders[able[0]], text, str(weights or "")), able[0])
