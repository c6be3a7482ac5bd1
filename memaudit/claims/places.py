"""What is kept of a claim without where it lies on a disk: that is nothing that whoever asked may be told."""

from __future__ import annotations

from msgspec.structs import replace

from memaudit.claims.answer import ClaimAnswer, FoundImage, PictureAnswer
from memaudit.claims.families import Member
from memaudit.claims.given_back import GivenBack
from memaudit.claims.vault import Kept
from memaudit.images.passed_over import NOT_READ
from memaudit.images.remote import is_web


def kept_without_places(kept: Kept) -> Kept:
    return replace(kept, pictures=[replace(each, name=_named(each.name)) for each in kept.pictures])


def answer_without_places(answer: ClaimAnswer) -> ClaimAnswer:
    pictures = [_picture_without_places(each) for each in answer.pictures]
    return replace(answer, pictures=pictures, not_read=[_sentence(line) for line in answer.not_read])


def id_without_place(image_id: str) -> str:
    """The last part of an image_id that is a path from the root, or an address that is none of the web, as manifests
    without ids have; all others as they are."""
    is_place = image_id.startswith("/") or "//" in image_id  # behind the name of one of several sources, too
    return _named(image_id) if is_place else image_id


def returned_without_place(given: GivenBack) -> GivenBack:
    return replace(given, image_id=id_without_place(given.image_id), generation=id_without_place(given.generation))


def _picture_without_places(picture: PictureAnswer) -> PictureAnswer:
    return replace(
        picture,
        name=_named(picture.name),
        found=[_found_without_place(each) for each in picture.found],
        given_back=[returned_without_place(each) for each in picture.given_back],
    )


def _found_without_place(image: FoundImage) -> FoundImage:
    family = [Member(id_without_place(member.image_id), member.decision) for member in image.family]
    return replace(image, image_id=id_without_place(image.image_id), uri=_named(image.uri), family=family)


def _named(place: str) -> str:
    """A file's name; an address of the web as it is."""
    return place if is_web(place) else place.rpartition("/")[2]


def _sentence(line: str) -> str:
    """What a source holds besides, which the sentence begins with."""
    mark = f": {NOT_READ}" if f": {NOT_READ}" in line else ": "  # a path may have a colon in it, too
    source, colon, rest = line.partition(mark)
    return f"{_named(source)}{colon}{rest}"
