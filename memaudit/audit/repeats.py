"""Which rows of a store hold one picture again: a card of a filter, saved for every prompt, is one picture."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from memaudit.images.parts import file_of
from memaudit.store import Columns, Store
from memaudit.types import Int64, Status

Digests = NDArray[np.str_]
_BYTES = 16  # of a digest: two of 10 ** 9 pictures share one with a chance of 1e-21


def picture_digests(store: Store, columns: Columns) -> Digests:
    """For each row a digest (32 hex digits) of its picture, empty where it has no embedding.

    That is the digest of the embedding, bit by bit: equal pixels have equal embeddings, whatever file and metadata
    they came in; pixels that a lossy format changed have others, unless nobody could tell by them. Equal files are one
    picture, even if they were embedded apart. Memory: a block, and the digests.
    """
    digests = np.zeros(len(columns.status), f"U{2 * _BYTES}")
    for block in store.stored_blocks():
        vectors = np.ascontiguousarray(block.embeddings)
        digests[block.rows] = [hashlib.blake2b(vector.tobytes(), digest_size=_BYTES).hexdigest() for vector in vectors]
    rows = np.flatnonzero(columns.status == Status.OK)
    _, first, same = np.unique(columns.file[rows], return_index=True, return_inverse=True)
    digests[rows] = digests[rows[first]][same]
    return digests


def draws_of(pictures: Digests, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True for the rows that count as draws: every one with a finding, and of the others one for each picture.

    A training image that comes back for a hundred prompts came back a hundred times. A picture without a finding is
    seen once, however often it was saved, and not at all beside a finding of the very same picture: there it was the
    search that differed.
    """
    counted = np.array(found & (pictures != ""), bool)
    others = np.flatnonzero(~counted & (pictures != "") & ~np.isin(pictures, pictures[counted]))
    _, first = np.unique(pictures[others], return_index=True)
    counted[others[first]] = True
    return counted


def one_of_each(pictures: Digests, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True for one row of each picture, with a finding if it has any: what a test of significance takes for a draw."""
    order = np.argsort(~found, kind="stable")
    order = order[pictures[order] != ""]
    _, first = np.unique(pictures[order], return_index=True)
    distinct = np.zeros(len(pictures), bool)
    distinct[order[first]] = True
    return distinct


def files_of(image_ids: NDArray[np.object_]) -> Int64:
    """For each row that of its file: of a frame, or of a picture on a sheet, the file's own; else the row itself.

    Where a file has no row of its own its first part stands for it."""
    files = [file_of(image_id) for image_id in image_ids]
    wanted = set(files) - {""}
    rows = {image_id: row for row, image_id in enumerate(image_ids) if image_id in wanted}
    return np.array([rows.setdefault(file, row) if file else row for row, file in enumerate(files)], np.int64)


def one_of_each_file(pictures: Digests, found: NDArray[np.bool_], files: Int64) -> Digests:
    """The pictures, with one left of each file: a film, or a sheet, is one draw, whatever number of pictures it holds.

    It is one with a finding if the file has any; else the first.
    """
    order = np.argsort(~found, kind="stable")
    order = order[pictures[order] != ""]
    _, first = np.unique(files[order], return_index=True)
    left = np.zeros_like(pictures)
    left[order[first]] = pictures[order[first]]
    return left


def undecided_draws(
    draws: Digests, undecided: NDArray[np.bool_], found: NDArray[np.bool_], files: Int64
) -> NDArray[np.bool_]:
    """Which of the pictures that are left of `one_of_each_file` nothing is known of: there is no finding in their file,
    and of one of its pictures, or of the same picture in another file, it could not be decided whether it is one."""
    lost = np.isin(files, files[undecided]) & ~np.isin(files, files[found]) & (draws != "")
    return np.asarray((draws != "") & ~found & np.isin(draws, draws[lost]))


def first_of_picture(pictures: Digests) -> Int64:
    """For each row the first one of the same picture; -1 for a row without one."""
    rows = np.flatnonzero(pictures != "")
    _, first, same = np.unique(pictures[rows], return_index=True, return_inverse=True)
    result = np.full(len(pictures), -1, np.int64)
    result[rows] = rows[first][same]
    return result


def draw_of_rows(pictures: Digests, files: Int64) -> Int64:
    """For each row with a picture the row that stands for its draw, -1 for others: the first of its file, or of an
    earlier file that begins with the same picture. A film of a hundred frames is one observation."""
    rows = np.flatnonzero(pictures != "")
    _, first, same = np.unique(files[rows], return_index=True, return_inverse=True)
    of_file = rows[first][same]
    begins = np.zeros_like(pictures)
    begins[of_file] = pictures[of_file]
    result = np.full(len(pictures), -1, np.int64)
    result[rows] = first_of_picture(begins)[of_file]
    return result
