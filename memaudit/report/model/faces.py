"""What a report says of faces, and each match of one."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from memaudit.report.model.figures import (
    Bin,
    Count,
    Coverage,
    Digest,
    NotNegative,
    Part,
    Rate,
    Share,
    Similarity,
    Threshold,
    Whole,
    says,
)
from memaudit.report.model.reviews import Told

Point = Annotated[list[float], Meta(min_length=2, max_length=2)]


class FaceMatch(Part, frozen=True, kw_only=True):
    """A generation and a training image that share a face, by the most similar one."""

    query_id: Annotated[str, says("the generation's image_id")]
    reference_id: Annotated[str, says("the training image's image_id")]
    query_face: Annotated[str, says("the generated face's image_id")] = ""
    reference_face: Annotated[str, says("the training face's image_id")] = ""
    similarity: Annotated[Similarity, says("cosine of the two faces")]
    kind: Annotated[Literal["face"], says("face")]
    faces: Annotated[Whole, says("pairs of faces that these two images share")] = 1
    training_person: Annotated[
        Whole | UnsetType, says("which of the training people that match it is, numbered from 1 in this report")
    ] = UNSET
    image_similarity: Annotated[float | None, says("cosine of the two images; null if unknown")] = None
    same_picture: Annotated[bool | None, says("the images are the same picture; null if unknown")] = None
    query_quality: Annotated[float | None, says("of the generated face, 0 to 1")] = None
    reference_quality: Annotated[float | None, says("of the training face, 0 to 1")] = None
    paired: Annotated[bool, says("false: faces have no prompts")]
    is_prompts_image: Annotated[bool, says("false")] = False
    matches: Annotated[Whole, says("training faces that this one matches")] = 0
    near_duplicates: Annotated[Count, says("training faces at the threshold with this training face, itself included")]
    prompt: Annotated[str, says("empty")] = ""
    caption: Annotated[str, says("caption of the training image")] = ""
    query_picture: Annotated[str | None, says("thumbnail of the generation")] = None
    query_crop: Annotated[str | None, says("the generated face alone, with --face-crops")] = None
    reference_picture: Annotated[str | None, says("thumbnail of the training image")] = None
    reference_crop: Annotated[str | None, says("the training face alone, with --face-crops")] = None
    face_similarity: Annotated[float | UnsetType, says("of another face on the same pair")] = UNSET
    query_sha256: Annotated[Digest | UnsetType, says("of the generation's file; reviews name a pair by both")] = UNSET
    reference_sha256: Annotated[Digest | UnsetType, says("of the training image's file")] = UNSET
    counted: ClassVar[UnsetType] = UNSET  # --kinds is of copies
    review: Annotated[Told | UnsetType, says("what people said of it before, with --reviews")] = UNSET


class FaceCounts(Part, frozen=True, kw_only=True):
    """What a store of faces holds."""

    images: Annotated[Whole, says("images")]
    with_face: Annotated[Whole, says("images with a face")]
    without_face: Annotated[Whole, says("images without one")]
    unreadable: Annotated[Whole, says("images that could not be read")]
    faces: Annotated[Whole, says("faces")]
    comparable: Annotated[Whole, says("faces that are compared")]
    small: Annotated[Whole, says("faces too small for it")]
    no_human: Annotated[Whole, says("faces that are no human's: drawn, or too unclear to tell")] = 0
    most: Annotated[Whole, says("the most faces on an image")]
    films: Annotated[Whole, says("films and files of several pages, of which the first frame was looked at")] = 0
    uncompared: Annotated[Count | UnsetType, says("images with faces of which none is compared")] = UNSET
    all_small: Annotated[Count | UnsetType, says("of these, images on which faces are too small for it")] = UNSET


class FaceStanding(Part, frozen=True, kw_only=True):
    """How a store of faces stands for its images."""

    images: Annotated[Whole, says("images of the store")]
    covered: Annotated[Whole, says("searched for faces as they are")]
    missing: Annotated[Whole, says("that the store of faces lacks")]
    changed: Annotated[Whole, says("that it has with another file")]
    forgotten: Annotated[Whole, says("that it was made to forget, wholly or in part")]
    unreadable: Annotated[Whole, says("that it could not read")]
    by_name: Annotated[Whole, says("covered by their image_id alone")]
    others: Annotated[Whole, says("images that only the store of faces has")]


class Membership(Part, frozen=True, kw_only=True):
    """How well the similarity to the nearest generated face tells training identities from held-out ones."""

    members: Annotated[Whole, says("training identities")]
    non_members: Annotated[Whole, says("held-out identities")]
    identities: Annotated[str, says("by which column, or each face for itself")]
    auc: Annotated[float, says("area under the ROC curve")]
    low: Annotated[float, says("lower end of its interval (DeLong et al. 1988)")]
    high: Annotated[float, says("upper end of its interval")]
    roc: Annotated[list[Point], says("shares of non-members and members at falling similarities")]


class GroupRate(Part, frozen=True, kw_only=True):
    """The rate of matched people of one value of a metadata column."""

    side: Annotated[str, says("whose")]
    column: Annotated[str, says("column")]
    group: Annotated[str, says("value")]
    count: Annotated[Whole, says("how many match")]
    n: Annotated[Whole, says("of how many")]
    value: Annotated[float | None, says("count / n")]
    low: Annotated[float, says("lower end of the interval")]
    high: Annotated[float, says("upper end of the interval")]
    upper: Annotated[float, says("one-sided upper bound")]
    confidence: Annotated[float, says("of interval and bound")]
    coverage: Annotated[Coverage, says("n, and what it was measured of")]
    effective: Annotated[float | UnsetType, says("as how many independent draws n counts; absent: as n")] = UNSET


class FaceSimilarities(Part, frozen=True, kw_only=True):
    """Histograms of the similarity to the nearest training face."""

    generated: Annotated[list[Bin], says("of generated faces")]
    others: Annotated[list[Bin], says("of people who are not in the training set")]


class Faces(Part, frozen=True, kw_only=True):
    """What comparing faces gave."""

    conclusive: Annotated[bool, says("all faces that were to be compared could be")] = True
    reasons: Annotated[list[str], says("why not")] = []
    headline: Annotated[str, says("the result in a sentence")] = ""
    method: Annotated[str, says("how was searched")] = ""
    threshold: Annotated[Threshold, says("similarity from which a face matches, calibrated to this gallery")]
    one_to_one_threshold: Annotated[float, says("the encoder's for two given faces; decides nothing")]
    calibration: Annotated[str, Meta(pattern="^(control|gallery)$"), says("whose faces gave the threshold")]
    calibration_faces: Annotated[Whole, says("faces that gave it")] = 0
    calibration_people: Annotated[Whole, says("people they belong to")] = 0
    excluded_controls: Annotated[Whole, says("held-out faces left out as people of the gallery")] = 0
    excluded_control_people: Annotated[Whole, says("people they belong to")] = 0
    expected_with_excluded: Annotated[float, says("false matches to expect if they were strangers")] = 0.0
    calibration_above: Annotated[Whole, says("of the people that gave it, those that reach it")] = 0
    left_out_of_calibration: Annotated[Whole, says("training faces left out of it")] = 0
    same_person_threshold: Annotated[float, says("similarity that counts as the same person there")] = 0.0
    gallery_faces: Annotated[Count, says("training faces that are compared")]
    gallery: Annotated[FaceCounts | None, says("what the store of training faces holds")] = None
    gallery_coverage: Annotated[Coverage, says("training images that were searched for faces")]
    control_coverage: Annotated[Coverage | None, says("held-out images that were searched for faces")] = None
    standing: Annotated[dict[str, FaceStanding], says("how each store of faces stands for its images, by role")] = {}
    digests: Annotated[dict[str, str], says("of the stores of faces")] = {}
    scored_faces: Annotated[Count, says("generated faces that were compared")]
    generated: Annotated[FaceCounts | None, says("what the store of generated faces holds")] = None
    images_without_face: Annotated[Count, says("generations without a face")]
    people: Annotated[
        Whole, says("generated people who were compared; 0: an older report, whose rates are of faces")
    ] = 0
    matched: Annotated[Rate, says("generated people that match a training face, by one face drawn of each")]
    people_matched: Annotated[Whole, says("generated people with a face that matches")] = 0
    faces_matched: Annotated[Whole, says("generated faces that match")] = 0
    training_people: Annotated[Whole, says("people on the training images that they match")] = 0
    expected_false_matches: Annotated[NotNegative, says("matches that chance lets expect")]
    expected_low: Annotated[Whole, says("lower end of their 95 % interval")] = 0
    expected_high: Annotated[Whole, says("upper end of their 95 % interval")] = 0
    excess_p: Annotated[
        Share | None, says("how likely so many matches are if the faces were other people's: the larger p")
    ]
    why_no_p: Annotated[str, says("why there is no p-value")] = ""
    same_picture: Annotated[Count, says("matches on the same picture")]
    new_picture: Annotated[Count, says("matches on another picture")]
    coverage: Annotated[Coverage, says("generated faces that could be compared")]
    mix_matched: Annotated[list[str], says("columns by which chance is told by people of the same groups")] = []
    mix_warning: Annotated[str, says("in what the groups differ, or may")] = ""
    membership: Annotated[Membership | None, says("identity membership")] = None
    by: Annotated[list[GroupRate], says("rates by metadata")] = []
    similarities: Annotated[FaceSimilarities | None, says("histograms")] = None
