"""The answer to a claim: of each picture what the training set has of it, and what became of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from memaudit.claims.families import Member
from memaudit.claims.given_back import AuditSeen, GivenBack
from memaudit.images.view_names import TURNS, WHOLE
from memaudit.lookup.results import Answer, LookupMatch
from memaudit.matching.kinds import Kind
from memaudit.store import is_one_file
from memaudit.types import Status

SCHEMA = "memaudit-claim-answer/1"
EXACT, ALTERED, PART, REDRAWN = "exact", "altered", "part", "re-drawn"
NOT_FOUND, NOT_DECIDED = "not found", "not decided"
HOWS = (EXACT, ALTERED, PART, REDRAWN)
"""How a training image shows a picture, the gravest first."""
OUTCOMES = (*HOWS, NOT_FOUND, NOT_DECIDED)
_WHOLE_VIEWS = (WHOLE, *TURNS)


class FoundImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A training image that shows a picture. how: of HOWS; kind, view, verified, probability: as of a look-up's match;
    decision, reason: of the dedup run, empty without one; family: the other images of its group there."""

    image_id: str
    how: str
    kind: str
    similarity: float
    view: str
    verified: bool
    probability: float | None
    sha256: str
    uri: str
    decision: str = ""
    reason: str = ""
    family: list[Member] = []


class PictureAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of one picture. outcome: of OUTCOMES; why: it could not be decided; more: further matches than are
    listed; given_back: generations of known audits that show one of the found images, or one of their families."""

    name: str
    sha256: str
    outcome: str
    why: str = ""
    found: list[FoundImage] = []
    more: bool = False
    given_back: list[GivenBack] = []

    @property
    def is_found(self) -> bool:
        return self.outcome in HOWS

    @property
    def images(self) -> set[str]:
        """Of the training set: what was found, and the families."""
        return {each.image_id for each in self.found} | {one.image_id for each in self.found for one in each.family}


class ClaimAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The answer to a claim. basis: digest of all that it follows from, beside the pictures; store: digest; images,
    measured: of the training set; index: how it was searched; pixels: whether candidates were compared on them, and
    why not; dedup: digest of its report; doubts: why "not found" must not be read as "is not in it"; not_read: what
    the sources hold beside pictures; seconds: all of it took."""

    schema: str = SCHEMA
    memaudit: str
    created: str
    claim: int
    basis: str
    who: str
    training_set: str
    store: str
    images: int
    measured: int
    index: str
    encoder: str
    threshold: float
    pixels: str
    dedup: str
    audits: list[AuditSeen]
    doubts: list[str]
    not_read: list[str]
    seconds: float
    pictures: list[PictureAnswer]

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by outcome, all of OUTCOMES."""
        counts = Counter(each.outcome for each in self.pictures)
        return {name: counts[name] for name in OUTCOMES}

    @property
    def given_back(self) -> int:
        """Pictures that a model gave back."""
        return sum(bool(each.given_back) for each in self.pictures)

    @property
    def dropped(self) -> int:
        """Pictures of which the dedup run kept no image that shows them, nor one of their families."""
        found = [each for each in self.pictures if each.is_found and each.outcome != REDRAWN]
        return sum(all(_is_dropped(image) for image in each.found) for each in found) if self.dedup else 0


def _is_dropped(image: FoundImage) -> bool:
    return image.decision == "drop" and all(member.decision != "keep" for member in image.family)


def how_of(match: LookupMatch, sha256: str) -> str:
    """exact: the same file; part: a region of one is, or is a region of, the other."""
    if is_one_file(match.sha256, sha256):
        return EXACT
    if match.kind == Kind.REDRAWN:
        return REDRAWN
    by_part = match.kind == Kind.NEAR and match.view not in _WHOLE_VIEWS
    return PART if by_part or match.kind == Kind.PARTIAL else ALTERED


def answered(
    answers: Iterable[Answer],
    doubts: bool,
    families: Mapping[str, list[Member]],
    given_back: Mapping[str, list[GivenBack]],
) -> list[PictureAnswer]:
    """doubts: of the training set as a whole. families, given_back: by image_id."""
    return [_of_picture(answer, doubts, families, given_back) for answer in answers]


def _of_picture(
    answer: Answer, doubts: bool, families: Mapping[str, list[Member]], given_back: Mapping[str, list[GivenBack]]
) -> PictureAnswer:
    found = [_found(match, answer.sha256, families) for match in (*answer.matches, *answer.redrawn)]
    found.sort(key=lambda each: HOWS.index(each.how))
    picture = PictureAnswer(
        name=answer.image,
        sha256=answer.sha256,
        outcome=found[0].how if found else "",
        why=answer.error or "; ".join(answer.why),
        found=found,
        more=answer.more,
    )
    if not found:
        sure = answer.status == Status.OK and answer.candidates == answer.compared and not doubts
        return msgspec.structs.replace(picture, outcome=NOT_FOUND if sure else NOT_DECIDED)
    returned = {
        (each.audit, each.generation): each for name in sorted(picture.images) for each in given_back.get(name, [])
    }
    return msgspec.structs.replace(picture, given_back=list(returned.values()))


def _found(match: LookupMatch, sha256: str, families: Mapping[str, list[Member]]) -> FoundImage:
    return FoundImage(
        image_id=match.image_id,
        how=how_of(match, sha256),
        kind=match.kind,
        similarity=round(match.similarity, 6),
        view=match.view,
        verified=match.verified,
        probability=match.probability,
        sha256=match.sha256,
        uri=match.uri,
        decision=match.dedup.decision if match.dedup else "",
        reason=match.dedup.reason if match.dedup else "",
        family=families.get(match.image_id, []),
    )
