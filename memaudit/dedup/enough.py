"""How much is enough: the cheapest way of comparing that a pilot sample shows to reach the recall that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from memaudit.dedup.clusters import COMPARE, Plan, clustering_cost
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.pairs import PairSearch
from memaudit.dedup.pilot import Pilot
from memaudit.dedup.recall import drawn_rows
from memaudit.dedup.results import Outlook, Piloted
from memaudit.types import Int64

GOAL = 0.999  # of pairs, and of images with a near-duplicate
AIM = 0.9998  # in the pilot, which is a sample and chooses: most of what may be missed is left to chance
MOST_PROBES = 8
MOST_CLUSTERINGS = 5
PILOT, LEAST_PILOT = 10_000, 2_000  # images: by sign codes 10,000 cost about what a statement does; LEAST_PILOT where
# nothing but products nominates, and of sets so large that more of them would cost more than the run that they plan:
PILOTED = 2e9  # comparisons of a pilot by sign codes, some 4 processor seconds
LIMIT = 8_000  # products an image. With all that any run does: a quarter of an exhaustive one of 200,000 images
ALWAYS = 1e9  # products in all, which take some 20 processor seconds


class Enough(NamedTuple):
    """The plan that is enough, what the pilot says of it, and the positions of the pilot."""

    plan: Plan
    told: Piloted
    rows: Int64


def pilot_size(rows: int, *, by_codes: bool) -> int:
    """Images; of others it takes as many at least for the statement."""
    few = min(PILOT, int(PILOTED / max(1, rows))) if by_codes else LEAST_PILOT
    return min(max(LEAST_PILOT, few), rows // 2)


def most_products(rows: int) -> float:
    """What fitting, assigning and comparing may cost, the pilot included."""
    return min(max(LIMIT * rows, ALWAYS), rows**2 / 2)


def find_enough(search: PairSearch, matrix: Matrix, plan: Plan, seed: int) -> Enough:
    """Settle the search on the cheapest of: more probes, more clusterings, everything by sign codes.

    What reaches AIM in the pilot, by pair and by image, is enough. Of all that is possible nothing is tried: for the
    pilot's pairs it follows from the clusters of both images. None is taken that costs more than `most_products`.
    """
    search.add_clustering(MOST_PROBES)
    each = COMPARE if search.by_codes else 1.0
    rows = drawn_rows(len(matrix), pilot_size(len(matrix), by_codes=search.by_codes), seed, "pilot")
    pilot = Pilot(rows, search.pairs_of(rows))
    costs = _Costs(len(matrix), plan.clusters, each, len(rows))
    way, why_not = _chosen(search, pilot, plan, costs)
    search.settle(way.plan)
    before = pilot.outlook(plan.describe(), 1, plan.probes)
    cost, limit = costs.share(way.products + costs.spent), costs.share(most_products(len(matrix)))
    told = Piloted(GOAL, len(rows), pilot.with_duplicates, before, way.outlook, cost, limit, why_not)
    return Enough(way.plan, told, rows)


class _Way(NamedTuple):
    """A way of comparing, what the pilot says of it, and its cost in products, without what is spent."""

    plan: Plan
    outlook: Outlook
    products: float


@dataclass
class _Costs:
    """In float32 products, of `rows` images. each: of a comparison; fitted: clusterings that are there."""

    rows: int
    clusters: int
    each: float
    piloted: int
    fitted: int = 1

    @property
    def everything(self) -> float:
        return self.each * self.rows**2 / 2

    @property
    def clustering(self) -> float:
        return clustering_cost(self.rows, self.clusters)

    @property
    def spent(self) -> float:
        """On clusterings and the pilot."""
        return self.fitted * self.clustering + self.each * self.rows * self.piloted

    @property
    def left(self) -> float:
        """For comparing. Where all with all may be, it always is."""
        most = most_products(self.rows)
        return most - self.spent if most < self.rows**2 / 2 else most

    def share(self, products: float) -> float:
        """Of an exhaustive run."""
        return products / (self.rows**2 / 2)


def _chosen(search: PairSearch, pilot: Pilot, plan: Plan, costs: _Costs) -> tuple[_Way, str]:
    """The way that is taken, and why it does not reach the goal. Another clustering is fitted where the planned probes
    of each would cost less than the cheapest way that is known, and where what reaches the goal can be paid still."""
    ways = [_everything(pilot, plan, costs)]
    while True:
        number = costs.fitted = len(search.clusterings)
        pilot.place(search.clusterings[-1])
        ways += _ways(search, pilot, plan, number, costs)
        good = [way for way in ways if way.products <= costs.left and way.outlook.reaches(AIM)]
        taken = min(good, key=lambda way: way.products) if good else _most(ways, costs)
        best = taken.products if good else costs.left
        another = costs.clustering + (number + 1) * costs.each * search.clusterings[0].comparisons(plan.probes)
        is_enough = taken.outlook.reaches(GOAL)
        is_lost = is_enough and taken.products > costs.left - costs.clustering  # one more paid for
        if number == MOST_CLUSTERINGS or another >= best or is_lost:
            return taken, "" if is_enough else _why_not(costs)
        search.add_clustering(MOST_PROBES)


def _everything(pilot: Pilot, plan: Plan, costs: _Costs) -> _Way:
    """All with all, by what nominates here: without sign codes that misses nothing."""
    whole = replace(plan, clusters=0, probes=1, clusterings=1, by_codes=costs.each < 1)
    share = 1.0 if pilot.with_duplicates else None
    return _Way(whole, Outlook(whole.describe(), share, share), costs.everything)


def _ways(search: PairSearch, pilot: Pilot, plan: Plan, number: int, costs: _Costs) -> Iterator[_Way]:
    """So many clusterings, each with the planned probes and with more."""
    for probes in range(plan.probes, max(plan.probes, min(MOST_PROBES, plan.clusters)) + 1):
        way = replace(plan, clusterings=number, probes=probes)
        compared = sum(each.comparisons(probes) for each in search.clusterings)
        yield _Way(way, pilot.outlook(way.describe(), number, probes), costs.each * compared)


def _most(ways: list[_Way], costs: _Costs) -> _Way:
    """What finds most of what may be taken; what was planned always may."""
    may = [way for way in ways if way.products <= costs.left] or ways[1:2]
    return max(may, key=lambda way: (min(way.outlook.by_pair or 0, way.outlook.by_image or 0), -way.products))


def _why_not(costs: _Costs) -> str:
    most = costs.share(most_products(costs.rows))
    return f"what more it would take costs more than {most:.2g} of comparing all with all"
