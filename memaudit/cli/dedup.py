"""memaudit dedup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypedDict

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import (
    BlurFaces,
    Calibration,
    ExecutorName,
    Kinds,
    Match,
    MatchFrom,
    MaxUnreadable,
    OutPath,
    PagePictures,
    Threshold,
    TrainingSetName,
    Who,
    matching,
)
from memaudit.cli.planned import DryRun, tell
from memaudit.cli.stages import dedup_stages
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from memaudit.api.runs import DedupRun

StorePaths = Annotated[
    list[Path],
    typer.Argument(metavar="STORE...", help="A store made by memaudit embed; several are joined, in OUT-store."),
]
Clusters = Annotated[str, typer.Option("--clusters", help="Number of k-means clusters, or auto.")]
Method = Annotated[
    str, typer.Option("--method", help="auto, or openai-2022: five clusterings of 1,024, each image in its own.")
]
TargetRecall = Annotated[
    float | None, typer.Option("--target-recall", help="Go on until the recall is proven to be this high, say 0.99.")
]
Backend = Annotated[
    str, typer.Option("--backend", help="What nominates pairs: auto, product, half, signs, cuda or fused.")
]
Clusterings = Annotated[
    int | None, typer.Option("--clusterings", help="Clusterings whose pairs are united; else by a pilot.")
]
Probes = Annotated[
    int | None, typer.Option("--probes", help="Nearest clusters each is compared with; else by a pilot.")
]
Exhaustive = Annotated[bool, typer.Option("--exhaustive", help="Compare every image with every other.")]
Keep = Annotated[
    str,
    typer.Option("--keep", help="Whom to keep: cleanest (least altered), largest, first (image_id), best:COLUMN."),
]
Groups = Annotated[
    str,
    typer.Option("--groups", help="cover: everyone dropped resembles one that stays; components: by chains of pairs."),
]
Against = Annotated[
    Path | None, typer.Option("--against", help="Another store: drop what it has, before anything else.")
]
Ignore = Annotated[
    Path | None, typer.Option("--ignore", help="CSV of left_id, right_id: pairs that a person has ruled out.")
]
Reviews = Annotated[
    list[Path] | None,
    typer.Option("--reviews", metavar="FILE", help="What people decided on pairs; again for several files."),
]
Sample = Annotated[
    int, typer.Option("--recall-sample", min=1, help="Images compared exactly with all, for the recall.")
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", help="Time to compare pixels, say 90m or 2h: the most similar pairs come first."),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of clusterings and samples.")]


class _Heeded(TypedDict):
    against: Path | None
    ignore: Path | None
    reviews: Sequence[Path]


def dedup(
    context: typer.Context,
    stores: StorePaths,
    out: OutPath,
    threshold: Threshold = None,
    method: Method = "auto",
    clusters: Clusters = "auto",
    clusterings: Clusterings = None,
    probes: Probes = None,
    target_recall: TargetRecall = None,
    exhaustive: Exhaustive = False,
    backend: Backend = "auto",
    keep: Keep = "cleanest",
    groups: Groups = "cover",
    match: Match = "auto",
    match_from: MatchFrom = None,
    budget: Budget = None,
    calibration: Calibration = None,
    kinds: Kinds = None,
    against: Against = None,
    ignore: Ignore = None,
    reviews: Reviews = None,
    recall_sample: Sample = 1000,
    seed: Seed = 0,
    blur_faces: BlurFaces = False,
    pictures: PagePictures = "embedded",
    training_set: TrainingSetName = "",
    who: Who = "",
    max_unreadable: MaxUnreadable = 0.01,
    executor: ExecutorName = None,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Find near-duplicates, decide what to keep, and state the recall of finding them."""
    from memaudit.api.deduping import PageChoices, run_dedup

    if dry_run:
        _tell_plan(stores, Console(as_json, quiet), exhaustive=exhaustive, keep=keep, match=match)
    heeded: _Heeded = {"against": against, "ignore": ignore, "reviews": reviews or ()}
    with (console := Console(as_json, quiet)).progress(dedup_stages(against, exhaustive, kinds or "")) as progress:
        run = run_dedup(
            stores,
            out,
            **heeded,
            threshold=threshold,
            method=method,
            clusters=_clusters(clusters, exhaustive=exhaustive, by_default=(clusterings, probes) == (None, None)),
            clusterings=clusterings,
            probes=probes,
            target_recall=target_recall,
            backend=backend,
            keep=keep,
            groups=groups,
            **matching(match, match_from, calibration, kinds),
            budget=budget,
            recall_sample=recall_sample,
            seed=seed,
            page=PageChoices(pictures, training_set, who, context.obj or (), blur_faces=blur_faces),
            max_unreadable=max_unreadable,
            executor=executor,
            progress=progress,
            tell=console.tell,
        )
    console.result(run.report.content, "\n".join([run.headline, *_how(run)]), conclusive=run.conclusive)


