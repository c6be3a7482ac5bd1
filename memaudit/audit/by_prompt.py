"""Generations by their prompt: seeds of one prompt are no draws of their own, prompts are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.pairing import Prompted
from memaudit.audit.results import ByPrompt, Extrapolated
from memaudit.images.parts import file_of
from memaudit.statistics import chao2, clopper_pearson_lower, new_with_one_more, rate_of, weighted_rate
from memaudit.store import Columns
from memaudit.types import CONFIDENCE, Coverage, Float64, Int64, Status

_UNASKED = Prompted("")
_GENERATION = "generation "


class Asked(NamedTuple):
    """What each generation was asked for. prompt (rows,): the number of its prompt; of_missing: of those that the
    pairing names and that are not there; keys: of each prompt its text, or else its training image; empty where nothing
    is known of it. known: whether any is known. Where one is not, its generation counts as a prompt of its own: as
    independent of all others.

    Prompts are numbered by how many generations they have, then by name: the same prompts have the same numbers.
    """

    by_row: Sequence[Prompted]
    prompt: Int64
    of_missing: Int64
    keys: tuple[str, ...]
    known: bool

    @property
    def prompts(self) -> int:
        return len(self.keys)

    @property
    def sizes(self) -> Int64:
        """Generations asked for by prompt, in order of their number: it never falls."""
        return np.bincount(np.concatenate([self.prompt, self.of_missing]), minlength=self.prompts)


def asked(
    image_ids: NDArray[np.object_], files: Int64, pairing: Mapping[str, Prompted], missing: Sequence[str]
) -> Asked:
    """files: for each row that of its file; frames of a film are no prompts of their own."""
    by_row = [pairing.get(name) or pairing.get(file_of(name), _UNASKED) for name in image_ids]
    lost = [pairing[name] for name in missing]
    keys = [_key(each, image_ids[file]) for each, file in zip(by_row, files.tolist(), strict=True)]
    keys += [_key(each, name) for each, name in zip(lost, missing, strict=True)]
    sizes = Counter(keys)
    number = {key: place for place, key in enumerate(sorted(sizes, key=lambda key: (sizes[key], key)))}
    numbers = np.array([number[key] for key in keys], np.int64)
    rows = len(by_row)
    known = tuple("" if key.startswith(_GENERATION) else key for key in number)
    return Asked(by_row, numbers[:rows], numbers[rows:], known, bool(pairing))


def _key(each: Prompted, name: str) -> str:
    """A prompt is known by its text, or else by the training image that it was taken from."""
    text = " ".join(each.prompt.split())
    return f"prompt {text}" if text else f"image {each.reference_id}" if each.reference_id else f"{_GENERATION}{name}"


def by_prompt(asked: Asked, columns: Columns, counted: NDArray[np.bool_], found: NDArray[np.bool_]) -> ByPrompt | None:
    """How many prompts gave a training image back in any of their generations that count; None: none is known.

    A prompt is measured if one of them counts, and lost if none does and one could not be read or is missing.
    """
    if not asked.known:
        return None
    drawn = np.bincount(asked.prompt[counted], minlength=asked.prompts)
    returned = len(np.unique(asked.prompt[counted & found]))
    lost = np.concatenate([asked.prompt[columns.status == Status.UNREADABLE], asked.of_missing])
    measured, unmeasured = int((drawn > 0).sum()), int((drawn[np.unique(lost)] == 0).sum())
    strategies = sorted({each.strategy for each in asked.by_row if each.strategy})
    shares = _shares(asked, drawn > 0)
    hit = np.unique(asked.prompt[counted & found])
    seeds, prompts = np.unique(drawn[drawn > 0], return_counts=True)
    return ByPrompt(
        rate_of(returned, Coverage(measured, measured + unmeasured)),
        tuple(zip(seeds.tolist(), prompts.tolist(), strict=True)),
        asked.prompt,
        asked.of_missing,
        asked.keys,
        asked.sizes,
        tuple(strategies),
        shares,
        None if shares is None or not shares.max() else weighted_rate(shares[hit].tolist(), float(shares.max())),
        _extrapolated(asked, drawn, np.bincount(asked.prompt[counted & found], minlength=asked.prompts)),
    )


def _extrapolated(asked: Asked, drawn: Int64, found: Int64) -> Extrapolated | None:
    """Only from prompts that say they were drawn at random, of how many captions, and of which each stands for as many.

    Prompts are joined and cut, so that what their weights come to is not the number of the captions.
    """
    each = {(one.strategy, one.stands_for, one.distinct) for one in asked.by_row}
    measured = drawn > 0
    if len(each) != 1 or not measured.any():
        return None
    ((strategy, weight, distinct),) = each
    if strategy != "random" or not weight or not distinct:
        return None
    captions, drawn, found = max(distinct, asked.prompts), drawn[measured], found[measured]
    prompts, seeds = len(drawn), int(drawn.min())
    low = clopper_pearson_lower(int((found > 0).sum()), prompts, (1 - CONFIDENCE) / 2)
    alike = seeds == drawn.max() and seeds > 1
    return Extrapolated(
        captions,
        captions * float((found / drawn).mean()),
        captions * low,
        captions / prompts * chao2(found, seeds) if alike else None,
        new_with_one_more(found, seeds) if alike else None,
    )


def _shares(asked: Asked, measured: NDArray[np.bool_]) -> Float64 | None:
    """Of each measured prompt the share of all captions that it stands for; None where all stand for as many.

    One of which nobody says it counts as the one that stands for most; held-out ones stand for none.
    """
    weight = np.full(asked.prompts, np.nan)
    for number, each in zip(asked.prompt.tolist(), asked.by_row, strict=True):
        weight[number] = np.nan if each.stands_for is None else each.stands_for
    if np.isnan(weight[measured]).all():
        return None
    largest = np.nanmax(weight[measured])
    if not largest and np.isnan(weight[measured]).any():
        largest = 1.0
    weight = np.where(measured, np.where(np.isnan(weight), largest, weight), 0.0)
    if not largest or (weight[measured] == largest).all():
        return None
    return np.asarray(weight / weight.sum(), dtype=np.float64)
