"""The look-up: is this picture, or a part of it, in what was trained on?

Every view of an image is embedded and searched; a match names the view that found it. Candidates below the threshold
are decided on pixels, where the files are there. What cannot be decided is said, not left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from memaudit.embedding.options import EmbedOptions
from memaudit.embedding.parts import WithParts
from memaudit.embedding.rows import batched
from memaudit.encoders import Encoder
from memaudit.errors import InconclusiveError
from memaudit.images.addresses import unsigned
from memaudit.images.image_ref import ImageRef
from memaudit.images.views import View
from memaudit.index import Searcher
from memaudit.lookup.queries import IMAGES, Pictures
from memaudit.lookup.results import Answer, LookupMatch, LookupResult
from memaudit.matching.calibrated import Calibrated, cut_of
from memaudit.matching.candidates import Candidates
from memaudit.matching.decide import Decided, decide, decide_redrawn
from memaudit.matching.kinds import ALL, Kind
from memaudit.matching.plan import MatchPlan, RedrawnPlan, plan_matching, plan_redrawn
from memaudit.matching.results import Matches, RedrawnPairs
from memaudit.matching.search import LEAST_CANDIDATES, Scope, Searched, search
from memaudit.matching.windows import Windows
from memaudit.store import Columns, Store
from memaudit.types import Int64, Progress, silent

_COLUMNS = ("image_id", "uri", "sha256")
UNREAD = "files of training images that it may be drawn anew cannot be read"
MOST_LISTED = 1000  # matches of a picture of which all are asked for: each of its candidates is read and compared


@dataclass(frozen=True)
class LookupOptions:
    """threshold: None for the encoder's own; neighbours: matches listed for each picture. match: whether candidates are
    decided on pixels: auto, pixels or none; match_from: their least similarity, None: the encoder's own. calibrated:
    the calibration that threshold and match_from are by, and the cut. all_matches: a picture with many is searched
    again until all are listed, or `MOST_LISTED`, whatever `neighbours` says."""

    views: tuple[View, ...]
    threshold: float | None = None
    neighbours: int = 10
    match: str = "auto"
    match_from: float | None = None
    calibrated: Calibrated | None = None
    all_matches: bool = False

    @property
    def told(self) -> Sequence[str]:
        """Columns of a training image that a match tells: of a thousand of each picture no captions."""
        return _COLUMNS if self.all_matches else (*_COLUMNS, "caption")

    @property
    def listed(self) -> int:
        """Matches of a picture that are listed at most."""
        return MOST_LISTED if self.all_matches else self.neighbours


class _Found(NamedTuple):
    """What a search of some pictures, for `most` candidates of each, came to."""

    searched: Searched
    decided: Decided
    anew: RedrawnPairs
    most: int

    def matches_of(self, picture: int) -> int:
        return int(np.count_nonzero(self.decided.counts & (self.decided.candidates.query == picture)))

    def may_hide_some(self, picture: int) -> bool:
        """Whether matches may have crowded out others: as many candidates as were asked for, and not as many that are
        none as any picture is compared with."""
        candidates = np.count_nonzero(self.decided.candidates.query == picture)
        return bool(candidates >= self.most and self.matches_of(picture) > self.most - LEAST_CANDIDATES)


@dataclass(frozen=True)
class Lookup:
    """What a look-up needs, settled and loaded once: any number of pictures can be asked of it. kinds: of matches that
    count. as_audited: pictures are embedded and held against candidates as the generations of an audit are."""

    references: Searcher
    encoder: Encoder
    options: LookupOptions
    plan: MatchPlan
    redrawn: RedrawnPlan
    windows: Windows
    scope: Scope
    kinds: tuple[Kind, ...] = ALL
    as_audited: bool = False

    @classmethod
    def of(
        cls,
        references: Searcher,
        encoder: Encoder,
        options: LookupOptions,
        kinds: tuple[Kind, ...] = ALL,
        *,
        as_audited: bool = False,
    ) -> Lookup:
        """Raises as `look_up`."""
        store, spec = references.store, references.store.encoder
        threshold = spec.threshold if options.threshold is None else options.threshold
        if options.calibrated is not None:
            options.calibrated.require_fits(spec)
        plan = plan_matching(options.match, options.match_from, spec.name, threshold, cut=cut_of(options.calibrated))
        plan = replace(plan, labelled=options.calibrated is not None)
        if not encoder.spec.same_as(spec):
            raise InconclusiveError(
                f"the training set was embedded with {spec.identity}, not with {encoder.spec.identity}: "
                "similarities between the two mean nothing; use the same encoder"
            )
        windows = Windows.of(store, on_pixels=plan.on_pixels)
        # One more than is listed, to tell whether there are more
        most, redrawn = max(options.neighbours, LEAST_CANDIDATES) + (not as_audited), plan_redrawn(plan, spec.name)
        scope = Scope(references, threshold, plan.floor, most, windows, redrawn.floor, plan.nearest_from)
        return cls(references, encoder, options, plan, redrawn, windows, scope, kinds, as_audited)

    def answers(self, refs: Iterable[ImageRef]) -> Iterator[Answer]:
        """Of each picture, in order. Memory: the views of 16 pictures."""
        embedded = Pictures.as_stored if self.as_audited else Pictures.of
        for batch in batched(WithParts(EmbedOptions())(refs), IMAGES):
            yield from self._batch(embedded(batch, self.encoder, self.options.views))

    def _batch(self, pictures: Pictures) -> Iterator[Answer]:
        found = self._found(pictures, self.scope.most)
        for i in range(len(pictures)):
            if self.options.all_matches and found.may_hide_some(i):
                yield self._wider(pictures.only(i), found.matches_of(i))
            else:
                yield self._told(pictures.answers[i], i, found)

    def _wider(self, picture: Pictures, matches: int) -> Answer:
        """The answer of one picture that has so many matches, searched again for twice as many each time: the last
        search costs as much as all before it."""
        while True:
            found = self._found(picture, 2 * matches + LEAST_CANDIDATES + 1)
            matches = found.matches_of(0)
            if matches > self.options.listed or not found.may_hide_some(0):
                return self._told(picture.answers[0], 0, found)

    def _found(self, pictures: Pictures, most: int) -> _Found:
        store = self.references.store
        searched = search(pictures, replace(self.scope, most=most), None, silent)
        decided = decide(searched, pictures, store, self.scope.threshold, self.plan, silent)
        decided = replace(decided, kinds=self.kinds)
        return _Found(
            searched, decided, decide_redrawn(searched, decided, pictures, store, self.redrawn.regions, silent), most
        )

    def _told(self, answer: Answer, picture: int, found: _Found) -> Answer:
        store, anew = self.references.store, found.anew.matches()
        told = _answered(answer, picture, found.searched, found.decided, store, self.options)
        told = replace(told, redrawn=_redrawn(anew.picked(anew.query == picture), store, self.options.told))
        unread = Kind.REDRAWN in self.kinds
        return _with_unread(told, picture, found.anew, found.decided.candidates) if unread else told

    def result(self, answers: Iterable[Answer]) -> LookupResult:
        """These, and what they rest on."""
        views, options = tuple(view.name for view in self.options.views), self.options
        shown = tuple(replace(answer, image=unsigned(answer.image)) for answer in answers)
        found = (self.references, self.windows, self.plan, self.scope.threshold, views)
        return LookupResult(shown, *found, options.calibrated, self.redrawn)


def look_up(
    refs: Iterable[ImageRef],
    references: Searcher,
    encoder: Encoder,
    options: LookupOptions,
    progress: Progress = silent,
) -> LookupResult:
    """Search every view of every picture, in the training images and in their tiles and details where the store has
    them. Frames of a film and pictures of a sheet are pictures, with an answer each. Memory: the views of 16 pictures,
    the candidates of one of which all matches are asked for, and the answers.

    Raises UsageError for impossible options, InconclusiveError if the encoder is not the one that the references were
    embedded with, or their windows are unfinished, or of another state of the store.
    """
    prepared, answers = Lookup.of(references, encoder, options), list[Answer]()
    for answer in prepared.answers(refs):
        answers.append(answer)
        progress("looking up", len(answers), 0)
    return prepared.result(answers)


def _answered(
    answer: Answer, picture: int, searched: Searched, decided: Decided, references: Store, options: LookupOptions
) -> Answer:
    """The answer of one picture, with as many of its first matches as are listed."""
    most = options.listed
    near = searched.nearest.picked(searched.nearest.query == picture)
    if not len(near.query):
        return answer
    candidates, checks = decided.candidates, decided.checks
    places = decided.places_of_matches()
    places = places[candidates.query[places] == picture]
    pairs = Candidates.joined([near, candidates.picked(places[:most])])
    told = references.columns(pairs.reference, only=options.told)
    nearest, *matches = _described(pairs, np.r_[near.places_in(candidates), places[:most]], decided, told)
    why = checks.why[candidates.query == picture]
    compared = int(checks.read[candidates.query == picture].sum())
    return replace(
        answer,
        matches=tuple(matches),
        nearest=nearest,
        more=len(places) > most,
        candidates=compared + int((why != "").sum()),
        compared=compared,
        why=tuple(sorted(set(why[why != ""].tolist()))),
    )


def _with_unread(answer: Answer, picture: int, anew: RedrawnPairs, candidates: Candidates) -> Answer:
    """The same, where files are gone of training images that it may be drawn anew: they were to be compared, and could
    not be. Those that are candidates count already."""
    if picture not in anew.undecided():
        return answer
    unread = anew.reference[(anew.query == picture) & ~anew.read]
    lost = np.setdiff1d(unread, candidates.reference[candidates.query == picture])
    if not len(lost):
        return answer
    return replace(answer, candidates=answer.candidates + len(lost), why=(*answer.why, UNREAD))


def _redrawn(found: Matches, references: Store, told: Sequence[str]) -> tuple[LookupMatch, ...]:
    """The likeliest first. told: columns of the training images."""
    columns = references.columns(found.reference, only=told)
    return tuple(
        LookupMatch(
            image_id=str(columns.image_id[n]),
            similarity=float(found.similarity[n]),
            view=str(found.view[n]),
            uri=unsigned(str(columns.uri[n])),
            caption=_caption(columns, n),
            sha256=str(columns.sha256[n]),
            kind=str(found.kind[n]),
            compared=True,
            probability=float(found.probability[n]),
        )
        for n in range(len(found.query))
    )


def _caption(columns: Columns, place: int) -> str:
    """Empty where captions are not told."""
    return str(columns.caption[place]) if len(columns.caption) else ""


def _described(pairs: Candidates, places: Int64, decided: Decided, columns: Columns) -> Iterator[LookupMatch]:
    """These pairs, with what was decided of them: at `places`, -1 for what was too far off to be a candidate. columns:
    of the training images."""
    views = pairs.views
    for n, place in enumerate(places):
        match = LookupMatch(
            image_id=str(columns.image_id[n]),
            similarity=float(pairs.similarity[n]),
            view=str(views[n]),
            uri=unsigned(str(columns.uri[n])),
            caption=_caption(columns, n),
            sha256=str(columns.sha256[n]),
        )
        yield match if place < 0 else _as_decided(match, decided, int(place))


def _as_decided(match: LookupMatch, decided: Decided, place: int) -> LookupMatch:
    overlaps = decided.checks.overlaps
    probability = decided.checks.probability[place]
    columns = (overlaps.matrix, overlaps.query_box, overlaps.reference_box)
    where = [tuple(column[place].ravel().tolist()) if overlaps.known[place] else None for column in columns]
    return replace(
        match,
        kind=str(decided.kind[place]),
        verified=bool(decided.verified[place]),
        compared=bool(decided.compared[place]),
        probability=None if np.isnan(probability) else float(probability),
        alignment=where[0],
        picture_box=where[1],
        reference_box=where[2],
    )
