"""Images embedded by other processes: a task is a part of the set, into a store of its own; merged, they are one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from memaudit.embedding.options import EmbedOptions, PartOf
from memaudit.embedding.reconcile import require_distinct
from memaudit.embedding.run import embed, require_outside
from memaudit.encoders import Encoder, load_encoder
from memaudit.errors import InconclusiveError, InputError
from memaudit.images.hosts import allow_hosts, allowed_hosts
from memaudit.images.passed_over import PassedOver
from memaudit.images.sources import iter_images
from memaudit.store import Store, merge
from memaudit.tasks import (
    Executor,
    Work,
    finish,
    forget,
    read_found,
    read_inputs,
    text_arrays,
    texts_of,
    threads,
    write_found,
    write_inputs,
)
from memaudit.tasks.files import Arrays
from memaudit.types import Progress


@dataclass(frozen=True)
class Named:
    """An encoder by what it is loaded by. devices: of the workers, in turn: that of a part is its number's."""

    encoder: str
    devices: tuple[str, ...]
    unverified: bool

    def device_of(self, number: int) -> str:
        return self.devices[number % len(self.devices)]

    def load(self, device: str) -> Encoder:
        return load_encoder(self.encoder, device=device, allow_unverified_weights=self.unverified)


def embed_elsewhere(
    sources: Sequence[str], folder: Path, named: Named, options: EmbedOptions, executor: Executor, progress: Progress
) -> Store | None:
    """The store that one process would make, merged of parts, as many as there are workers and shards; None where that
    is but one. Called again after a kill, it continues: what its parts have is held against the sources first, as these
    may be others by now.

    Raises as `embed`; InconclusiveError where parts were not made.
    """
    require_outside(folder, sources)
    total = require_distinct(
        lambda: (ref.image_id for ref in iter_images(sources, contents=False, passed=options.passed))
    )
    parts = min(executor.parts, -(-total // options.shard_rows))
    if parts < 2:
        return None
    told = {
        "sources": list(sources),
        "named": [named.encoder, list(named.devices), named.unverified],
        "options": [options.batch_size, options.workers, options.shard_rows, options.reuse],
        "parts": parts,
        "hosts": sorted(allowed_hosts()),
    }
    work = Work(write_inputs(executor.folder, "embed", told, {}), __name__, parts)
    forget(work, (), lambda found: True)
    finish(work, executor, lambda done: progress("embedding", done * total // parts, total))
    if options.passed is not None:
        _say(work, options.passed)
    return merge([Store.open(_part(work.folder, number)) for number in range(parts)], folder, progress)


def _counted(passed: PassedOver) -> Arrays:
    """What a part says of images that a killed run had embedded."""
    stayed, otherwise = passed.earlier, passed.otherwise
    return {
        "stayed": np.array([stayed.number, otherwise.number]),
        **text_arrays("first_stayed", stayed.names),
        **text_arrays("first_otherwise", otherwise.names),
    }


def _say(work: Work, passed: PassedOver) -> None:
    """The same of all parts."""
    names = ("stayed", "first_stayed", "first_stayed_ends", "first_otherwise", "first_otherwise_ends")
    found = [read_found(work.folder, number, names) for number in range(work.tasks)]
    stayed, otherwise = np.sum([each["stayed"] for each in found], axis=0).tolist()
    passed.stayed(stayed, [name for each in found for name in texts_of(each, "first_stayed")])
    passed.said_otherwise(otherwise, [name for each in found for name in texts_of(each, "first_otherwise")])


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number + 1}"


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, _ = read_inputs(folder)
    allow_hosts(told["hosts"])
    name, devices, unverified = told["named"]
    named = Named(name, tuple(devices), unverified)
    load = cache(named.load)
    batch_size, workers, shard_rows, reuse = told["options"]
    options = EmbedOptions(batch_size, workers or threads(), shard_rows, reuse=reuse)
    for number in numbers:
        passed = PassedOver()
        part = replace(options, part=PartOf(number + 1, told["parts"]), passed=passed)
        store = _embedded(told["sources"], _part(folder, number), load(named.device_of(number)), part)
        write_found(folder, number, {"rows": np.array(len(store)), **_counted(passed)})


def _embedded(sources: Sequence[str], folder: Path, encoder: Encoder, options: EmbedOptions) -> Store:
    """What a killed run left of the part is kept, as far as it is what the sources are now."""
    try:
        return embed(sources, folder, encoder, options)
    except (InputError, InconclusiveError):
        return embed(sources, folder, encoder, options, replace_changed=True)
