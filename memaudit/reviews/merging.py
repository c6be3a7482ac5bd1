"""Lines of several people → one verdict for each pair, with what each of them says, and counts of what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from memaudit.errors import InputError
from memaudit.reviews.verdicts import Drawn, Pair, Review, Verdict

Said = dict[Pair, tuple[Review, ...]]


@dataclass(frozen=True)
class Counts:
    """What the lines come to. repeated: they say again what the same person has said; superseded: what that person
    said otherwise before. unlabelled: pairs that nobody has looked at; the others are copies, others, unsure or
    disagreeing. Lines on faces are in `lines` alone."""

    lines: int = 0
    unlabelled: int = 0
    repeated: int = 0
    superseded: int = 0
    copies: int = 0
    others: int = 0
    unsure: int = 0
    disagreeing: int = 0
    people: int = 0


@dataclass(frozen=True)
class Merged:
    """One verdict for each pair that anybody has looked at: None where people disagree; said: what each of them says in
    the end. drawn: of the pairs of a proposal, labelled or not. digests: sha256 of the files that were read. faces:
    what each says of the faces on two images."""

    verdicts: dict[Pair, Verdict | None]
    said: Said
    drawn: dict[Pair, Drawn]
    counts: Counts
    digests: tuple[str, ...] = ()
    faces: Said = field(default_factory=dict)

    @property
    def disagreements(self) -> Said:
        return {pair: self.said[pair] for pair, verdict in self.verdicts.items() if verdict is None}


def merged(reviews: Sequence[Review], digests: tuple[str, ...] = ()) -> Merged:
    """Of what one person says of a pair the latest counts, by `when`, else by the order of the lines. Whoever is unsure
    abstains where another is not; "accepted" is a copy. Who took a word back has said nothing.

    Raises InputError where lines differ in how a pair was drawn.
    """
    pictures = [each for each in reviews if not each.face]
    said, repeated, superseded = _last_words(pictures)
    verdicts = {pair: _agreed(of_pair) for pair, of_pair in said.items()}
    found = list(verdicts.values())
    counts = Counts(
        lines=len(reviews),
        unlabelled=len({review.pair for review in pictures} - verdicts.keys()),
        repeated=repeated,
        superseded=superseded,
        copies=found.count(Verdict.COPY),
        others=found.count(Verdict.NO_COPY),
        unsure=found.count(Verdict.UNSURE),
        disagreeing=found.count(None),
        people=len({review.who.casefold() for of_pair in said.values() for review in of_pair}),
    )
    faces = _last_words([each for each in reviews if each.face])[0]
    return Merged(verdicts, said, _drawn(pictures), counts, digests, faces)


def _last_words(reviews: Iterable[Review]) -> tuple[Said, int, int]:
    """What each person says in the end; how many lines say it again, and how many said otherwise before."""
    said: dict[Pair, dict[str, Review]] = {}
    repeated = superseded = 0
    for review in reviews:
        if review.verdict is None:
            continue
        of_pair = said.setdefault(review.pair, {})
        person = review.who.casefold()  # as a person is told from another everywhere
        earlier = of_pair.get(person)
        if earlier is not None:
            repeated += earlier.verdict == review.verdict
            superseded += earlier.verdict != review.verdict
        of_pair[person] = review if earlier is None else later(earlier, review)
    standing = {pair: tuple(filter(_stands, of_pair.values())) for pair, of_pair in said.items()}
    return {pair: of_pair for pair, of_pair in standing.items() if of_pair}, repeated, superseded


def _stands(review: Review) -> bool:
    return review.verdict is not Verdict.TAKEN_BACK


def later(one: Review, other: Review) -> Review:
    """The later of two by one person; where either does not say when, the one that stands below."""
    if one.when is not None and other.when is not None and one.when > other.when:
        return one
    return other


def _agreed(said: Iterable[Review]) -> Verdict | None:
    sure = {as_seen(review) for review in said} - {Verdict.UNSURE}
    if not sure:
        return Verdict.UNSURE
    return sure.pop() if len(sure) == 1 else None


def word_of(said: Iterable[Review]) -> Verdict | None:
    """What all who are sure say; None where they disagree. "accepted" where all of them accept it, else "copy"."""
    said = list(said)
    agreed = _agreed(said)
    if agreed is Verdict.COPY and all(each.verdict is not Verdict.COPY for each in said):
        return Verdict.ACCEPTED
    return agreed


def as_seen(review: Review) -> Verdict | None:
    """What a person takes the pair for: who accepts it calls it a copy."""
    return Verdict.COPY if review.verdict is Verdict.ACCEPTED else review.verdict


def _drawn(reviews: Iterable[Review]) -> dict[Pair, Drawn]:
    """Raises InputError where lines differ in how a pair was drawn, or how large a stratum is."""
    drawn, sizes = dict[Pair, Drawn](), dict[str, float]()
    for review in reviews:
        if review.drawn is None:
            continue
        _, stratum, pairs = review.drawn
        if drawn.setdefault(review.pair, review.drawn) != review.drawn or sizes.setdefault(stratum, pairs) != pairs:
            raise InputError(
                f"the labels come of two proposals (stratum {stratum[:40]!r}): give the last one, which holds what was "
                "labelled before, and the files of verdicts"
            )
    if len({each.frame for each in drawn.values()}) > 1:
        raise InputError("the labels come of proposals of two sets: calibrate by one of them")
    return drawn
