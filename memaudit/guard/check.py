"""What the guard says of a picture: it repeats a training image, or none was found, or that could not be told."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import RLock

from memaudit.errors import MemauditError, UsageError
from memaudit.folders import TemporaryFolder
from memaudit.gate.verdict import Verdict
from memaudit.guard.unsearched import Unsearched
from memaudit.images.image_ref import ImageRef
from memaudit.images.reading import read_bytes
from memaudit.lookup.results import Answer, LookupMatch
from memaudit.lookup.run import Lookup
from memaudit.matching.kinds import Kind
from memaudit.matching.shortfalls import Shortfall
from memaudit.store import NO_FILE
from memaudit.types import Status

Image = str | Path | bytes
"""A picture: its file, or the bytes of one."""


@dataclass(frozen=True)
class GuardVerdict:
    """verdict: fail where the picture repeats a training image, pass where none was found, and inconclusive where that
    could not be told, for `reasons`. matches, redrawn: training images, the gravest first; nearest: the most similar
    one, None for what could not be compared. sha256: of the picture's file. pictures: in the file, with frames and
    parts of sheets; one that repeats a training image is enough. notes: what no verdict of this guard speaks of.

    >>> guard = ma.open_guard(ma.embed("training", out="store", encoder="thumbnail"))
    >>> guard.check("generations/copy.png").matches[0].image_id
    '0005.png'
    """

    verdict: Verdict
    sha256: str = NO_FILE
    reasons: tuple[str, ...] = ()
    matches: tuple[LookupMatch, ...] = ()
    redrawn: tuple[LookupMatch, ...] = ()
    nearest: LookupMatch | None = None
    pictures: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {**asdict(self), "verdict": str(self.verdict)}


def undecided(why: str, sha256: str = NO_FILE) -> GuardVerdict:
    return GuardVerdict(Verdict.INCONCLUSIVE, sha256, (why,))


class Guard:
    """A training set and its encoder, opened once, that pictures are held against. Any thread may ask; one at a time is
    answered.

    >>> guard = ma.open_guard(ma.embed("training", out="store", encoder="thumbnail"))
    >>> [str(guard.check(f"generations/{name}.png").verdict) for name in ("copy", "0500")]
    ['fail', 'pass']
    """

    def __init__(self, lookup: Lookup, max_unreadable: float, beside: Sequence[Shortfall] = ()) -> None:
        """beside: notes, further ones."""
        self._lookup = lookup
        self._unsearched = Unsearched.of(lookup, max_unreadable, beside)
        self._lock = RLock()

    @property
    def lookup(self) -> Lookup:
        return self._lookup

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing can pass, and what to do: what of the training set was not searched."""
        return tuple(map(str, self._unsearched.doubts))

    @property
    def facts(self) -> tuple[str, ...]:
        """The same as whoever asks is told it: without places on this disk."""
        return tuple(each.fact for each in self._unsearched.doubts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is not looked at, whatever the picture, and leaves none undecided."""
        return tuple(map(str, self._unsearched.notes))

    @property
    def noted(self) -> tuple[str, ...]:
        """The same as whoever asks is told it."""
        return tuple(each.fact for each in self._unsearched.notes)

    def check(self, image: Image) -> GuardVerdict:
        """The verdict on one picture. What cannot be read or compared is inconclusive, and no error."""
        return self.check_many([image])[0]

    def check_many(self, images: Sequence[Image]) -> list[GuardVerdict]:
        """The verdicts on several, which are searched together. Memory: the pictures, and the views of 16 of them."""
        start = time.perf_counter()
        try:
            found = self._checked(images)
        except (MemauditError, OSError, MemoryError) as error:
            if len(images) > 1:  # one of them must not decide about the others
                return [verdict for image in images for verdict in self.check_many([image])]
            return [undecided(" ".join(str(error).split()) or type(error).__name__)]
        seconds = round((time.perf_counter() - start) / max(1, len(images)), 6)
        return [GuardVerdict(**{**vars(verdict), "seconds": seconds}) for verdict in found]

    def _checked(self, images: Sequence[Image]) -> list[GuardVerdict]:
        with ExitStack() as stack, self._lock:
            # Reads a manifest, and that of each store where there are several: milliseconds beside a search
            self._lookup.references.require_current()
            data = [_bytes_of(image) for image in images]
            uris = [stack.enter_context(readable(each)) for each in data]
            refs = (ImageRef(uri, uri, data=each) for uri, each in zip(uris, data, strict=True))
            answers: dict[str, list[Answer]] = {uri: [] for uri in uris}
            for answer in self._lookup.answers(refs):
                answers[answer.image.partition("#")[0]].append(answer)
            digests = [hashlib.sha256(each).hexdigest() for each in data]
            return [self._verdict(answers[uri], digest) for uri, digest in zip(uris, digests, strict=True)]

    def _verdict(self, answers: Sequence[Answer], sha256: str) -> GuardVerdict:
        matches = [match for answer in answers for match in answer.matches]
        redrawn = [match for answer in answers for match in answer.redrawn]
        # As in an audit: a black frame, or an empty place of a sheet, leaves nothing open of the others
        seen = [answer for answer in answers if answer.status != Status.BLANK] or answers
        doubts = tuple(dict.fromkeys(doubt for answer in seen for doubt in _doubts(answer)))
        nearest = [answer.nearest for answer in answers if answer.nearest]
        is_found = bool(matches or (redrawn and Kind.REDRAWN in self._lookup.kinds))
        reasons = (*doubts, *self.facts)
        verdict = Verdict.FAIL if is_found else Verdict.INCONCLUSIVE if reasons or not answers else Verdict.PASS
        closest = max(nearest, key=lambda match: match.similarity, default=None)
        found = (tuple(matches), tuple(redrawn), closest, len(answers))
        return GuardVerdict(verdict, sha256, reasons, *found, notes=self.noted)


def _bytes_of(image: Image) -> bytes:
    if not isinstance(image, bytes | str | Path):
        raise UsageError(f"a picture is its bytes, or the path of its file, and no {type(image).__name__}")
    return image if isinstance(image, bytes) else read_bytes(str(image))


def _doubts(answer: Answer) -> Iterator[str]:
    if answer.status != Status.OK:
        yield answer.error or str(answer.status)
    elif answer.compared < answer.candidates:
        lost = answer.candidates - answer.compared
        yield f"{lost:,} candidates could not be compared on pixels ({'; '.join(answer.why)})"


@contextmanager
def readable(data: bytes) -> Iterator[str]:
    """A place where these bytes can be read like a file while the block lasts: in memory where the system can, else in
    a temporary file that its owner alone may read."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("memaudit")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with TemporaryFolder(None, "memaudit-guard-") as folder:
        place = folder / "picture"
        place.write_bytes(data)
        yield str(place)
