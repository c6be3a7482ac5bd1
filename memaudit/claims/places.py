"""What is kept of a claim without where it lies on a disk: that is nothing that whoever asked may be told."""

from __future__ import annotations

from msgspec.structs import replace

from memaudit.claims.answer import ClaimAnswer, PictureAnswer
from memaudit.claims.vault import Kept
from memaudit.images.remote import is_web


def kept_without_places(kept: Kept) -> Kept:
    return replace(kept, pictures=[replace(each, name=_named(each.name)) for each in kept.pictures])


def answer_without_places(answer: ClaimAnswer) -> ClaimAnswer:
    pictures = [_picture_without_places(each) for each in answer.pictures]
    return replace(answer, pictures=pictures, not_read=[_sentence(line) for line in answer.not_read])


def _picture_without_places(picture: PictureAnswer) -> PictureAnswer:
    found = [replace(each, uri=_named(each.uri)) for each in picture.found]
    return replace(picture, name=_named(picture.name), found=found)


def _named(place: str) -> str:
    """A file's name; an address of the web as it is."""
    return place if is_web(place) else place.rpartition("/")[2]


def _sentence(line: str) -> str:
    """What a source holds besides, which the sentence begins with."""
    source, colon, rest = line.partition(": ")
    return f"{_named(source)}{colon}{rest}"
