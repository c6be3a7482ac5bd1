"""Prompts to generate from."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from memaudit.api.notebook import grid
from memaudit.api.places import AnyStore, store_at
from memaudit.api.runs import DedupRun, ReweightRun
from memaudit.api.runs_given import table_of
from memaudit.audit.prompt_weights import ImageWeights
from memaudit.audit.prompts import (
    Chosen,
    GroupSizes,
    Prompt,
    choose_matched,
    choose_prompts,
    require_prompts_or_none,
    write_prompts,
)
from memaudit.errors import UsageError
from memaudit.folders import sole_writer_of
from memaudit.store import require_current

_SHOWN = 10


@dataclass(frozen=True, repr=False)
class Prompts:
    """Captions to generate from, and what they were chosen from.

    >>> chosen = ma.make_prompts(ma.embed("training.csv", out="store", encoder="thumbnail"), n=2)
    >>> len(chosen), chosen.chosen.captioned
    (2, 12)
    """

    chosen: Chosen

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Caption, image_id, seed, and images of its group in the dedup run."""
        return self.chosen.prompts

    def write(self, path: str | Path) -> Path:
        """JSON lines, as `pairing` of an audit takes them. Raises UsageError where another file is there."""
        require_prompts_or_none(Path(path))
        write_prompts(self.prompts, Path(path))
        return Path(path)

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        return f"<Prompts: {len(self):,} of {self.chosen.distinct:,} distinct captions>"

    def _repr_html_(self) -> str:
        rows = [(prompt.prompt, prompt.image_id) for prompt in self.prompts[:_SHOWN]]
        return grid(("prompt", "image_id"), rows, len(self) - len(rows))


def make_prompts(
    store: AnyStore,
    out: str | Path | None = None,
    *,
    n: int = 50_000,
    strategy: str = "random",
    by: str = "caption",
    dedup: str | Path | DedupRun | None = None,
    held_out: AnyStore | None = None,
    weights: str | Path | ReweightRun | None = None,
    seed: int = 0,
) -> Prompts:
    """Choose captions of the training set to generate from.

    out: file of JSON lines to write. strategy: random, most-duplicated or mixed; the latter two need `dedup`, a run of
    this store. by: whether `random` is over distinct captions, or over images. held_out: a store of held-out images
    with captions: half of the prompts are of these, so that an audit with them as its control tests whether the model
    gives the images of its prompts back more often where it has seen them. weights: a run of `run_reweight` on this
    store: images are drawn as often as a training by its weights sees them. Raises UsageError for an unknown strategy,
    and where `out` is another file than earlier prompts, InputError for a store without captions.

    >>> store = ma.embed("training.csv", out="store", encoder="thumbnail")
    >>> ma.make_prompts(store, out="prompts.jsonl", n=3)
    <Prompts: 3 of 12 distinct captions>
    """
    if out is not None:
        require_prompts_or_none(Path(out))
    with sole_writer_of(Path(out)) if out is not None else nullcontext():
        training = store_at(store)
        others = None if held_out is None else store_at(held_out)
        if others is not None:
            if strategy != "random" or dedup is not None or by != "caption" or weights is not None:
                raise UsageError(
                    "--held-out draws captions at random on both sides: leave --strategy, --dedup, --by and "
                    "--weights out"
                )
            chosen = choose_matched(training, others, n, seed)
        else:
            sizes = GroupSizes.read(table_of(dedup, training, "groups.parquet")) if dedup else None
            table = None if weights is None else table_of(weights, training, "weights.parquet", "reweight", "--weights")
            chances = None if table is None else ImageWeights.read(table)
            chosen = choose_prompts(training, n, strategy, sizes, seed, by, chances)
        prompts = Prompts(chosen)
        require_current(training, others)
        if out is not None:
            prompts.write(out)
        return prompts
