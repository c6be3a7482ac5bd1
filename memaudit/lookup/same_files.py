"""Training images that are the very file that is asked for, whatever the search says, and though it be blank."""

from __future__ import annotations

from dataclasses import replace

from memaudit.images.addresses import unsigned
from memaudit.images.view_names import WHOLE
from memaudit.lookup.results import Answer, LookupMatch, LookupResult
from memaudit.matching.kinds import Kind
from memaudit.store import NO_FILE, Store


def with_same_files(result: LookupResult) -> LookupResult:
    """Put the training images that are the same file, without captions, before the other matches of each picture.

    Memory: a block of the store's columns, and all that is found. It costs one reading of these.
    """
    wanted = {answer.sha256 for answer in result.answers if answer.sha256 != NO_FILE}
    found = _images(result.references.store, wanted) if wanted else {}
    return replace(result, answers=tuple(_first(answer, found.get(answer.sha256, [])) for answer in result.answers))


def _images(store: Store, wanted: set[str]) -> dict[str, list[LookupMatch]]:
    """By the digest of the file."""
    found: dict[str, list[LookupMatch]] = {}
    for columns in store.iter_columns(only=("image_id", "uri", "sha256")):
        for place, sha256 in enumerate(columns.sha256):
            if sha256 in wanted:
                match = LookupMatch(
                    image_id=str(columns.image_id[place]),
                    similarity=1.0,
                    view=WHOLE,
                    uri=unsigned(str(columns.uri[place])),
                    caption="",
                    sha256=str(sha256),
                    kind=str(Kind.VERBATIM),
                    verified=True,
                )
                found.setdefault(str(sha256), []).append(match)
    return found


def _first(answer: Answer, same: list[LookupMatch]) -> Answer:
    if not same:
        return answer
    listed = {match.image_id: match for match in answer.matches}
    names = {match.image_id for match in same}
    others = tuple(match for match in answer.matches if match.image_id not in names)
    return replace(answer, matches=(*(listed.get(match.image_id, match) for match in same), *others))
