"""How the pictures were split, once: `python -m benchmarks.copies.splitting FOLDER` draws a new split into FOLDER.

Each picture is embedded with sscd. Pictures that resemble each other are one component, and go into one part as a
whole: photographs, paintings and clip-art from a similarity of `ALIKE` on; in the kinds of `SERIES`, of which nearly
all hang together at that, from `SERIES_ALIKE` on, so that another flag of the same bands may be in the next part, and
the same flag may not. What is drawn here (drawn.py) is drawn anew for each number. Then every picture of fit and tune
that resembles a source of test by `ALIKE` leaves them, whatever its kind, and so do those of tune that resemble a
source of fit; what resembles a picture of an earlier part is no source. The second corpus is of other packages,
without what resembles a picture of the main one by `SERIES_ALIKE`.

In a part, pictures from `SAME` on are one side: all references, or all clean; those of `DISTINCT` kinds, which resemble
each other so much by nature, are drawn one by one, cards by their name. Embeddings differ a little between processors,
and so may a new split: the one that counts is split.csv.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.audit.commands import embedded
from benchmarks.copies.corpora import PHOTOGRAPHS, Picture, named, written
from benchmarks.copies.split import (
    CLEAN,
    FIT,
    REFERENCE,
    SECOND,
    SOURCE,
    SPLIT,
    TEST,
    TUNE,
    Line,
    part_digest,
    write_split,
)
from memaudit.store import Store
from memaudit.types import Float32, Int64

ALIKE, SERIES_ALIKE, SAME = 0.5, 0.75, 0.9
DISTINCT = frozenset({"clock", "card", "text", "gradient", "object", "face", "letter"})
SERIES = DISTINCT | {"flag", "icon", "emoji", "shape", "texture", "road sign"}
SHARES: Mapping[str, float] = MappingProxyType({TEST: 0.6, FIT: 0.2, TUNE: 0.2})
DRAWINGS: Mapping[str, float] = MappingProxyType(
    {
        "clip-art": 0.5,
        "stamp": 0.5,
        "emoji": 0.15,
        "icon": 0.15,
        "flag": 0.06,
        "road sign": 0.06,
        "card": 0.04,
        "text": 0.04,
    }
)
"""Of the sources that are drawings, how many are of each kind."""


class Sizes(NamedTuple):
    """Of a part: sources that are photographs, and drawings; other references; clean images at most."""

    photographs: int
    drawings: int
    references: int
    clean: int


SIZES: Mapping[str, Sizes] = MappingProxyType(
    {
        TEST: Sizes(210, 90, 1200, 2300),
        FIT: Sizes(110, 110, 340, 700),
        TUNE: Sizes(110, 110, 340, 700),
        SECOND: Sizes(50, 100, 200, 500),
    }
)


class Pool(NamedTuple):
    """Pictures with content, and the similarity of each to each, (n, n)."""

    pictures: Sequence[Picture]
    similarity: Float32

    @property
    def series(self) -> NDArray[np.bool_]:
        return np.array([picture.kind in SERIES for picture in self.pictures], bool)

    @property
    def made(self) -> NDArray[np.bool_]:
        """Which are drawn here: of another number, another picture."""
        return np.array([picture.name.startswith("drawn/") for picture in self.pictures], bool)

    def resemble(self, some: Int64, others: Int64) -> NDArray[np.bool_]:
        """Which of `some` resemble any of `others` by `ALIKE`."""
        both_made = self.made[some][:, None] & self.made[others][None, :]
        return np.asarray(((self.similarity[np.ix_(some, others)] >= ALIKE) & ~both_made).any(axis=1))

    def picked(self, which: Int64) -> Pool:
        return Pool([self.pictures[i] for i in which], self.similarity[np.ix_(which, which)])


def pooled(pictures: Sequence[Picture], folder: Path) -> Pool:
    """Embed them, and leave out what is blank to the encoder."""
    of_name = {picture.name: picture for picture in pictures}
    store = Store.open(embedded({p.name: p.file for p in pictures}, folder / "store", "sscd"))
    rows = store.comparable_rows()
    vectors = np.asarray(store.embeddings(rows))
    return Pool([of_name[name] for name in store.columns(rows).image_id], vectors @ vectors.T)


def components(alike: NDArray[np.bool_]) -> Int64:
    """The component of each, by a matrix of who resembles whom."""
    edges = np.nonzero(np.triu(alike, 1))
    graph = coo_array((np.ones(len(edges[0]), np.int8), edges), shape=alike.shape)
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def parts_of(pool: Pool) -> NDArray[np.object_]:
    """The part of each picture, by its component; the largest go where most room is left."""
    series = pool.series
    cut = np.where(series[:, None] | series[None, :], SERIES_ALIKE, ALIKE)
    component = components((pool.similarity >= cut) & ~(pool.made[:, None] & pool.made[None, :]))
    sizes = np.bincount(component)
    room = {part: share * len(component) for part, share in SHARES.items()}
    chosen = np.empty(len(sizes), object)
    for number in sorted(range(len(sizes)), key=lambda c: (-sizes[c], _at_random(pool.pictures[_first(component, c)]))):
        part = max(room, key=lambda name: room[name] / SHARES[name])
        chosen[number] = part
        room[part] -= sizes[number]
    return np.asarray(chosen[component])


def _first(component: Int64, number: int) -> int:
    return int(np.argmax(component == number))


def _at_random(picture: Picture) -> str:
    return picture.sha256


def chosen_sources(pool: Pool, members: Int64, sizes: Sizes) -> Int64:
    """Sources at random, of the kinds that are asked for: no two of one part resemble each other by `ALIKE`."""
    order = sorted(members, key=lambda i: _at_random(pool.pictures[i]))
    wanted = {kind: round(share * sizes.drawings) for kind, share in DRAWINGS.items()}
    photographs, chosen = sizes.photographs, list[int]()
    for i in order:
        kind = pool.pictures[i].kind
        room = photographs if kind in PHOTOGRAPHS else wanted.get(kind, 0)
        if room <= 0 or kind in ("face", "object") or (pool.similarity[i, chosen] >= ALIKE).any():
            continue
        chosen.append(i)
        if kind in PHOTOGRAPHS:
            photographs -= 1
        else:
            wanted[kind] -= 1
    return np.array(chosen, np.int64)


def roles_of(pool: Pool, members: Int64, sources: Int64, sizes: Sizes) -> dict[int, str]:
    """Sources, further references, clean images; what is left over has no role. Pictures from `SAME` on have one."""
    own = pool.picked(members)
    distinct = np.array([picture.kind in DISTINCT for picture in own.pictures], bool)
    side = components((own.similarity >= SAME) & ~(distinct[:, None] & distinct[None, :]))
    with_source = set(side[np.isin(members, sources)])
    roles, left = dict.fromkeys(map(int, sources), SOURCE), {REFERENCE: sizes.references, CLEAN: sizes.clean}
    for place in sorted(range(len(members)), key=lambda k: _at_random(own.pictures[k])):
        member, picture = int(members[place]), own.pictures[place]
        if member in roles:
            continue
        key = Path(picture.name).name if picture.kind == "card" else str(own.pictures[_first(side, side[place])].sha256)
        key = picture.sha256 if picture.kind in DISTINCT - {"card"} else key
        share = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32
        total = sizes.references + sizes.clean
        role = REFERENCE if side[place] in with_source or share < sizes.references / total else CLEAN
        if left[role] > 0:
            roles[member] = role
            left[role] -= 1
    return roles


def split(main: Pool, second: Pool) -> list[Line]:
    part = parts_of(main)
    members = {name: np.flatnonzero(part == name) for name in (TEST, FIT, TUNE)}
    sources: dict[str, Int64] = {}
    for name in (TEST, FIT, TUNE):
        for other in sources.values():
            members[name] = members[name][~main.resemble(members[name], other)]
        sources[name] = chosen_sources(main, members[name], SIZES[name])
    for name, laters in ((TEST, (FIT, TUNE)), (FIT, (TUNE,))):
        for later in laters:  # a source of fit that resembles a picture of test leaves fit, not test
            sources[later] = sources[later][~main.resemble(sources[later], members[name])]
    pools = [(name, main, members[name], sources[name]) for name in (TEST, FIT, TUNE)]
    everything = np.arange(len(second.pictures))
    pools.append((SECOND, second, everything, chosen_sources(second, everything, SIZES[SECOND])))
    return [
        Line(pool.pictures[i].sha256[:16], name, role, pool.pictures[i].kind, pool.pictures[i].name)
        for name, pool, own, chosen in pools
        for i, role in roles_of(pool, own, chosen, SIZES[name]).items()
    ]


def both_pools(folder: Path) -> tuple[Pool, Pool]:
    """Write and embed both corpora; the second without what resembles a picture of the main one."""
    main, second = (list(written(named(corpus), folder / corpus)) for corpus in ("main", "second"))
    return parted(pooled([*main, *second], folder), {picture.name for picture in second})


def parted(pool: Pool, second: set[str]) -> tuple[Pool, Pool]:
    of_second = np.array([picture.name in second for picture in pool.pictures], bool)
    near = (pool.similarity[:, ~of_second] >= SERIES_ALIKE).any(axis=1)
    return pool.picked(np.flatnonzero(~of_second)), pool.picked(np.flatnonzero(of_second & ~near))


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0])
    lines = split(*both_pools(folder))
    write_split(lines, folder / SPLIT.name)
    print(part_digest(lines, TEST), folder / SPLIT.name, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
