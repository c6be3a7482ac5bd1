"""What measuring faces gives: values only, which reports may read without loading what measured them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from memaudit.faces.coverage import FaceCoverage
from memaudit.store import Store
from memaudit.types import Coverage, Float32, Int64, Rate


@dataclass(frozen=True)
class FaceCounts:
    """What a store of faces holds: images, those with a face, without one, that could not be read; faces, those that
    are compared, those too small for it, and those that are no human's; the most faces on an image; films, of which the
    first frame was looked at; images with faces of which none is compared, and those of them on which faces are too
    small for it.
    """

    images: int
    with_face: int
    without_face: int
    unreadable: int
    faces: int
    comparable: int
    small: int
    most: int
    films: int = 0
    no_human: int = 0
    uncompared: int = 0
    all_small: int = 0


@dataclass(frozen=True)
class Calibration:
    """A threshold, and the false matches to expect of `scored` people's searches of the gallery at it.

    samples, above: how many people who are not in it gave the threshold, and how many of them reach it, by one face of
    each. low, high: the number of false matches lies between them with 95 %, whether those excluded are strangers or
    not. shortfall: why fewer cannot be promised; empty if as few as were asked for are. faces: that these people have.
    excluded, excluded_people: faces and people among the controls that were left out as people of the gallery;
    excluded_above: of these people, who reach it; expected_with_excluded: the false matches to expect if they were
    none of the gallery's.
    """

    threshold: float
    scored: int
    samples: int
    above: int
    factor: float
    left_out: int
    expected: float
    low: int
    high: int
    shortfall: str = ""
    faces: int = 0
    excluded: int = 0
    excluded_people: int = 0
    excluded_above: int = 0
    expected_with_excluded: float = 0.0


class Mix(NamedTuple):
    """Whether chance is told by people of the generated ones' groups. matched: the columns by which it is; warning: in
    what it is not."""

    matched: tuple[str, ...] = ()
    warning: str = ""


@dataclass(frozen=True)
class Membership:
    """How well the similarity to the nearest generated face tells training identities from held-out ones.

    auc: the chance that a member has more of it than a non-member, with its interval (DeLong et al. 1988); roc: pairs
    of shares (non-members, members) at or above falling similarities. identities: by column, or each face for itself.
    """

    members: int
    non_members: int
    identities: str
    auc: float
    low: float
    high: float
    roc: tuple[tuple[float, float], ...]


class FaceMatches(NamedTuple):
    """The best training face of each generated face that reaches the threshold, the most similar first.

    query, reference: rows of the two stores of faces; image_similarity: of the images they are on, NaN if unknown;
    same_picture: 1, 0, or -1 where it is not known; alike: how many training faces reach the threshold with the query;
    near_duplicates: and with the reference, itself included.
    """

    query: Int64
    reference: Int64
    similarity: Float32
    image_similarity: Float32
    same_picture: Int64
    alike: Int64
    near_duplicates: Int64


@dataclass(frozen=True)
class GroupRate:
    """The rate of matched people, by one face drawn of each, among those whose image has this value in this column."""

    side: str
    column: str
    value: str
    rate: Rate


@dataclass(frozen=True)
class FacesResult:
    """What comparing faces measured. one_to_one: SFace's threshold for two given faces, for orientation.

    gallery_coverage, control_coverage: of the images that the training set's and the controls' faces stand for, those
    that were searched for faces as they are. of_images: how each store of faces covers its images, by role.

    matched: generated people, by one face drawn of each; coverage: of the generated faces. faces_matched: all faces
    that match; people_matched: the generated people with such a face; training_person: of each match, which of the
    people on the training images it is, numbered from 0. excess_p: how likely so many matches are if generated people
    were others than those of the training set, None without enough controls; the larger of two, with and without the
    controls that were left out. nearest: the best similarity of each drawn face; null: that of people who are not in
    the training set.
    """

    method: str
    digests: dict[str, str]
    calibration: Calibration
    source: str
    one_to_one: float
    same_person: float
    generated: FaceCounts
    gallery: FaceCounts
    gallery_coverage: Coverage
    control_coverage: Coverage | None
    of_images: dict[str, FaceCoverage]
    matched: Rate
    coverage: Coverage
    people_matched: int
    training_person: Int64
    mix: Mix
    matches: FaceMatches
    excess_p: float | None
    why_no_p: str
    membership: Membership | None
    by: tuple[GroupRate, ...]
    nearest: Float32
    null: Float32
    inconclusive: tuple[str, ...]

    @property
    def faces_matched(self) -> int:
        return len(self.matches.query)

    @property
    def training_people(self) -> int:
        """Those on the training images that match."""
        return 1 + int(self.training_person.max(initial=-1))

    @property
    def same_picture(self) -> int:
        return int((self.matches.same_picture == 1).sum())

    @property
    def new_picture(self) -> int:
        return int((self.matches.same_picture == 0).sum())


class FacePair(NamedTuple):
    """A generation and a training image that share a face. match: the place of the most similar one in FaceMatches;
    faces: how many they share; told: what was found of the images tells of this pair, or of a copy of it, already."""

    query_id: str
    reference_id: str
    match: int
    faces: int
    told: bool = False


@dataclass(frozen=True)
class FaceAudit:
    """What comparing faces gave: the result, the two stores of faces that its rows are of, and the pairs of images that
    share a face, the most similar first."""

    result: FacesResult
    generations: Store
    gallery: Store
    pairs: tuple[FacePair, ...]