def _tell_plan(stores: Sequence[Path], console: Console, *, exhaustive: bool, keep: str, match: str) -> NoReturn:
    from memaudit.api.costing import images_of_all, plan_dedup

    rows = images_of_all(stores)
    tell(plan_dedup(rows, store=stores[0], exhaustive=exhaustive, keep=keep, match=match), console)
    raise typer.Exit


def _how(run: DedupRun) -> Iterator[str]:
    """How pairs were found, what each clustering added, and where the report is, for the terminal."""
    yield from _heard(run)
    yield from _found(run)
    yield f"Report: {run.page}"


def _found(run: DedupRun) -> Iterator[str]:
    results = run.results
    if results is None:
        return
    yield from (f"Not looked at: {line}." for line in results.not_read)
    compared, added = results.comparison, results.pairs_added_by_clustering
    if compared:
        yield f"Method: {results.method}; {compared.backend}."
    if results.pilot:
        yield results.pilot.sentence
    if len(added) > 1:
        yield f"New pairs by clustering: {', '.join(f'{count:,}' for count in added)}."
    yield from _on_pixels(run)
    yield from _drawn_anew(run)
    if results.calibration:
        yield results.calibration.sentence
    copies = results.copies
    if copies and copies.found < copies.possible:
        yield (
            f"Of true copies that finds about {copies.found:.1%}; with all candidates decided on pixels "
            f"{copies.possible:.1%} ({copies.source})."
        )
    if compared and compared.note:
        yield f"Note: {compared.note}."


def _on_pixels(run: DedupRun) -> Iterator[str]:
    results = run.results
    if results is None:
        return
    if (pixels := results.pixels) is None:
        yield f"Pairs below the threshold were not looked at: {results.no_pixels}."
        return
    unread = f"; {pixels.unread:,} could not be read" if pixels.unread else ""
    yield (
        f"Pixels: of {pixels.checked:,} pairs of similarity {pixels.floor:g} and more below the threshold, "
        f"{pixels.confirmed:,} are copies ({pixels.left_out:,} less similar ones left out{unread})."
    )
    yield from (f"Not counted: {kind} {count:,}." for kind, count in pixels.not_counted.items())
    if pixels.left:
        yield f"The time given left {pixels.left:,} pairs, of a similarity of {pixels.left_from:.3g} and less."


def _drawn_anew(run: DedupRun) -> Iterator[str]:
    if run.results and (anew := run.results.redrawn):
        yield (
            f"Re-drawn: of {anew.compared.measured:,} pairs of similarity {anew.floor:g} and more among "
            f"{anew.images:,} images that copies had left, {anew.pairs:,} are one drawn anew from the other; "
            f"{anew.dropped:,} images dropped. How many are found of all there are: {anew.recall}."
        )


def _heard(run: DedupRun) -> Iterator[str]:
    if run.results and (reviews := run.results.reviews):
        yield (
            f"Reviews: {reviews.apart:,} pairs ruled out, {reviews.together:,} named as copies, of which "
            f"{reviews.added:,} were not found; {reviews.left:,} not heeded (doubtful, or past their day), "
            f"{reviews.unknown:,} of others."
        )


def _clusters(value: str, *, exhaustive: bool, by_default: bool) -> int | None:
    """Number of clusters; None: chosen by cost, 0: none."""
    if exhaustive and (value != "auto" or not by_default):
        raise UsageError("--exhaustive has no clusters: leave out --clusters, --clusterings and --probes")
    if exhaustive:
        return 0
    if value == "auto":
        return None
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise typer.BadParameter(f"{value!r} is neither auto nor a whole number above 0", param_hint="--clusters")
