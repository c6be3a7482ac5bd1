"""What a dedup run may be asked for, and what cannot be."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memaudit.dedup.clusters import PROBES, Plan, choose_clusters
from memaudit.dedup.decisions import require_group_rule
from memaudit.dedup.effort import seconds_of
from memaudit.dedup.keep import CLEANEST, require_rule
from memaudit.dedup.kmeans import SEEDS
from memaudit.dedup.target_recall import Target
from memaudit.errors import UsageError
from memaudit.matching.calibrated import Calibrated
from memaudit.matching.kinds import COPIES, Kind
from memaudit.matching.plan import require_match
from memaudit.similarity.backends import require_backend
from memaudit.similarity.exact import require_threshold
from memaudit.tasks import Executor

METHODS = ("auto", "openai-2022")


@dataclass(frozen=True)
class DedupOptions:
    """threshold None: the encoder's own. method: one of METHODS; another than auto sets clusters, clusterings, probes.
    clusters None: chosen by cost, 0: exhaustive; clusterings, probes None: as many as it takes. target_recall: the
    search goes on until its lower bound is this high.
    backend: who nominates pairs (memaudit.similarity.backends). groups: cover or components. match: whether pairs
    from `match_from` (None: the encoder's floor) to the threshold are decided on pixels: auto, pixels or none. budget:
    seconds that this may take. calibrated: the calibration that threshold and match_from are by, and the cut. kinds:
    of copies below the threshold that count, and re-drawn if that is to be cleared. executor: who does what takes
    long, None: this process."""

    threshold: float | None = None
    method: str = "auto"
    clusters: int | None = None
    clusterings: int | None = None
    probes: int | None = None
    target_recall: float | None = None
    backend: str = "auto"
    keep: str = CLEANEST
    groups: str = "cover"
    match: str = "auto"
    match_from: float | None = None
    budget: float | None = None
    recall_sample: int = 1000
    confidence: float = 0.95
    seed: int = 0
    max_unreadable: float = 0.01
    calibrated: Calibrated | None = None
    kinds: tuple[Kind, ...] = COPIES
    executor: Executor | None = None

    @property
    def fixed(self) -> bool:
        """Whether it was said how images are compared: then a search does not settle that by itself."""
        return self.method != "auto" or any(each is not None for each in (self.clusters, self.clusterings, self.probes))


DEFAULTS = DedupOptions()


def require_possible(options: DedupOptions) -> None:
    """Raise UsageError for options that no store could make possible."""
    if options.threshold is not None:
        require_threshold(options.threshold)
    require_rule(options.keep)
    require_backend(options.backend)
    require_match(options.match, options.match_from)
    if seconds_of(options.budget) and options.match == "none":
        raise UsageError("--match none compares no pixels: leave out --budget")
    _require_method(options)
    if options.target_recall is not None:
        Target(options.target_recall)
    require_group_rule(options.groups)
    for name, least in (("clusterings", 1), ("probes", 1), ("recall_sample", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and not least <= value < SEEDS:
            raise UsageError(f"--{name.replace('_', '-')} {value} is out of range: expected at least {least}")
    if not 0 < options.confidence < 1:
        raise UsageError(f"confidence {options.confidence:g} is out of range: expected between 0 and 1")


def _require_method(options: DedupOptions) -> None:
    if options.method not in METHODS:
        raise UsageError(f"unknown --method {options.method!r}: expected one of {', '.join(METHODS)}")
    set_by_hand = [
        f"--{name}"
        for name in ("clusters", "clusterings", "probes", "backend", "target_recall")
        if getattr(options, name) != getattr(DedupOptions, name)
    ]
    if options.method != "auto" and set_by_hand:
        named = "--exhaustive" if options.clusters == 0 else ", ".join(set_by_hand).replace("_", "-")
        raise UsageError(f"--method {options.method} settles how images are compared: leave out {named}")


def plan_comparison(rows: int, options: DedupOptions) -> Plan:
    """Settle clusters, probes and clusterings for this many rows. Raises UsageError for what cannot be."""
    if options.method == "openai-2022":
        return replace(Plan.openai_2022(rows), executor=options.executor)
    clusters, probes, clusterings = options.clusters, options.probes or PROBES, options.clusterings or 1
    if clusters is None:
        clusters = choose_clusters(rows, probes, clusterings)
    if clusters < 0 or clusters > rows:
        raise UsageError(f"--clusters {clusters} is out of range: there are {rows} distinct images to cluster")
    probes = min(probes, max(1, clusters))
    return Plan(clusters, probes, clusterings, backend=options.backend, executor=options.executor)
