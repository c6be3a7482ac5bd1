"""The answer to a claim: of each picture what the training set has of it, and what became of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from memaudit.claims.families import Families, Member
from memaudit.claims.given_back import AuditSeen, GivenBack
from memaudit.claims.searched import SearchedBy
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
KEPT, RELATIVE_KEPT, DROPPED, NOT_KNOWN = "kept", "dropped, and a near-duplicate of it kept", "dropped", "not known"
"""What became of all images that show a picture: one of them was kept, or one of their families, or none was; or one
may have been that is not listed."""
_WHOLE_VIEWS = (WHOLE, *TURNS)


class FoundImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A training image that shows a picture. how: of HOWS; kind, view, verified, probability: as of a look-up's match;
    decision, reason: of the dedup run, empty without one; family: the other images of its group there, with the first
    of them that is listed."""

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
    """What came of one picture. outcome: of OUTCOMES; why: it, or further candidates of one that was found, could not
    be decided, or further ones not be looked for; more: further matches than are listed; given_back: generations of
    known audits that show one of the found images, or one of their families."""

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
    def is_whole(self) -> bool:
        """Whether all is listed that the search could find."""
        return not self.more and not self.why and self.outcome != NOT_DECIDED

    @property
    def images(self) -> set[str]:
        """Of the training set: what was found, and the families."""
        return set(_with_families(self.found))

    @property
    def came_back(self) -> list[GivenBack]:
        """Generations that show the picture itself."""
        copies = set(_with_families(each for each in self.found if each.how != REDRAWN))
        return [each for each in self.given_back if each.kind != Kind.REDRAWN and each.image_id in copies]

    @property
    def fate(self) -> str:
        """What the dedup run did to all that shows it; of one that is there drawn anew alone, to that. Empty for one
        that was not found."""
        shown = [each for each in self.found if each.how != REDRAWN] or self.found
        if not shown:
            return ""
        if any(each.decision == "keep" for each in shown):
            return KEPT
        if any(member.decision == "keep" for each in shown for member in each.family):
            return RELATIVE_KEPT
        return DROPPED if self.is_whole and all(each.decision == "drop" for each in shown) else NOT_KNOWN


def _with_families(images: Iterable[FoundImage]) -> Iterator[str]:
    for each in images:
        yield from (each.image_id, *(member.image_id for member in each.family))


class ClaimAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The answer to a claim. basis: digest of all that it follows from, beside the pictures; store: digest; images,
    measured: of the training set; index: how it was searched; pixels: whether candidates were compared on them, and
    why not; dedup: digest of its report; doubts: why "not found" must not be read as "is not in it"; not_read: what
    the sources hold beside pictures; seconds: all of it took; searched: how closely, and unsearched: pictures of the
    training set's sources, at least, in another form, which 0.3.0 did not say."""

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
    searched: SearchedBy | msgspec.UnsetType = msgspec.UNSET
    unsearched: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by outcome, all of OUTCOMES."""
        counts = Counter(each.outcome for each in self.pictures)
        return {name: counts[name] for name in OUTCOMES}

    @property
    def given_back(self) -> int:
        """Pictures that a model gave back."""
        return sum(bool(each.came_back) for each in self.pictures)

    @property
    def given_back_anew(self) -> int:
        """Further pictures that a model gave back drawn anew, or of which it gave back what is there drawn anew."""
        return sum(bool(each.given_back) and not each.came_back for each in self.pictures)

    @property
    def dropped(self) -> int:
        """Pictures of which the dedup run kept no image that shows them, nor one of their families."""
        return self._with_fate(DROPPED)

    @property
    def fate_not_known(self) -> int:
        """Pictures of which no such image that is listed was kept, and one that is not listed may have been."""
        return self._with_fate(NOT_KNOWN)

    def _with_fate(self, fate: str) -> int:
        found = [each for each in self.pictures if each.is_found and each.outcome != REDRAWN]
        return sum(each.fate == fate for each in found) if self.dedup else 0

    @property
    def cut(self) -> int:
        """Pictures with more matches than are listed."""
        return sum(each.more for each in self.pictures)

    @property
    def found_in_part(self) -> int:
        """Pictures that were found, and of which further candidates could not be compared, or none be looked for."""
        return sum(each.is_found and bool(each.why) for each in self.pictures)


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
    families: Families,
    given_back: Mapping[str, list[GivenBack]],
) -> list[PictureAnswer]:
    """doubts: of the training set as a whole. given_back: by image_id."""
    return [_of_picture(answer, doubts, families, given_back) for answer in answers]


def _of_picture(
    answer: Answer, doubts: bool, families: Families, given_back: Mapping[str, list[GivenBack]]
) -> PictureAnswer:
    found = [_found(match, answer.sha256) for match in (*answer.matches, *answer.redrawn)]
    found.sort(key=lambda each: HOWS.index(each.how))
    found = list(_each_family_once(found, families))
    picture = PictureAnswer(
        name=answer.image,
        sha256=answer.sha256,
        outcome=found[0].how if found else "",
        why=_why(answer, bool(found)),
        found=found,
        more=answer.more,
    )
    if not found:
        sure = answer.status == Status.OK and answer.candidates == answer.compared and not doubts
        return msgspec.structs.replace(picture, outcome=NOT_FOUND if sure else NOT_DECIDED)
    return msgspec.structs.replace(picture, given_back=_returned(found, given_back))


def _why(answer: Answer, is_found: bool) -> str:
    """A blank picture that is there byte for byte is decided: no other copy of it can be told. Of one that could not be
    read other copies may be there."""
    undecided = "; ".join(answer.why) if _is_undecided(answer) else ""
    decided = is_found and answer.status == Status.BLANK
    return undecided if decided else answer.error or undecided


def _is_undecided(answer: Answer) -> bool:
    """Whether there are candidates that could not be compared, beside those that are matches by their similarity."""
    by_similarity = sum(not (match.compared or match.verified) for match in answer.matches)
    return answer.candidates > answer.compared + by_similarity


def _returned(found: list[FoundImage], given_back: Mapping[str, list[GivenBack]]) -> list[GivenBack]:
    """Each generation once, with an image that shows the picture itself rather than one that is it drawn anew."""
    copies = set(_with_families(each for each in found if each.how != REDRAWN))
    names = sorted(set(_with_families(found)), key=lambda name: (name not in copies, name))
    returned: dict[tuple[str, str], GivenBack] = {}
    for each in (each for name in names for each in given_back.get(name, [])):
        returned.setdefault((each.audit, each.generation), each)
    return list(returned.values())


def _each_family_once(found: Iterable[FoundImage], families: Families) -> Iterator[FoundImage]:
    """With a family that a thousand of these are of, and each of them names, an answer would be a million names."""
    told = set[int]()
    for each in found:
        group = families.group.get(each.image_id)
        if group is None or group in told:
            yield each
        else:
            told.add(group)
            yield msgspec.structs.replace(each, family=families.others(each.image_id))


def _found(match: LookupMatch, sha256: str) -> FoundImage:
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
    )
