"""The pairs that an audit would look at, each with what it truly is: what a decision is fitted and tuned on.

    python -m benchmarks.copies.pairs PART FOLDER [--views]

Queries are the copies and the clean images; and the references themselves, as dedup would have it. They are held
against the sources and the further references. Candidates are those of `memaudit audit`: from the encoder's search
floor on, of each query the most similar ones, by the whole and, with `--views`, by its tiles: of clean images, and of
copies whose source is no candidate by the whole, for the others have already what tiles could find. Further pairs
follow, for whoever needs more that are none. A copy's own source is among its pairs in any case. Writes
FOLDER/images/ and FOLDER/pairs.parquet, a row for each pair:

    query, reference            names;  query_path, reference_path  their files
    label                       copy; none; shared: nobody made a copy, yet both show one drawing (judged.csv)
    role                        of the query: copy, clean, source or reference
    alteration                  of a copy, else empty
    source                      of the query, else itself: what intervals are taken over
    kind, reference_kind        of the query's source, and of the reference;  photograph  the query is no drawing
    similarity, basis, window   of what is most similar, as of `Candidates`;  whole  of both images as a whole
    candidate                   whether an audit looks at it, or dedup, where the query is a reference
    query_box, reference_box    true common part, x0, y0, x1, y1 in shares, where it was cut or pasted; else null

Of the parts `test` and `second` pairs can be written too, to be measured by a rule that is settled: a NOTE says so.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.audit.commands import ENCODER, embedding
from benchmarks.copies.made import COPY, Made, made_in
from benchmarks.copies.split import CLEAN, FIT, REFERENCE, SECOND, SOURCE, TEST, TUNE, read_split
from memaudit.embedding.options import EmbedOptions
from memaudit.embedding.views import ViewStore, embed_views
from memaudit.encoders import load_encoder
from memaudit.images.view_names import DEFAULT_VIEWS
from memaudit.images.views import views_of
from memaudit.index import ExactSearch
from memaudit.matching.candidates import Basis, Candidates
from memaudit.matching.plan import NEAREST_FLOORS, PAIR_FLOORS, SEARCH_FLOORS
from memaudit.matching.search import LEAST_CANDIDATES, Scope, StoredQueries, search
from memaudit.store import Store
from memaudit.types import Float32, Int64, silent

JUDGED = Path(__file__).with_name("judged.csv")
PAIRS, NOTE, SHARED = "pairs.parquet", "NOTE", "shared"
SEALED = "To be measured with a rule that is settled, once. Nothing is fitted, tuned or chosen on these pairs.\n"
MORE = 20  # further pairs of each query, beyond those that an audit looks at
THRESHOLD = 0.75  # of sscd


class Shared:
    """Pictures that show one drawing, though nobody made a copy, as somebody judged by eye: recoloured, mirrored, with
    a part exchanged. What shares its drawing with a third shares it with each other, unless that was judged too."""

    def __init__(self, path: Path = JUDGED) -> None:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [(row["one"], row["other"], row["verdict"]) for row in csv.DictReader(handle)]
        self._none = {frozenset(row[:2]) for row in rows if row[2] == "none"}
        names = {name: number for number, name in enumerate(dict.fromkeys(n for row in rows for n in row[:2]))}
        ends = np.array([[names[one], names[other]] for one, other, verdict in rows if verdict == SHARED], np.int64)
        ones = np.ones(len(ends), np.int8)
        graph = coo_array((ones, tuple(ends.reshape(-1, 2).T)), shape=(len(names), len(names)))
        component = connected_components(graph, directed=False)[1]
        self._component = {name: int(component[number]) for name, number in names.items()}

    def __call__(self, one: str, other: str) -> bool:
        known = self._component.get(one)
        return known is not None and known == self._component.get(other) and frozenset((one, other)) not in self._none


def embedded_in(folder: Path, made: Sequence[Made]) -> tuple[Store, Store]:
    """The stores of queries and references, as an earlier run left them or new."""
    sides = {"queries": (COPY, CLEAN), "references": (SOURCE, REFERENCE)}
    for name, roles in sides.items():
        if not (folder / name).exists():
            embedding({one.image_id: one.file for one in made if one.role in roles}, folder / name, ENCODER)
    return Store.open(folder / "queries"), Store.open(folder / "references")


def audited(queries: Store, references: Store, views: ViewStore | None = None, most: int = 0) -> Candidates:
    """Those of an audit, or of one that looks at `most`."""
    floor, nearest_from = SEARCH_FLOORS[ENCODER], NEAREST_FLOORS.get(ENCODER)
    most = most or LEAST_CANDIDATES
    scope = Scope(ExactSearch(references), THRESHOLD, floor, most, nearest_from=nearest_from)
    return search(StoredQueries(queries, views), scope, None, silent).candidates


def by_tiles(found: Candidates, queries: Store, references: Store, made: Sequence[Made], folder: Path) -> Candidates:
    """The candidates, those of clean images and of copies without their source by the tiles of these queries too."""
    ids, names = queries.all_columns().image_id, references.all_columns().image_id
    known = {(ids[q], names[r]) for q, r in zip(found.query, found.reference, strict=True)}
    doubtful = {
        one.image_id: one.file
        for one in made
        if one.role == CLEAN or (one.role == COPY and (one.image_id, one.source) not in known)
    }
    if not (folder / "doubtful").exists():
        embedding(doubtful, folder / "doubtful", ENCODER)
    some, views = Store.open(folder / "doubtful"), views_of(DEFAULT_VIEWS)[1:]
    tiles = embed_views(some, folder / "doubtful-views", load_encoder(ENCODER), views, EmbedOptions())
    again = audited(some, references, tiles)
    row = {name: number for number, name in enumerate(ids)}
    place = np.array([row[name] for name in some.all_columns().image_id], np.int64)
    rest = found.picked(~np.isin(found.query, place))
    return Candidates.joined([rest, again._replace(query=place[again.query])])


def deduped(references: Store) -> Candidates:
    """Pairs of one set, each once."""
    rows = references.comparable_rows()
    vectors = np.asarray(references.embeddings(rows))
    left, right = np.nonzero(np.triu(vectors @ vectors.T >= PAIR_FLOORS[ENCODER], 1))
    similarity = np.einsum("ij,ij->i", vectors[left], vectors[right]).astype(np.float32)
    return Candidates.whole(rows[left], rows[right], similarity)


def own_sources(queries: Store, references: Store, source: dict[str, str]) -> Candidates:
    """Each copy with the picture that it is of; NaN where the copy has no embedding."""
    row = {name: number for number, name in enumerate(references.all_columns().image_id)}
    ids = queries.all_columns().image_id
    query = np.array([i for i, name in enumerate(ids) if source[name] in row], np.int64)
    reference = np.array([row[source[ids[i]]] for i in query], np.int64)
    return Candidates.whole(query, reference, whole_similarity(queries, references, query, reference))


def whole_similarity(queries: Store, references: Store, query: Int64, reference: Int64) -> Float32:
    """Of these pairs of rows; NaN for what has no embedding."""
    left, right = (_vectors(store) for store in (queries, references))
    return np.asarray(np.einsum("ij,ij->i", left[query], right[reference]), np.float32)


def _vectors(store: Store) -> Float32:
    """(rows, dimension); NaN for rows that have none."""
    rows = store.comparable_rows()
    found = np.asarray(store.embeddings(rows))
    vectors = np.full((len(store), found.shape[1]), np.nan, np.float32)
    vectors[rows] = found
    return vectors


_TEXT, _BOX = pa.string(), pa.list_(pa.float64())
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("query", "reference", "query_path", "reference_path", "label", "role", "alteration"), _TEXT),
        **dict.fromkeys(("source", "kind", "reference_kind"), _TEXT),
        "photograph": pa.bool_(),
        "similarity": pa.float32(),
        "basis": _TEXT,
        "window": _TEXT,
        "whole": pa.float32(),
        "candidate": pa.bool_(),
        "query_box": _BOX,
        "reference_box": _BOX,
    }
)


def table_of(pairs: Candidates, candidate: np.ndarray, stores: tuple[Store, Store], made: dict[str, Made]) -> pa.Table:
    """The rows of pairs.parquet."""
    queries, references = (store.all_columns().image_id for store in stores)
    left, right = [made[queries[i]] for i in pairs.query], [made[references[i]] for i in pairs.reference]
    shared = Shared()
    boxed = [query.boxes if query.source == other.image_id else None for query, other in zip(left, right, strict=True)]
    return pa.table(
        {
            "query": [one.image_id for one in left],
            "reference": [one.image_id for one in right],
            "query_path": [str(one.file) for one in left],
            "reference_path": [str(one.file) for one in right],
            "label": [_label(query, other, shared) for query, other in zip(left, right, strict=True)],
            "role": [one.role for one in left],
            "alteration": [one.alteration for one in left],
            "source": [one.source for one in left],
            "kind": [one.kind for one in left],
            "reference_kind": [one.kind for one in right],
            "photograph": [one.photograph for one in left],
            "similarity": pairs.similarity,
            "basis": [Basis(value).name.lower() for value in pairs.basis],
            "window": list(pairs.window),
            "whole": whole_similarity(*stores, pairs.query, pairs.reference),
            "candidate": candidate,
            "query_box": [box and list(box.copy) for box in boxed],
            "reference_box": [box and list(box.source) for box in boxed],
        },
        SCHEMA,
    )


def _label(query: Made, reference: Made, shared: Shared) -> str:
    if query.source == reference.image_id:
        return "copy"
    return SHARED if shared(query.source, reference.image_id) else "none"


def tables(folder: Path, made: Sequence[Made], *, views: bool) -> Iterator[pa.Table]:
    """Of the audit, then of dedup."""
    named = {one.image_id: one for one in made}
    queries, references = embedded_in(folder, made)
    candidates = audited(queries, references)
    if views:
        candidates = by_tiles(candidates, queries, references, made, folder)
    more = audited(queries, references, most=LEAST_CANDIDATES + MORE)
    own = own_sources(queries, references, {one.image_id: one.source for one in made})
    pairs = candidates
    for part in (more, own):
        pairs = Candidates.joined([pairs, part.picked(part.places_in(pairs) < 0)])
    yield table_of(pairs, np.arange(len(pairs.query)) < len(candidates.query), (queries, references), named)
    among = deduped(references)
    yield table_of(among, np.ones(len(among.query), bool), (references, references), named)


def write_pairs(part: str, folder: Path, *, views: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if part not in (FIT, TUNE):
        (folder / NOTE).write_text(SEALED, encoding="utf-8")
    made = made_in(folder, [line for line in read_split() if line.part == part])
    pq.write_table(pa.concat_tables(tables(folder, made, views=views)), folder / PAIRS)
    return folder / PAIRS


def main() -> None:
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("python -m benchmarks.copies.pairs", description=about)
    parser.add_argument("part", choices=(FIT, TUNE, TEST, SECOND))
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what an earlier run left there is gone on with")
    parser.add_argument("--views", action="store_true", help="by the tiles of the queries too")
    options = parser.parse_args()
    print(write_pairs(options.part, options.folder, views=options.views))


if __name__ == "__main__":
    main()
