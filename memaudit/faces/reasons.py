"""Why rates of faces must not be read as a clean bill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from memaudit.audit.shortfalls import Unseen, unread_files
from memaudit.faces.coverage import FaceCoverage, coverage_of
from memaudit.faces.embed import count_faces
from memaudit.faces.results import Calibration, FaceCounts
from memaudit.matching.shortfalls import cut_archives
from memaudit.store import Store
from memaudit.types import Coverage


class Side(NamedTuple):
    """A store of faces, counted, what of it can be compared, and how it covers its images, if these are known."""

    faces: Store
    counts: FaceCounts
    of_images: FaceCoverage | None

    @classmethod
    def of(cls, faces: Store, images: Store | None) -> Side:
        return cls(faces, count_faces(faces), coverage_of(faces, images) if images else None)

    @property
    def unread(self) -> int:
        """Images that nobody looked at for faces, or whose later frames nobody did, and faces that could not be
        embedded."""
        rows = self.faces.coverage
        return rows.total - rows.measured + self.counts.films + (self.of_images.absent if self.of_images else 0)

    @property
    def coverage(self) -> Coverage:
        return self.of_images.coverage if self.of_images else self.faces.coverage

    def shortfalls(self, name: str, allowed: float) -> Iterator[str]:
        comparable = self.faces.coverage
        looked_at = Coverage(self.counts.images - self.counts.unreadable, self.counts.images)
        searched = self.of_images.coverage if self.of_images else looked_at
        if searched.falls_short(allowed):
            why = f" as the audit's own store has them ({self.of_images.as_text()})" if self.of_images else ""
            share = f"{searched.measured:,} of {searched.total:,}"
            yield f"only {share} images of the {name} could be searched for faces{why}"
        elif comparable.falls_short(allowed):
            yield f"only {comparable.measured:,} of {comparable.total:,} faces of the {name} could be compared"


def reasons(
    sides: Mapping[str, Side], allowed: float, scored: int, calibration: Calibration, unseen: Unseen
) -> tuple[str, ...]:
    """Every reason, by the roles of the stores. allowed: the share of a side that may be unmeasured; scored: how many
    generated faces were searched; unseen: of the generations."""
    made = sides["generations"].counts
    return (
        *(reason for name, side in sides.items() for reason in cut_archives(name, side.faces.cut)),
        *(reason for name, side in sides.items() for reason in side.shortfalls(name, allowed)),
        *_of_films(made, allowed),
        *_of_size(made, scored, allowed),
        *unread_files(unseen, made.images, allowed),
        *_of_search(sides["training set"].faces, scored, calibration),
    )


def _of_films(made: FaceCounts, allowed: float) -> Iterator[str]:
    """A face that is not on the first frame was not looked for."""
    if Coverage(made.images - made.films, made.images).falls_short(allowed):
        yield (
            f"of {made.films:,} of {made.images:,} generations, films or files of several pages, only the first frame "
            "was searched for faces: give their frames as images"
        )


def _of_size(made: FaceCounts, scored: int, allowed: float) -> Iterator[str]:
    """Who is drawn too small is compared with nobody. Drawn faces are nobody's, unless no other was found."""
    if made.faces and not scored:
        yield "no generated face could be compared"
    elif Coverage(made.images - made.all_small, made.images).falls_short(allowed):
        yield f"of {made.all_small:,} of {made.images:,} generations all faces are too small to be compared"


def _of_search(gallery: Store, scored: int, calibration: Calibration) -> Iterator[str]:
    if scored and not gallery.comparable:
        yield "no face was found in the training set: no generated face was compared with anything"
    elif calibration.shortfall:
        yield calibration.shortfall
