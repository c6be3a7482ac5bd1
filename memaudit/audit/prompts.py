"""Prompts to generate from: captions of the training set, drawn at random or from its most duplicated images."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memaudit.audit.pairing import HELD_OUT
from memaudit.audit.prompt_weights import ImageWeights, race, stands_for
from memaudit.audit.text_hashes import hash_of
from memaudit.errors import InputError, UsageError
from memaudit.files import text_lines, write_text
from memaudit.images.image_ref import object_in
from memaudit.store import Store
from memaudit.types import Int64, Status

STRATEGIES = ("random", "most-duplicated", "mixed")
UNITS = ("caption", "image")
BY_IMAGE = "random by image"
BY_WEIGHT = "random by weight"
MATCHED = "matched"  # the strategy of captions of both sides
_NAME_DIGITS = 6


class Prompt(NamedTuple):
    """A caption to generate from. copies: images of its group in the dedup run; 0: no run was given.

    strategy: how it was chosen; stratum: random, duplicated, or held-out; weight: how many distinct captions, or
    images, it stands for, 0 for none but itself: of the most duplicated ones no rate of the model follows, and held-out
    ones are none of the training set; distinct: captions that it was drawn of, 0: that is not known.
    """

    prompt: str
    image_id: str
    seed: int
    copies: int
    strategy: str = "random"
    stratum: str = "random"
    weight: float = 0.0
    distinct: int = 0


@dataclass(frozen=True)
class Chosen:
    """The prompts, in order, and what they were chosen from. distinct: captions; counted exactly, or estimated.
    held_out: how many of the prompts are held-out captions."""

    prompts: tuple[Prompt, ...]
    captioned: int
    images: int
    distinct: int
    estimated: bool
    held_out: int = 0


class GroupSizes:
    """How many images the group of an image has, by image_id. Memory: 16 bytes for each grouped image."""

    def __init__(self, hashes: NDArray[np.uint64], groups: Int64) -> None:
        order = np.argsort(hashes)
        self._hashes, self._groups = hashes[order], groups[order]
        # By number and not by place: a number may be anything
        self._numbers, self._sizes = np.unique(groups, return_counts=True)

    @classmethod
    def read(cls, path: Path) -> GroupSizes:
        """Read the groups.parquet of a dedup run. Raises InputError for what is none."""
        hashes, groups = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        try:
            for batch in pq.ParquetFile(path).iter_batches(columns=["image_id", "group"]):
                ids, numbers = batch.column("image_id"), batch.column("group")
                if ids.null_count or numbers.null_count or not pa.types.is_integer(numbers.type):
                    raise ValueError("an image without a name or without the number of its group")
                hashes.append(np.fromiter((hash_of(i) for i in ids.cast(pa.string()).to_pylist()), np.uint64, len(ids)))
                groups.append(numbers.to_numpy().astype(np.int64))
        except (OSError, ValueError, pa.ArrowException, KeyError) as error:  # ValueError: bytes that are no text, too
            reason = str(error).partition("\n")[0]
            raise InputError(f"--dedup {path.parent} holds no groups of a memaudit dedup run: {reason}") from None
        return cls(np.concatenate(hashes), np.concatenate(groups))

    def of(self, image_id: str) -> tuple[int, int]:
        """The number of the image's group and its size; (-1, 1) for an image that has no near-duplicate."""
        key = np.uint64(hash_of(image_id))
        place = int(np.searchsorted(self._hashes, key))
        if place == len(self._hashes) or self._hashes[place] != key:
            return -1, 1
        group = self._groups[place]
        return int(group), int(self._sizes[np.searchsorted(self._numbers, group)])

    def rows(self, store: Store) -> Int64:
        """The number of the group of each row of a store; -1 for an image that has no near-duplicate."""
        if not len(self._hashes):
            return np.full(len(store), -1, np.int64)
        found = [np.empty(0, np.int64)]
        for columns in store.iter_columns():
            keys = np.fromiter((hash_of(image_id) for image_id in columns.image_id), np.uint64, len(columns.image_id))
            place = np.minimum(np.searchsorted(self._hashes, keys), len(self._hashes) - 1)
            found.append(np.where(self._hashes[place] == keys, self._groups[place], -1))
        return np.concatenate(found)


