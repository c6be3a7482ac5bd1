"""What `memaudit audit` finds, and what it should not: `scripts/bench_audit.py --images DIR ... [--sources 300]`.

Pictures of the given folders and of scripts/fetch_samples, at most 512 px, are thinned until no two of them reach a
similarity of `--apart`. Drawn at random from what is left: references, and among them sources, 7 in 10 of them
photographs or paintings and the others clip-art, as far as there are so many; and clean images, which are of the same
kinds and no copies. Clip-art is what comes from the folders of `--clip-art`, what has transparent parts, and emoji.
Generations are 21 copies of each source (audit_copies.py) and the clean images. `memaudit audit` runs on them as it is,
with no options, and with `--verify none --views none`; with the store of `sscd`, and with that of `thumbnail`. Peers
(bench_peers.py): what tools that one would otherwise run pair of the same files.

A copy counts as found if its own source is among its matches; matches with another reference are counted on their own,
and so is every clean image with a match. Those are named in the results' notes, and --work gets a picture of them.
Thinning keeps out what resembles a reference by nature, and so FLATTERS precision, but not what shares a detail with
one: clip-art is made of other clip-art. bench_audit_shared.csv names such pairs, found by earlier runs and judged by
eye; a clean image with any other match is a false finding. Look at new ones before you add them there.

Natural copies: photographs with a colour mask (the samples'), and round details of paintings (where a folder has
`details/NAME_1.webp` beside `details/NAME_background.webp`, as gcompris does), against a store of the originals and
`--among` of the references, embedded with --fine-tiles and without. Clocks: the 24 clock faces among the emoji against
each other. Search: exact search of `--queries` synthetic embeddings in `--rows` beside faiss.IndexFlatIP, in the same
run.

Intervals are 95 % Clopper-Pearson, for as many draws as sources tell. Results are added to
results/bench_audit-MACHINE.csv as the parts end.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from audit_copies import SETTINGS, Beside, write_copies
from bench_copies import (
    CLOCK,
    COLOUR_MASK,
    OPAQUE_SHARE,
    Rate,
    new_folder,
    rate,
    sample_emoji,
    thinned,
    write_candidates,
)
from bench_data import make_store
from bench_embed import RESULTS, embed_command, sample_photographs
from bench_index import exact_search
from bench_peers import Pair, peers
from bench_record import BenchmarkError, Cost, Figure, cost_of, memaudit, show, versions, write_figures
from PIL import Image, ImageDraw, ImageOps

from memaudit.matching.search import LEAST_CANDIDATES
from memaudit.store import Store
from memaudit.types import Int64, Status

ENCODER = "sscd"
STICKERS = "smileys"  # emoji that are laid over copies: those are no references, or they would be found
BACKGROUND = "_background"
DETAIL = re.compile(r"details/(?:.*/)?[^/]+_\d+\.\w+$")
RECALL, KINDS = "recall", "kinds of found copies"
ASKED, ASKED_OF_EACH = ">= 0.97", ">= 0.90"
NATURAL_ASKED: Mapping[str, str] = MappingProxyType({"colour masks": ">= 0.95", "round details": ">= 0.80"})
SHARED = Path(__file__).with_name("bench_audit_shared.csv")
PART_CELL = 210  # pixels of the contact sheet
NOTE = 300  # characters of what is named of the peers' wrong pairs: they may be thousands


class Pictures(NamedTuple):
    """Files by name, and names by their part in the benchmark; sources are references too. clip_art: names of it."""

    files: Mapping[str, Path]
    references: list[str]
    clean: list[str]
    sources: list[str]
    clip_art: frozenset[str]

    def some(self, names: Iterable[str]) -> dict[str, Path]:
        return {name: self.files[name] for name in names}


class Finding(NamedTuple):
    """A row of matches.parquet, or what a peer paired: that has no view and no kind."""

    query: str
    reference: str
    similarity: float
    rank: int
    view: str
    kind: str

    def __str__(self) -> str:
        query, reference = ("/".join(name.split("/")[-2:]) for name in (self.query, self.reference))
        return f"{query} = {reference} ({', '.join(filter(None, (self.kind, f'{self.similarity:.2f}', self.view)))})"


class Run(NamedTuple):
    """An audit with the stores of an encoder; no options: the tool's own decision."""

    encoder: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.encoder}, {' '.join(self.options) or 'as it is'}"

    @property
    def promises(self) -> bool:
        """Whether docs promise anything of it."""
        return self.encoder == ENCODER and not self.options


