"""A plan of work: what it takes on the machines at hand, what is the bottleneck, and the command lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from memaudit.costs.model import Costs, Machine, Stage, Told, read_costs
from memaudit.costs.quantities import AuditWork, DedupWork, embed_quantities, index_quantities
from memaudit.costs.sample import NearDuplicates
from memaudit.dedup.effort import spoken
from memaudit.dedup.enough import most_products
from memaudit.embedding.options import EmbedOptions
from memaudit.errors import UsageError
from memaudit.index.recipes import AUTO, settle
from memaudit.index.recipes import Machine as IndexMachine

BASIS = "computed, not run"
_LISTING = 0.26 / 12_000  # seconds that store.json takes for each shard that it lists, each time; measured at 12,000
_MOST_SHARDS = 16_000  # whose listing takes 46 minutes in all


@dataclass(frozen=True)
class Wanted:
    """What is planned. machines: how many of `machine`; price: of a machine and hour, None: no money is counted;
    within: seconds that it may take, None: any."""

    rows: int
    dim: int
    machine: Machine
    machines: int = 1
    price: float | None = None
    within: float | None = None


@dataclass(frozen=True)
class Planned:
    """What work takes, computed and not run. stages, seconds: on the slowest machine; memory, disk: bytes on each;
    bottleneck: the stage that takes longest, or memory where there is too little; fits: whether there is enough, in the
    time that was given too; machines_needed: for that time, None where no number of machines is enough; notes: what is
    assumed."""

    command: str
    rows: int
    dim: int
    machine: Machine
    machines: int
    stages: tuple[Stage, ...]
    seconds: float
    memory: int
    disk: int
    money: float | None
    bottleneck: str
    fits: bool
    machines_needed: int | None
    commands: tuple[str, ...]
    notes: tuple[str, ...]
    basis: str = BASIS


def plan_dedup(
    wanted: Wanted, near: NearDuplicates, *, exhaustive: bool, rereads: bool, store: str = "store", options: str = ""
) -> Planned:
    """One machine compares: with a GPU it does so in half precision. rereads: whether images that have a near-duplicate
    are read again, to find the cleanest; options: further ones of the command line."""
    costs = read_costs()
    reread = round(near.paired * wanted.rows) if rereads and near.paired is not None else None
    work = DedupWork.planned(wanted.rows, wanted.dim, near.pairs, reread or 0, exhaustive=exhaustive)
    found = costs.commands["dedup"].told(work.quantities, wanted.machine.cores)
    stages = [
        _on_gpu(stage, work, wanted.machine, costs)
        for stage in found.stages
        if reread is not None or stage.name != _REREADING
    ]
    how = "every image with every other" if exhaustive or not work.clusters else f"{work.clusters:,} clusters"
    notes = [f"{how}; {near.pairs:g} pairs an image ({near.told})", *_far(wanted.rows, costs)]
    if work.clusters:
        further = spoken(_further(work, wanted.machine.cores, costs))
        notes.append(f"where a pilot asks for more than 2 probes, up to {further} more on these cores")
    notes.append("pixels of pairs below the threshold are not counted: the run itself estimates them (--budget)")
    if rereads:
        notes.append(_of_rereading(wanted, reread, near, costs))
    if wanted.machines > 1:
        notes.append("dedup runs on one machine: further ones gain nothing")
    line = f"memaudit dedup {store} --out dedup" + (" --exhaustive" if exhaustive else "") + options
    return _planned("dedup", wanted, found._replace(stages=stages), (line,), notes, shared=False)


_REREADING = "looking for the cleanest"


def _of_rereading(wanted: Wanted, images: int | None, near: NearDuplicates, costs: Costs) -> str:
    """What of it is counted, or what it may come to."""
    if images is None:
        stage = next(stage for stage in costs.commands["dedup"].stages if stage.name == _REREADING)
        every = stage.stage(dict.fromkeys(stage.per, float(wanted.rows)), wanted.machine.cores).seconds
        return (
            "--keep cleanest is not counted: it reads each image that has a near-duplicate again, and how many have "
            f"one is not known; all of them would take {spoken(every)} more on these cores"
        )
    more = "" if near.all else "; in the whole set more of them have one"
    return (
        f"--keep cleanest reads about {images:,} images again, which have a near-duplicate ({near.told}); of equal "
        f"files it reads one{more}"
    )


@dataclass(frozen=True)
class MadeToo:
    """What `embed` makes beside the embeddings of whole images; features are not counted."""

    tiles: bool = False
    fine_tiles: bool = False
    features: bool = False

    @property
    def options(self) -> str:
        """As on a command line."""
        return " --tiles" * self.tiles + " --fine-tiles" * self.fine_tiles + " --features" * self.features


def plan_embed(wanted: Wanted, encoder: str, made_too: MadeToo = MadeToo(), *, store: str = "store") -> Planned:
    """Machines embed a part each, and one merges them. Raises UsageError for an encoder whose rate was not measured,
    and for what is made too by several machines."""
    costs = read_costs()
    if encoder not in costs.rates:
        known = ", ".join(sorted(costs.rates))
        raise UsageError(f"--encoder {encoder}: how fast it is was not measured here; expected one of {known}")
    if wanted.machines > 1 and made_too.options:
        raise UsageError(f"{made_too.options.strip()}: not merged; one machine makes that, of the merged store")
    rate, own = costs.rates[encoder], math.ceil(wanted.rows / wanted.machines)
    quantities = embed_quantities(own, wanted.dim, rate, tiles=made_too.tiles, fine_tiles=made_too.fine_tiles)
    found = costs.commands["embed"].told(quantities, wanted.machine.cores)
    line = f"memaudit embed SOURCE --encoder {encoder}"
    lines = [f"{line}{made_too.options} --out {store}"]
    notes = [f"{encoder} at {rate:g} images a second and core, on photographs of about 512 pixels"]
    if made_too.tiles or made_too.fine_tiles:
        notes.append("tiles and details as of square pictures, which take the most")
    if made_too.features:
        notes.append("features are not counted: what it takes to keep them was not measured")
    if wanted.machines > 1:
        parts = range(1, wanted.machines + 1)
        lines = [f"{line} --part {i}/{len(parts)} --out part-{i}" for i in parts]
        lines.append(f"memaudit merge {' '.join(f'part-{i}' for i in parts)} --out {store}")
        found = found._replace(disk=wanted.machines * found.disk)
        notes.append(_MERGING)
    notes += _of_shards(own)
    if wanted.machine.gpus:
        notes.append("GPUs are not counted: no embedding on one was measured")
    return _planned("embed", wanted, found, tuple(lines), notes, shared=True)


_MERGING = (
    "the disk is that of the machine that merges, which needs all parts: twice as much where it has no hard links; the "
    "time of merging was not measured and is not counted"
)


def plan_index(wanted: Wanted, recipe: str, *, store: str = "store") -> Planned:
    """One machine builds it, by the recipe that `memaudit index` would choose there."""
    costs, machine = read_costs(), IndexMachine(wanted.machine.memory, wanted.machine.gpus)
    plan = settle(recipe, wanted.rows, wanted.dim, machine)
    size = plan.recipe.bytes_for(wanted.rows, wanted.dim) / (wanted.rows * wanted.dim)
    quantities = index_quantities(wanted.rows, wanted.dim, plan, size)
    found = costs.commands["index"].told(quantities, wanted.machine.cores)
    notes = [f"{plan.reason}: {plan.factory}", *_far(wanted.rows, costs)]
    if wanted.machine.gpus:
        notes.append("GPUs are not counted: no build on one was measured")
    line = f"memaudit index {store} --out index" + ("" if recipe == AUTO else f" --recipe {recipe}")
    return _planned("index", wanted, found, (line,), notes, shared=False)


def plan_audit(
    wanted: Wanted, work: AuditWork, *, indexed: bool = False, faces: bool = False, store: str = "store"
) -> Planned:
    """Every generation with every training image, as without an index, and the pixels of the most similar ones.
    indexed: `store` is an index; faces: they are compared too."""
    costs = read_costs()
    found = costs.commands["audit"].told(work.quantities(wanted.rows, wanted.dim), wanted.machine.cores)
    notes = [*_of_audit(work, indexed=indexed, faces=faces), *_far(wanted.rows, costs)]
    if wanted.rows > _WORTH_AN_INDEX and not indexed:
        notes.append(f"for several audits of one training set build an index: memaudit plan index --rows {wanted.rows}")
    control = " --control HELD-OUT" if work.held_out else ""
    line = f"memaudit audit GENERATIONS --against {store} --pairing pairing.csv{control} --out audit"
    return _planned("audit", wanted, found, (line,), notes, shared=False)


def _of_audit(work: AuditWork, *, indexed: bool, faces: bool) -> Iterator[str]:
    """What is counted, and what is not."""
    yield (
        f"{work.generations:,} generations, {work.held_out:,} held-out images and {work.planted:,} planted copies, "
        f"each searched with {work.views} views"
    )
    if work.windows:
        yield f"each is searched among {work.windows:,} tiles and details of training images, too"
    if not work.held_out:
        yield "without held-out images (--control) nothing says what chance gives"
    if indexed:
        yield "the index is not counted: all training images are compared, which takes longer"
    if faces:
        yield "faces are not counted: what it takes to find and compare them was not measured"


_WORTH_AN_INDEX = 1_000_000  # rows


def _on_gpu(stage: Stage, work: DedupWork, machine: Machine, costs: Costs) -> Stage:
    """Comparing, by products in half precision on the GPU of this name; nothing of that was run."""
    comparisons = {"comparing": work.compared, "comparing a pilot": work.piloted}.get(stage.name, 0.0)
    if not machine.gpus or not comparisons:
        return stage
    gpu: Mapping[str, float] | None = costs.gpus.get(machine.gpu)
    if gpu is None:
        known = ", ".join(sorted(costs.gpus))
        raise UsageError(f"--gpu {machine.gpu!r} is unknown: expected one of {known}")
    seconds = 2 * comparisons * work.dim / (gpu["half_flops"] * gpu["share"])
    return replace(stage, seconds=seconds, cpu_seconds=seconds, gpu=True, basis="assumed of the card, not run")


def _further(work: DedupWork, cores: int, costs: Costs) -> float:
    """Seconds that comparing may go on, where more is needed than planned."""
    comparing = next(stage for stage in costs.commands["dedup"].stages if stage.name == "comparing")
    products = most_products(work.rows) * work.dim
    return comparing.stage({unit: products if unit == "products" else 0.0 for unit in comparing.per}, cores).seconds


def _of_shards(rows: int) -> list[str]:
    """How large shards should be where those of `embed` would be very many: after each of them store.json, which lists
    them all, is written anew."""
    shards = rows / EmbedOptions.shard_rows
    if shards <= _MOST_SHARDS:
        return []
    enough = 1 << math.ceil(math.log2(rows / _MOST_SHARDS))
    took = spoken(_LISTING * shards**2 / 2)
    return [f"with --shard-rows {enough}: to list {shards:,.0f} shards, after each of them, is not counted: {took}"]


def _far(rows: int, costs: Costs) -> list[str]:
    times = rows / costs.fitted_rows
    return [f"{times:,.0f} times as many images as the largest run behind the model"] if times > 3 else []


def _planned(
    command: str, wanted: Wanted, told: Told, commands: tuple[str, ...], notes: list[str], *, shared: bool
) -> Planned:
    """shared: whether machines share the work."""
    seconds = sum(stage.seconds for stage in told.stages)
    machines = wanted.machines if shared else 1
    enough = told.memory <= wanted.machine.memory
    needed = None
    if wanted.within is not None and (seconds <= wanted.within or shared):
        needed = max(1, math.ceil(seconds * machines / wanted.within))
    slowest = max(told.stages, key=lambda stage: stage.seconds)
    return Planned(
        command=command,
        rows=wanted.rows,
        dim=wanted.dim,
        machine=wanted.machine,
        machines=machines,
        stages=tuple(told.stages),
        seconds=seconds,
        memory=int(told.memory),
        disk=int(told.disk),
        money=None if wanted.price is None else wanted.price * machines * seconds / 3600,
        bottleneck=slowest.name if enough else "memory",
        fits=enough and (wanted.within is None or seconds <= wanted.within),
        machines_needed=needed,
        commands=commands,
        notes=(*notes, f"fitted to: {read_costs().measured}"),
    )