class _Best:
    """Keeps the `size` keys of least rank, each with that offer of least tie. Memory: twice as many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[int | str, tuple[tuple[int, int], int, Prompt]] = {}
        self._worst: tuple[int, int] | None = None

    def offer(self, key: int | str, rank: tuple[int, int], tie: int, prompt: Prompt) -> None:
        if self._worst is not None and rank > self._worst:
            return
        kept = self._kept.get(key)
        if kept is None or tie < kept[1]:
            self._kept[key] = (rank, tie, prompt)
        if len(self._kept) > 2 * self._size:
            self._prune()

    def _prune(self) -> None:
        ranked = sorted(self._kept.items(), key=lambda item: item[1][0])[: self._size]
        self._kept, self._worst = dict(ranked), ranked[-1][1][0]

    @property
    def complete(self) -> bool:
        """True if every key that was offered is still there."""
        return self._worst is None

    def ranked(self) -> list[tuple[tuple[int, int], Prompt]]:
        """What was kept, least rank first."""
        return [(rank, prompt) for rank, _, prompt in sorted(self._kept.values(), key=lambda kept: kept[0])]


def choose_prompts(
    store: Store,
    count: int,
    strategy: str = "random",
    sizes: GroupSizes | None = None,
    seed: int = 0,
    by: str = "caption",
    weights: ImageWeights | None = None,
) -> Chosen:
    """Choose `count` captions of comparable images, no caption twice; the same for the same seed, in any order of rows.

    random: each distinct caption is as likely as any other; by image: each image is, so that a caption is as likely as
    it is common, or with weights as common as a training by them makes it. most-duplicated: one image of each group of
    the dedup run, largest group first. mixed: half of these, the rest at random. Memory: a few times `count` captions.
    Raises UsageError for impossible options, InputError for a store without captions.
    """
    _require_possible(count, strategy, sizes, "image" if weights else by)
    drawn, duplicated = _Best(2 * count), _Best(2 * count)
    captioned, of_images = 0, _Best(count + 1)
    for prompt in _captioned(store, sizes, seed):
        captioned += 1
        tie = hash_of(f"{seed} {prompt.image_id}")
        drawn.offer(prompt.prompt, (0, hash_of(f"{seed} {prompt.prompt}")), tie, prompt)
        if weights is not None or by == "image":
            _offer_image(of_images, prompt, seed, weights)
        if sizes is not None and prompt.copies > 1:
            group, _ = sizes.of(prompt.image_id)
            duplicated.offer(group, (-prompt.copies, hash_of(f"{seed} {group}")), tie, prompt)
    _require_captions(store, captioned)
    distinct = _count_of(drawn, 2 * count)
    if weights is not None or by == "image":
        images = _of_images(of_images.ranked(), count, captioned, weights)
        return Chosen(images, captioned, len(store), distinct, not drawn.complete)
    wanted = {"random": 0, "most-duplicated": count, "mixed": count // 2}[strategy]
    certain = _first_captions([prompt for _, prompt in duplicated.ranked()], wanted)
    chosen = certain
    if strategy != "most-duplicated":
        chosen = _first_captions([*certain, *(prompt for _, prompt in drawn.ranked())], count)
    weighted = _weighted(chosen, len(certain), distinct, strategy)
    return Chosen(weighted, captioned, len(store), distinct, not drawn.complete)


def _weighted(chosen: Sequence[Prompt], certain: int, distinct: int, strategy: str) -> tuple[Prompt, ...]:
    """The first `certain` of them were taken without a draw and stand for themselves, the others for all that is left
    of the `distinct` captions."""
    drawn = len(chosen) - certain
    weight = max(1.0, (distinct - certain) / drawn) if drawn else 0.0
    alone = 0.0 if strategy == "most-duplicated" else 1.0
    told = [prompt._replace(strategy=strategy, distinct=distinct) for prompt in chosen]
    of_certain = (prompt._replace(stratum="duplicated", weight=alone) for prompt in told[:certain])
    of_drawn = (prompt._replace(stratum="random", weight=weight) for prompt in told[certain:])
    return (*of_certain, *of_drawn)


def _offer_image(best: _Best, prompt: Prompt, seed: int, weights: ImageWeights | None) -> None:
    """Where there are weights only to what has one."""
    lot = hash_of(f"{seed} image {prompt.image_id}")
    weight = 1.0 if weights is None else weights.of(prompt.image_id)
    if weight:
        best.offer(prompt.image_id, (0, lot if weights is None else race(lot, weight)), lot, prompt)


def _of_images(
    ranked: Sequence[tuple[tuple[int, int], Prompt]], count: int, captioned: int, weights: ImageWeights | None
) -> tuple[Prompt, ...]:
    """A caption that several of the drawn images have stands there once, and for as many images as all of them do."""
    images = [prompt for _, prompt in ranked[:count]]
    if weights is None:
        each, strategy = [captioned / len(images)] * len(images), BY_IMAGE
    else:
        last = ranked[count][0][1] if len(ranked) > count else None
        each, strategy = stands_for([weights.of(prompt.image_id) for prompt in images], last), BY_WEIGHT
    having = defaultdict[str, float](float)
    for prompt, weight in zip(images, each, strict=True):
        having[prompt.prompt] += weight
    return tuple(
        prompt._replace(strategy=strategy, weight=having[prompt.prompt]) for prompt in _first_captions(images, count)
    )


def choose_matched(store: Store, held_out: Store, count: int, seed: int = 0) -> Chosen:
    """Half of `count` captions at random of the training set, and as many of images that the model never saw, in an
    order that tells nobody which are which. A caption that both sets have is on neither side.

    Memory: a few times `count` captions, and 8 bytes for each held-out one.
    Raises UsageError for fewer than two, InputError for a store without captions of its own.
    """
    if count < 2:
        raise UsageError(f"--n {count} is out of range: expected at least 2, half of them held out")
    unseen = {hash_of(prompt.prompt) for prompt in _captioned(held_out, None, seed)}
    _require_captions(held_out, len(unseen))
    both, drawn, controls, captioned = set[int](), _Best(count), _Best(count), 0
    for prompt in _captioned(store, None, seed):
        captioned += 1
        text = hash_of(prompt.prompt)
        if text in unseen:
            both.add(text)
        else:
            _offer(drawn, prompt, seed)
    _require_captions(store, captioned)
    for prompt in _captioned(held_out, None, seed):
        if hash_of(prompt.prompt) not in both:
            _offer(controls, prompt, seed)
    half = min(count // 2, len(drawn.ranked()), len(controls.ranked()))
    if not half:
        raise InputError(f"every caption of {store.folder} or of {held_out.folder} is one of the other set as well")
    distinct = _count_of(drawn, count)
    trained, held = ([prompt for _, prompt in side.ranked()[:half]] for side in (drawn, controls))
    chosen = [
        *(prompt._replace(strategy=MATCHED, weight=distinct / half) for prompt in trained),
        *(prompt._replace(strategy=MATCHED, stratum=HELD_OUT) for prompt in held),
    ]
    chosen.sort(key=lambda prompt: hash_of(f"{seed} order {prompt.prompt}"))
    return Chosen(tuple(chosen), captioned, len(store), distinct, not drawn.complete, half)


def _offer(best: _Best, prompt: Prompt, seed: int) -> None:
    best.offer(prompt.prompt, (0, hash_of(f"{seed} {prompt.prompt}")), hash_of(f"{seed} {prompt.image_id}"), prompt)


def _count_of(best: _Best, size: int) -> int:
    """How many distinct keys were offered to one of this size: exactly if all are there, else an estimate."""
    return len(best.ranked()) if best.complete else _estimated(best.ranked()[size - 1], size)


def _require_captions(store: Store, captioned: int) -> None:
    if not captioned:
        raise InputError(
            f"store {store.folder} has no image with a caption: embed a manifest with a column caption, or tars that "
            "hold a .txt for each image"
        )


def _require_possible(count: int, strategy: str, sizes: GroupSizes | None, by: str) -> None:
    if count < 1:
        raise UsageError(f"--n {count} is out of range: expected at least 1")
    if strategy not in STRATEGIES:
        raise UsageError(f"unknown --strategy {strategy!r}: expected one of {', '.join(STRATEGIES)}")
    if by not in UNITS:
        raise UsageError(f"unknown --by {by!r}: expected one of {', '.join(UNITS)}")
    if by == "image" and strategy != "random":
        raise UsageError(f"--by image is for --strategy random: {strategy} prompts have chances of their own")
    if strategy != "random" and sizes is None:
        raise UsageError(f"--strategy {strategy} needs --dedup, the folder of a memaudit dedup run of this store")


def _captioned(store: Store, sizes: GroupSizes | None, seed: int) -> Iterator[Prompt]:
    """The comparable images with a caption; white space is made plain, so that a prompt is one line."""
    for columns in store.iter_columns():
        for image_id, caption, status in zip(columns.image_id, columns.caption, columns.status, strict=True):
            text = " ".join(caption.split())
            if text and status == Status.OK:
                copies = sizes.of(image_id)[1] if sizes is not None else 0
                yield Prompt(text, image_id, hash_of(f"{seed} seed {image_id}") >> 33, copies)


def _first_captions(prompts: Iterable[Prompt], count: int) -> list[Prompt]:
    """The first `count` prompts whose caption did not occur before."""
    seen: dict[str, Prompt] = {}
    for prompt in prompts:
        if len(seen) == count:
            break
        seen.setdefault(prompt.prompt, prompt)
    return list(seen.values())


def _estimated(last: tuple[tuple[int, int], Prompt], k: int) -> int:
    """How many distinct captions there are, by the k-th smallest of their hashes (Bar-Yossef et al. 2002): it errs by
    about 1 / sqrt(k)."""
    return round((k - 1) / ((last[0][1] + 1) / 2**64))


def require_prompts_or_none(path: Path) -> None:
    """Raise UsageError where prompts would be written over another file, such as a manifest of the training set."""
    if path.is_file() and path.stat().st_size and not _holds_prompts(path):
        raise UsageError(f"{path} exists already, and holds no prompts of memaudit: choose another --out")


def _holds_prompts(path: Path) -> bool:
    try:
        first = object_in(next(text_lines(path), ""))
    except (OSError, UnicodeDecodeError):
        return False
    return {"generation", "prompt", "image_id"} <= first.keys()


def write_prompts(prompts: Iterable[Prompt], path: Path) -> None:
    """Write JSON lines that `audit --pairing` reads; `generation` is what the image to be made is to be called."""
    lines = (
        json.dumps({"generation": f"{number:0{_NAME_DIGITS}d}", **prompt._asdict()}, ensure_ascii=False)
        for number, prompt in enumerate(prompts)
    )
    write_text(path, "".join(f"{line}\n" for line in lines))