RUNS = tuple(Run(e, o) for e in (ENCODER, "thumbnail") for o in ((), ("--verify", "none", "--views", "none")))


def pool(options: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Pictures no two of which are as similar as `--apart`, none cut from another and none a sticker, by name.

    What an earlier run has left in `folder` is taken as it is: so two versions of the tool can be compared.
    """
    candidates, names_file, apart_file = (folder / n for n in ("candidates", "names.json", f"{options.apart:g}.json"))
    wanted = options.references + options.clean
    if not names_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folders = [*options.images, *options.clip_art]
        names = write_candidates(folders, sample_emoji(), {True: wanted, False: wanted}, candidates)
        names_file.write_text(json.dumps(names), encoding="utf-8")
    if not apart_file.exists():
        apart_file.write_text(json.dumps(thinned(candidates, ENCODER, options.apart, folder)), encoding="utf-8")
    names, apart = (json.loads(path.read_text(encoding="utf-8")) for path in (names_file, apart_file))
    seen = Store.open(folder / "candidates-store").all_columns()
    with_content, all_names = set(seen.image_id[seen.status == Status.OK]), set(names.values())
    chosen = (file for file in apart if file in with_content and not _unfit(names[file], all_names))
    return {names[file]: candidates / file for file in chosen}


def _unfit(name: str, names: set[str]) -> bool:
    """A sticker, or cut from another picture of its folder: that would be a copy that nobody labelled."""
    whole, _, suffix = name.rpartition(".")
    parts = whole.split("_")
    wholes = {f"{'_'.join(parts[:end])}{BACKGROUND}.{suffix}" for end in range(1, len(parts))}
    return bool(wholes & (names - {name})) or f"/{STICKERS}/" in name


def drawn(options: argparse.Namespace, folder: Path) -> Pictures:
    """References, clean images and sources, at random, by their names. Too few left: fewer clean images."""
    files = pool(options, folder)
    names = sorted(files, key=lambda name: sha256(name.encode()).digest())
    references, clean = names[: options.references], names[options.references :][: options.clean]
    clip_art = frozenset(name for name in names if _is_clip_art(name, files[name], options))
    clips = options.sources - round(options.sources * OPAQUE_SHARE)
    sources = [
        *[name for name in references if name not in clip_art][: options.sources - clips],
        *[name for name in references if name in clip_art][:clips],
    ]
    if not clean or not sources:
        raise BenchmarkError(f"only {len(files)} pictures are left when thinned: give more with --images")
    return Pictures(files, references, clean, sources, clip_art)


def _is_clip_art(name: str, file: Path, options: argparse.Namespace) -> bool:
    """Transparent pictures are not written as .jpg (bench_copies.py)."""
    drawn_ones = {*(folder.name for folder in options.clip_art), sample_emoji().name}
    return name.partition("/")[0] in drawn_ones or file.suffix != ".jpg"


def write_manifest(path: Path, files: Mapping[str, Path]) -> Path:
    """image_ids and files, for `memaudit embed`."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["path", "image_id"])
        writer.writerows((str(file.resolve()), image_id) for image_id, file in files.items())
    return path


def embedded(files: Mapping[str, Path], store: Path, encoder: str) -> Path:
    embedding(files, store, encoder)
    return store


def embedding(files: Mapping[str, Path], store: Path, encoder: str, *options: str) -> Cost:
    """Embed the files, by their image_ids, with the real command."""
    return cost_of([*embed_command(write_manifest(store.with_suffix(".csv"), files), store, encoder), *options])


def audited(queries: Path, references: Path, out: Path, *options: str) -> Cost:
    """The real command, in a process of its own."""
    return cost_of(memaudit("audit", queries, "--against", references, "--out", out, *options))


def read_findings(out: Path) -> list[Finding]:
    names = {
        **dict(zip(Finding._fields, Finding._fields, strict=True)),
        "query": "query_id",
        "reference": "reference_id",
    }
    table = pq.read_table(out / "matches.parquet", columns=list(names.values()))
    return [Finding(*row) for row in zip(*(table[name].to_pylist() for name in names.values()), strict=True)]


def without_content(out: Path) -> int:
    """Generations that were not compared: a part cut from a plain sky is blank, and cannot be found."""
    status = pq.read_table(out / "scores.parquet", columns=["status"])["status"].to_pylist()
    return sum(value != Status.OK for value in status)


def copy_id(source: str, setting: str) -> str:
    return f"{source}/{setting}"


def of_copies(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    pictures = drawn(options, options.pictures or work / "pictures")
    yield Figure("copies", len(pictures.references), "references", len(pictures.references))
    yield Figure("copies", len(pictures.clean), "clean images", len(pictures.clean))
    clips = sum(name in pictures.clip_art for name in pictures.sources)
    yield Figure(
        "copies", len(pictures.sources), "photographs or paintings among the sources", len(pictures.sources) - clips
    )
    generations = generations_of(pictures, work / "copies")
    for encoder in dict.fromkeys(run.encoder for run in RUNS):
        store, queries = work / f"references-{encoder}", work / f"generations-{encoder}"
        costs = [
            embedding(pictures.some(pictures.references), store, encoder),
            embedding(generations, queries, encoder),
        ]
        for number, run in enumerate(run for run in RUNS if run.encoder == encoder):
            out = work / f"audit-{encoder}-{number}"
            cost = audited(queries, store, out, *run.options)
            findings = read_findings(out)
            yield from copies_figures(pictures, findings, run.name, run.promises)
            yield Figure(run.name, len(generations), "generations without content", without_content(out))
            yield Figure(run.name, len(generations), "audit, CPU s", cost.cpu_seconds)
            yield Figure(run.name, len(generations), "audit, peak MB", cost.peak_mb)
            yield from cost_figures(run.name, len(generations), [*costs, cost])
            write_sheets(pictures, findings, generations, out)


def cost_figures(data: str, count: int, costs: Sequence[Cost], note: str = "") -> Iterator[Figure]:
    """Of all commands from files to matches."""
    yield Figure(data, count, "files to matches, CPU s", sum(cost.cpu_seconds for cost in costs), note=note)
    yield Figure(data, count, "files to matches, peak MB", max(cost.peak_mb for cost in costs), note=note)


def of_peers(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """The figures of the copies, of each tool; a line that says why where there are none."""
    pictures = drawn(options, options.pictures or work / "pictures")
    generations = generations_of(pictures, work / "copies")
    for peer in peers(pictures.some(pictures.references), generations, work / "peers"):
        if peer.cost is None:
            yield Figure(peer.name, 0, RECALL, None, note=peer.note)
            continue
        for figure in copies_figures(pictures, ranked(peer.pairs), peer.name):
            if figure.measure != KINDS:
                yield replace(figure, note=shorten(figure.note, NOTE, placeholder=" ..."))
        yield from cost_figures(peer.name, len(generations), [peer.cost], peer.note)


def ranked(pairs: Sequence[Pair]) -> list[Finding]:
    """As findings; equally similar references of a query have the same rank."""
    of_query: dict[str, list[float]] = {}
    for pair in pairs:
        of_query.setdefault(pair.query, []).append(pair.similarity)
    ranks = (1 + sum(other > pair.similarity for other in of_query[pair.query]) for pair in pairs)
    return [Finding(*pair, rank, "", "") for pair, rank in zip(pairs, ranks, strict=True)]


def generations_of(pictures: Pictures, out: Path) -> dict[str, Path]:
    """As written, or as an earlier part has written them."""
    manifest = out.with_suffix(".csv")
    if not manifest.exists():
        write_manifest(manifest, write_generations(pictures, out))
    with manifest.open(encoding="utf-8", newline="") as handle:
        return {row["image_id"]: Path(row["path"]) for row in csv.DictReader(handle)}


def write_generations(pictures: Pictures, out: Path) -> dict[str, Path]:
    """All copies of the sources, and the clean images, by image_id."""
    grounds = [pictures.files[name] for name in pictures.clean if name not in pictures.clip_art]
    emoji = sorted((sample_emoji() / STICKERS).glob("*.png"))
    if not grounds or not emoji:
        raise BenchmarkError("no clean photograph to paste copies onto, or no emoji to lay over them")
    found: dict[str, Path] = {}
    for name in pictures.sources:
        copies = write_copies(pictures.files[name], name, Beside(emoji, grounds), out / pictures.files[name].stem)
        found |= {copy_id(name, setting): path for setting, path in copies.items()}
    return found | pictures.some(pictures.clean)


def write_sheets(pictures: Pictures, findings: Sequence[Finding], generations: Mapping[str, Path], out: Path) -> None:
    """Contact sheets beside `out`: of clean images with a match, and of copies that are named after another source."""
    paths, clean = {**pictures.files, **generations}, set(pictures.clean)
    false, wrong = (
        [f for f in findings if (f.query in clean) == of_clean and not is_true(f)] for of_clean in (True, False)
    )
    write_sheet(false, paths, out.with_name(f"{out.name}-clean.png"))
    write_sheet(wrong, paths, out.with_name(f"{out.name}-wrong.png"))


def kinds_of(pictures: Pictures) -> dict[str, list[str]]:
    """Sources, all and by kind: three bands of colour hold little to align."""
    clips = [name for name in pictures.sources if name in pictures.clip_art]
    others = [name for name in pictures.sources if name not in pictures.clip_art]
    kinds = {"": pictures.sources, " of photographs and paintings": others, " of clip-art": clips}
    return {kind: names for kind, names in kinds.items() if names}


def shared() -> frozenset[tuple[str, str]]:
    """Clean images and references that show one drawing, by their names; looked at."""
    with SHARED.open(encoding="utf-8", newline="") as handle:
        return frozenset((row["clean"], row["reference"]) for row in csv.DictReader(handle))


def is_true(finding: Finding) -> bool:
    return finding.query.rpartition("/")[0] == finding.reference


def copies_figures(
    pictures: Pictures, findings: Sequence[Finding], data: str, promises: bool = False
) -> Iterator[Figure]:
    """Recall over all copies and by setting; matches with another reference; clean images with a match."""

    def figure(measure: str, found: Iterable[int], of: int, asked: str = "", note: str = "") -> Figure:
        values = np.array(list(found), np.int64)
        return rated(data, measure, values, of, asked if promises else "", note)

    true = {f.query: f for f in findings if is_true(f)}
    counts = {s: Counter(setting for setting in SETTINGS if copy_id(s, setting) in true) for s in pictures.sources}
    for kind, of_kind in kinds_of(pictures).items():
        asked = "" if kind else ASKED
        yield figure(f"{RECALL}{kind}", (counts[name].total() for name in of_kind), len(SETTINGS), asked)
    for setting in SETTINGS:
        yield figure(f"recall, {setting}", (count[setting] for count in counts.values()), 1, ASKED_OF_EACH)
    yield Figure(data, len(true), "found copies whose source is named first", sum(f.rank == 1 for f in true.values()))
    kinds = Counter(f.kind for f in true.values())
    yield Figure(data, len(true), KINDS, len(kinds), note=said(kinds))
    clean = set(pictures.clean)
    wrong = [f for f in findings if f.query not in clean and not is_true(f)]
    note = "; ".join(map(str, wrong))
    yield Figure(data, len(findings), "matches of copies with another reference", len(wrong), note=note)
    false = [f for f in findings if f.query in clean]
    looked_at = shared()
    for measure, asked, found in (
        ("clean images with a match", "", false),
        ("false findings", "0", [f for f in false if (f.query, f.reference) not in looked_at]),
    ):
        flagged = {f.query for f in found}
        note = "; ".join(map(str, found))
        yield figure(measure, (c in flagged for c in pictures.clean), 1, asked, note)


def rated(data: str, measure: str, found: Int64, of: int, asked: str = "", note: str = "") -> Figure:
    """A rate with its interval; one value for each independent draw, each of at most `of`."""
    value: Rate | None = rate(found, np.full(len(found), of))
    if value is None:
        raise BenchmarkError(f"{data}: nothing to measure {measure} by")
    return Figure(data, len(found), measure, *value, asked, note)


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def natural_copies(folders: Sequence[Path]) -> dict[str, dict[Path, Path]]:
    """Originals by their copies, by kind; by the names that the samples and gcompris give them."""
    masks = {
        p: p.with_stem(p.stem.removesuffix(COLOUR_MASK)) for p in sample_photographs() if p.stem.endswith(COLOUR_MASK)
    }
    paths = sorted(path for folder in folders for path in folder.rglob("*_*") if DETAIL.search(path.as_posix()))
    details = {path: path.with_stem(path.stem.rpartition("_")[0] + BACKGROUND) for path in paths}
    kinds = {"colour masks": masks, "round details": details}
    return {kind: {c: o for c, o in pairs.items() if o.exists()} for kind, pairs in kinds.items()}


def of_natural(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """With the tiles of the references, and without."""
    natural = {kind: pairs for kind, pairs in natural_copies([*options.images, *options.clip_art]).items() if pairs}
    pictures = drawn(options, options.pictures or work / "pictures")
    originals = {f"original/{o.name}": o for pairs in natural.values() for o in pairs.values()}
    queries = {f"original/{o.name}/{c.name}": c for pairs in natural.values() for c, o in pairs.items()}
    taken = {
        f"{root.name}/{o.relative_to(root)}"
        for root in _roots(options)
        for o in originals.values()
        if root in o.parents
    }
    others = [name for name in pictures.references if name not in taken][: options.among]
    references = originals | pictures.some(others)
    embedded(queries, work / "natural", ENCODER)
    for name, extra in (("reference tiles (embed --fine-tiles)", ("--fine-tiles",)), ("no reference tiles", ())):
        store, out = work / f"originals{len(extra)}", work / f"natural-audit{len(extra)}"
        data = f"natural copies among {len(references):,}, {name}"
        cost = embedding(references, store, ENCODER, *extra)
        yield Figure(data, len(references), "embed, CPU s", cost.cpu_seconds)
        cost = audited(work / "natural", store, out)
        yield Figure(data, len(queries), "audit, CPU s", cost.cpu_seconds)
        yield Figure(data, len(queries), "audit, peak MB", cost.peak_mb)
        findings = read_findings(out)
        found = {f.query for f in findings if is_true(f)}
        for kind, pairs in natural.items():
            hits = np.array([f"original/{o.name}/{c.name}" in found for c, o in pairs.items()], np.int64)
            missed = [c.name for (c, _), hit in zip(pairs.items(), hits, strict=True) if not hit]
            yield rated(data, f"recall, {kind}", hits, 1, NATURAL_ASKED[kind] if extra else "", "; ".join(missed[:20]))
        wrong = [f for f in findings if not is_true(f)]
        note = "; ".join(map(str, wrong))
        yield Figure(data, len(findings), "matches with another reference", len(wrong), note=note)
        write_sheet(wrong, {**references, **queries}, out.with_name(f"{out.name}-wrong.png"))


def _roots(options: argparse.Namespace) -> list[Path]:
    return [*options.images, *options.clip_art, sample_photographs()[0].parents[1]]


def of_clocks(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """Each clock face against all 24: what its own picture is called, and what the others are."""
    clocks = {p.stem: p for p in sorted(sample_emoji().rglob("*.png")) if CLOCK.search(p.name)}
    store = embedded(clocks, work / "clocks", ENCODER)
    audited(store, store, work / "clocks-audit")
    findings = read_findings(work / "clocks-audit")
    itself = [f for f in findings if f.query == f.reference]
    others = [f for f in findings if f.query != f.reference]
    own_kinds, kinds = (Counter(f.kind for f in part) for part in (itself, others))
    yield Figure("clocks", len(clocks), "named first as itself", sum(f.rank == 1 for f in itself), note=said(own_kinds))
    yield Figure("clocks", len(clocks), "matches with other clocks", len(others), note=said(kinds))
    if others:
        values = [f.similarity for f in others]
        yield Figure("clocks", len(others), "similarity", float(np.median(values)), min(values), max(values))
    three = [f for f in others if f.query.startswith("three_oclock")]
    note = "; ".join(f"{f.reference} {f.kind} {f.similarity:.2f}" for f in three)
    yield Figure("clocks", len(clocks), "other clocks named at three o'clock", len(three), note=note)


def of_search(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """Exact search beside a flat FAISS index, for as many neighbours as an audit asks: seconds, ratios, comparisons a
    second."""
    store = make_store(work / f"synthetic-{options.rows}", options.rows)
    pairs = options.queries * options.rows
    for figure in exact_search(store, options.rounds, options.queries, [LEAST_CANDIDATES]):
        yield figure
        if figure.measure.endswith(" s") and figure.median:
            measure = f"{figure.measure.removesuffix(' s')}, pairs/s"
            yield replace(figure, measure=measure, median=pairs / figure.median, least=None, most=None)


PARTS: Mapping[str, Callable[[argparse.Namespace, Path], Iterator[Figure]]] = MappingProxyType(
    {"copies": of_copies, "peers": of_peers, "natural": of_natural, "clocks": of_clocks, "search": of_search}
)


def write_sheet(findings: Sequence[Finding], paths: Mapping[str, Path], out: Path, most: int = 120) -> None:
    """Generation and reference side by side, four findings in a row, for whoever judges them. Nothing: no file."""
    findings = findings[:most]
    if not findings:
        return
    width, height, columns = 2 * PART_CELL, PART_CELL + 20, 4
    sheet = Image.new("RGB", (columns * width, -(-len(findings) // columns) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, finding in enumerate(findings):
        left, top = number % columns * width, number // columns * height
        for side, image_id in enumerate((finding.query, finding.reference)):
            with Image.open(paths[image_id]) as opened:
                picture = ImageOps.contain(opened.convert("RGBA"), (PART_CELL - 6, PART_CELL - 6))
            sheet.paste(picture, (left + side * PART_CELL, top), picture)
        draw.text(
            (left, top + PART_CELL), f"{number} {finding.query[-34:]} {finding.kind} {finding.similarity:.2f}", "black"
        )
    sheet.save(out)


def table_of(figures: Sequence[Figure]) -> list[str]:
    """Lines of a table with a column for each run and each peer, for a reader; the CSV has the intervals.

    No lines where nothing was measured of the copies.
    """
    columns = list(dict.fromkeys(figure.data for figure in figures if figure.measure == RECALL))
    if not columns:
        return []
    cells = {(figure.measure, figure.data): _cell(figure) for figure in figures if figure.data in columns}
    measures = list(dict.fromkeys(measure for measure, _ in cells))
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    return lines + [f"| {m} | {' | '.join(cells.get((m, column), '') for column in columns)} |" for m in measures]


def _cell(figure: Figure) -> str:
    if figure.median is None:
        return ""
    return f"{figure.median:,.0f}" if figure.least is None else f"{figure.median:.1%}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_audit.py", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--images", metavar="FOLDER", type=Path, nargs="*", default=[], help="pictures, before those of the samples")
    add("--clip-art", metavar="FOLDER", type=Path, nargs="*", default=[], help="drawings, after them")
    add("--sources", metavar="N", type=int, default=300, help="references of which copies are made")
    add("--references", metavar="N", type=int, default=2000)
    add("--clean", metavar="N", type=int, default=1000)
    add("--apart", metavar="T", type=float, default=0.5, help="similarity that no two pictures reach")
    add("--among", metavar="N", type=int, default=150, help="references beside the originals of natural copies")
    add("--queries", metavar="N", type=int, default=5000, help="of the exact search")
    add("--rows", metavar="N", type=int, default=200_000, help="of the exact search")
    add("--rounds", metavar="N", type=int, default=3, help="of the exact search")
    add("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    add("--pictures", metavar="DIR", type=Path, help="thinned pictures: taken from there, or put there")
    add("--work", metavar="DIR", type=Path, help="a new folder; keep images, stores, reports and findings there")
    add("--results", metavar="DIR", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace, work: Path) -> list[Figure]:
    """Part by part; each is written when it ends."""
    folders = " ".join([*(folder.name for folder in (*options.images, *options.clip_art)), "samples"])
    about = {
        "apart": f"{options.apart:g}",
        "images": folders,
        **versions("numpy", "onnxruntime", "pillow", "opencv-python-headless"),
    }
    found: list[Figure] = []
    for part in options.parts:
        figures = []
        for figure in PARTS[part](options, work):
            show(figure)
            if figure.note:
                print(f"    {figure.note}", flush=True)
            figures.append(figure)
        print(write_figures(figures, "bench_audit", options.results, about), flush=True)
        found += figures
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="bench_audit.") as temporary:
            found = measured(options, new_folder(options.work) if options.work else Path(temporary))
    except BenchmarkError as error:
        print(f"bench_audit: {error}", file=sys.stderr)
        return 2
    print("\n".join(table_of(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
