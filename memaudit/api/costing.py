"""What work will take, before it is begun."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote

from memaudit import machine
from memaudit.api.defaults import DEFAULT_ENCODER, DEFAULT_VIEWS
from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, searcher_at, sources_of, store_at
from memaudit.audit.planting import require_plantable
from memaudit.costs import plan as planning
from memaudit.costs.model import Machine
from memaudit.costs.plan import MadeToo, Planned, Wanted
from memaudit.costs.quantities import AuditWork
from memaudit.costs.sample import NearDuplicates, counted
from memaudit.dedup.effort import seconds_of, spoken
from memaudit.dedup.keep import CLEANEST, require_rule, why_blind
from memaudit.embedding.options import PartOf
from memaudit.errors import InputError, UsageError
from memaudit.files import is_store
from memaudit.images.copy_kinds import copies_for
from memaudit.images.sources import iter_images
from memaudit.images.view_names import view_names
from memaudit.index import ExactSearch
from memaudit.matching.plan import require_match
from memaudit.matching.windows import Windows
from memaudit.store import Store

PAIRS_PER_ROW = 2.0  # assumed where no store says more
_TIMES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_MOST = 10**12


@dataclass(frozen=True)
class Machines:
    """What there is to work on. cores, memory ("64G", bytes): of one machine, None: as here; count: machines; gpus: of
    one machine, and `gpu`, which; price: of a machine and hour; within: time that the work may take ("6h", seconds).

    >>> ma.plan_embed("40M", machines=ma.Machines(cores=64, count=8, within="1d")).fits
    True
    """

    cores: int | None = None
    memory: str | int | None = None
    count: int = 1
    gpus: int = 0
    gpu: str = "h100"
    price: float | None = None
    within: str | float | None = None


HERE = Machines()


@dataclass(frozen=True, repr=False)
class WorkPlan:
    """What a command takes, computed and not run: seconds of all stages, bytes of memory and disk on a machine, money,
    the bottleneck, whether it fits, the command lines. planned: the stages and what is assumed.

    >>> ma.plan_dedup(40_000_000).basis
    'computed, not run'
    """

    planned: Planned

    @property
    def seconds(self) -> float:
        return self.planned.seconds

    @property
    def memory(self) -> int:
        return self.planned.memory

    @property
    def disk(self) -> int:
        return self.planned.disk

    @property
    def money(self) -> float | None:
        return self.planned.money

    @property
    def bottleneck(self) -> str:
        return self.planned.bottleneck

    @property
    def fits(self) -> bool:
        return self.planned.fits

    @property
    def commands(self) -> tuple[str, ...]:
        return self.planned.commands

    @property
    def basis(self) -> str:
        return self.planned.basis

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {**asdict(self.planned), "machine": self.planned.machine._asdict()}

    def lines(self) -> list[tuple[str, str]]:
        """What a person reads: names and values."""
        planned = self.planned
        rows = [(stage.name, spoken(stage.seconds) + (" on the GPU" if stage.gpu else "")) for stage in planned.stages]
        rows += [("all", spoken(planned.seconds)), ("bottleneck", planned.bottleneck)]
        rows += [("memory", _size(planned.memory)), ("disk", _size(planned.disk))]
        if planned.money is not None:
            rows.append(("money", f"{planned.money:,.2f}"))
        if planned.machines_needed is not None:
            rows.append(("machines for the time given", f"{planned.machines_needed:,}"))
        return [*rows, ("fits", "yes" if planned.fits else "no"), ("basis", planned.basis)]

    def __repr__(self) -> str:
        planned = self.planned
        return f"<WorkPlan: {planned.command} of {planned.rows:,} images, {spoken(self.seconds)}, {self.basis}>"

    def _repr_html_(self) -> str:
        planned = self.planned
        return card(f"memaudit plan {planned.command}", f"{planned.rows:,} images, {self.basis}", self.lines())


def plan_dedup(
    rows: str | int | None = None,
    *,
    dim: int | None = None,
    store: AnyStore | None = None,
    exhaustive: bool = False,
    pairs: float | None = None,
    keep: str = CLEANEST,
    match: str = "auto",
    machines: Machines = HERE,
) -> WorkPlan:
    """Say what a dedup run takes, by coefficients that were fitted to runs.

    rows: images ("40M", a number), None: those of `store`, which may also be a random sample of more rows: then it says
    how many pairs there are. pairs: near-duplicate pairs for each image, where no store says so (2). exhaustive: every
    image with every other. keep, match: of `run_dedup`: by default images that have a near-duplicate are read again, to
    find the cleanest, which is counted where a store says how many they are, and said else.

    Raises UsageError for what cannot be, InputError for a store that is none.

    >>> plan = ma.plan_dedup("1M", machines=ma.Machines(cores=8, memory="32G"))
    >>> plan.fits, plan.commands
    (True, ('memaudit dedup store --out dedup',))
    """
    opened = store_at(store) if store is not None else None
    wanted = _wanted(rows, dim, opened, machines)
    rereads, near = _rereads(opened, keep, match), _near_duplicates(opened, wanted.rows, pairs)
    options = f" --keep {quote(keep)}" * (keep != CLEANEST) + f" --match {match}" * (match != "auto")
    how = {"exhaustive": exhaustive, "rereads": rereads}
    return WorkPlan(planning.plan_dedup(wanted, near, **how, store=_name(store), options=options))


def _near_duplicates(store: Store | None, rows: int, pairs: float | None) -> NearDuplicates:
    if pairs is not None and not 0 <= pairs < math.inf:
        raise UsageError(f"--pairs {pairs:g} is out of range: expected 0 or more for each image")
    if pairs is not None:
        return NearDuplicates(pairs, "as given")
    return NearDuplicates(PAIRS_PER_ROW, "assumed") if store is None else counted(store, rows)


def _rereads(store: Store | None, keep: str, match: str) -> bool:
    """Whether images are read again, to find the cleanest. Raises UsageError for options that are none."""
    require_rule(keep)
    require_match(match, None)
    if store is None:
        return keep == CLEANEST and match != "none"
    files = any((part.uri != "").any() for part in store.iter_columns(only=["uri"]))
    return why_blind(keep, match, store, files=files) == ""


def plan_embed(
    rows: str | int,
    *,
    dim: int = 512,
    encoder: str = DEFAULT_ENCODER,
    tiles: bool = False,
    fine_tiles: bool = False,
    features: bool = False,
    machines: Machines = HERE,
) -> WorkPlan:
    """Say what embedding takes, on one machine or in parts on several. As `plan_dedup`. tiles, fine_tiles, features: as
    of `embed`, on one machine; the time of features is not counted, and said.

    >>> plan = ma.plan_embed("10M", machines=ma.Machines(cores=64, count=4, within="6h"))
    >>> plan.commands[0], len(plan.commands)
    ('memaudit embed SOURCE --encoder sscd --part 1/4 --out part-1', 5)
    """
    made_too = MadeToo(tiles, fine_tiles, features)
    return WorkPlan(planning.plan_embed(_wanted(rows, dim, None, machines), encoder, made_too))


def plan_index(
    rows: str | int | None = None,
    *,
    dim: int | None = None,
    store: AnyStore | None = None,
    recipe: str = "auto",
    machines: Machines = HERE,
) -> WorkPlan:
    """Say what an index takes: time to build, memory, and its size. As `plan_dedup`.

    >>> ma.plan_index("1M", machines=ma.Machines(cores=8, memory="32G")).disk
    1032000000
    """
    opened = store_at(store) if store is not None else None
    return WorkPlan(planning.plan_index(_wanted(rows, dim, opened, machines), recipe, store=_name(store)))


def plan_audit(
    generations: str | int,
    rows: str | int | None = None,
    *,
    dim: int | None = None,
    store: AnyStore | None = None,
    views: str = DEFAULT_VIEWS,
    control: str | int | None = None,
    planted: int | None = None,
    windows: int | None = None,
    faces: bool = False,
    machines: Machines = HERE,
) -> WorkPlan:
    """Say what an audit takes of so many generations against `rows` training images. As `plan_dedup`.

    store: may be an index. views, planted: of `run_audit`; control: how many held-out images there are. windows: tiles
    and details of the training images, None: as many of each as `store` has. faces: are compared too, which is not
    counted, and said.

    >>> plan = ma.plan_audit("50k", "10M", control=500)
    >>> plan.bottleneck, plan.planned.notes[0]
    ('full search', '50,000 generations, 500 held-out images and 300 planted copies, each searched with 10 views')
    """
    require_plantable(planted)
    searched = searcher_at(store) if store is not None else None
    opened = searched.store if searched is not None else None
    wanted, count = _wanted(rows, dim, opened, machines), _count("--generations", generations)
    work = AuditWork(
        count,
        0 if control is None else _count("--control", control),
        copies_for(count) if planted is None else planted,
        len(view_names(views)),
        _windows_of(opened, wanted.rows) if windows is None else windows,
    )
    indexed = searched is not None and not isinstance(searched, ExactSearch)
    return WorkPlan(planning.plan_audit(wanted, work, indexed=indexed, faces=faces, store=_name(store)))


def _windows_of(store: Store | None, rows: int) -> int:
    """Tiles and details of so many images, where a store has those of its own."""
    if store is None or not store.comparable:
        return 0
    found = (windows.store.comparable for windows in Windows.of(store, on_pixels=True)[:2] if windows is not None)
    return round(rows * sum(found) / store.comparable)


def images_in(sources: str | Path | Sequence[str | Path], part: str | None = None) -> int:
    """How many images sources name, or those of a store that are compared; of a `part`, its share. Raises InputError
    for sources that are none."""
    named = sources_of(sources)
    if len(named) == 1 and is_store(named[0]):
        return store_at(named[0]).comparable
    count = sum(1 for _ in iter_images(named, contents=False))
    if not count:
        raise InputError(f"no image in {', '.join(map(str, named))}")
    return -(-count // PartOf.of(part).parts) if part else count


def images_of_all(stores: Sequence[str | Path]) -> int | None:
    """How many images of several stores are compared, as `rows` of a plan by the first; None: those of the one."""
    return None if len(stores) == 1 else sum(images_in(store) for store in stores)


def _wanted(rows: str | int | None, dim: int | None, store: Store | None, machines: Machines) -> Wanted:
    if rows is None and store is None:
        raise UsageError("--rows is missing: say how many images there are (40M), or name a store")
    count = store.comparable if rows is None and store is not None else _count("--rows", rows)
    if store is not None and count < store.comparable:
        raise UsageError(f"--rows {rows}: the store has {store.comparable:,} images, and can be no sample of fewer")
    if store is not None and dim not in (None, store.encoder.dim):
        raise UsageError(f"--dim {dim}: the embeddings of the store have {store.encoder.dim} numbers")
    numbers = store.encoder.dim if store is not None else 512 if dim is None else dim
    for name, value, most in (
        ("--dim", numbers, 1 << 16),
        ("--cores", 1 if machines.cores is None else machines.cores, 1 << 16),
        ("--machines", machines.count, 1 << 20),
        ("--gpus", 1 + machines.gpus, 1 << 16),
    ):
        if not 1 <= value <= most:
            least = 0 if name == "--gpus" else 1
            raise UsageError(f"{name} {value - 1 + least} is out of range: expected {least} to {most:,}")
    if machines.price is not None and not 0 <= machines.price < math.inf:
        raise UsageError(f"--price {machines.price:g} is out of range: expected 0 or more for a machine and hour")
    memory = machine.total_memory() if machines.memory is None else _count("--memory", machines.memory)
    one = Machine(machines.cores or machine.cores(), memory, machines.gpus, machines.gpu)
    return Wanted(count, numbers, one, machines.count, machines.price, seconds_of(machines.within, "--within"))


def _count(name: str, given: str | int | None) -> int:
    """40M, 1.5k, 64G or a whole number."""
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)([kMGBT]?)", str(given).strip().replace(",", "").replace("_", ""))
    value = round(float(found[1]) * _TIMES[found[2]]) if found else 0
    if not 1 <= value <= _MOST * 1000:
        raise UsageError(f"{name} {given!r} is no number: expected 1 or more, such as 400k, 40M or 64G")
    return value


def _name(store: AnyStore | None) -> str:
    return "store" if store is None else quote(str(store if isinstance(store, str | Path) else store.folder))


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count < 1e12 else f"{count / 1e12:,.2f} TB"
