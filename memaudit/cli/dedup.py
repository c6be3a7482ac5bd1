"""memaudit dedup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.face_audit import BlurFaces, blurring
from memaudit.cli.options import MaxUnreadable, OutPath, Threshold

if TYPE_CHECKING:
    from memaudit.report.model import DedupResults

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="A store made by memaudit embed.")]
Clusters = Annotated[str, typer.Option("--clusters", help="Number of k-means clusters, or auto.")]
Method = Annotated[
    str, typer.Option("--method", help="auto, or openai-2022: five clusterings of 1,024, each image in its own.")
]
TargetRecall = Annotated[
    float | None, typer.Option("--target-recall", help="Go on until the recall is proven to be this high, say 0.99.")
]
Backend = Annotated[str, typer.Option("--backend", help="What nominates pairs: auto, product, half, signs or cuda.")]
Clusterings = Annotated[int, typer.Option("--clusterings", help="Clusterings whose pairs are united.")]
Probes = Annotated[int, typer.Option("--probes", help="Nearest clusters each image is compared with.")]
Exhaustive = Annotated[bool, typer.Option("--exhaustive", help="Compare every image with every other.")]
Keep = Annotated[
    str,
    typer.Option("--keep", help="Whom to keep: largest (pixels), first (image_id) or best:COLUMN (highest)."),
]
Groups = Annotated[
    str,
    typer.Option("--groups", help="cover: everyone dropped resembles one that stays; components: by chains of pairs."),
]
Verify = Annotated[
    str, typer.Option("--verify", help="Decide pairs below the threshold on pixels: auto, pixels or none.")
]
VerifyFrom = Annotated[
    float | None,
    typer.Option("--verify-from", help="Similarity from which pairs are checked.", show_default="the encoder's own"),
]
Against = Annotated[
    Path | None, typer.Option("--against", help="Another store: drop what it has, before anything else.")
]
Ignore = Annotated[
    Path | None, typer.Option("--ignore", help="CSV of left_id, right_id: pairs that a person has ruled out.")
]
Sample = Annotated[
    int, typer.Option("--recall-sample", min=1, help="Images compared exactly with all, for the recall.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of clusterings and samples.")]


def dedup(
    store: StorePath,
    out: OutPath,
    threshold: Threshold = None,
    method: Method = "auto",
    clusters: Clusters = "auto",
    clusterings: Clusterings = 1,
    probes: Probes = 2,
    target_recall: TargetRecall = None,
    exhaustive: Exhaustive = False,
    backend: Backend = "auto",
    keep: Keep = "largest",
    groups: Groups = "cover",
    verify: Verify = "auto",
    verify_from: VerifyFrom = None,
    against: Against = None,
    ignore: Ignore = None,
    recall_sample: Sample = 1000,
    seed: Seed = 0,
    blur_faces: BlurFaces = False,
    max_unreadable: MaxUnreadable = 0.01,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Find near-duplicates, decide what to keep, and state the recall of finding them."""
    from memaudit.dedup.ignored import read_ruled_out
    from memaudit.dedup.run import DedupOptions, require_possible
    from memaudit.dedup.run import dedup as run
    from memaudit.errors import InconclusiveError, UsageError
    from memaudit.report.dedup import write_dedup
    from memaudit.report.document import remove_earlier_pictures, start_run
    from memaudit.report.inconclusive import write_inconclusive
    from memaudit.store import Store

    console = Console(as_json, quiet)
    if exhaustive and (clusters, clusterings, probes) != ("auto", 1, 2):
        raise UsageError("--exhaustive has no clusters: leave out --clusters, --clusterings and --probes")
    options = DedupOptions(
        threshold=threshold,
        method=method,
        clusters=0 if exhaustive else _clusters(clusters),
        clusterings=clusterings,
        probes=probes,
        target_recall=target_recall,
        backend=backend,
        keep=keep,
        groups=groups,
        match=verify,
        match_from=verify_from,
        recall_sample=recall_sample,
        seed=seed,
        max_unreadable=max_unreadable,
    )
    alter = blurring(wanted=blur_faces)
    start_run(out, "dedup")
    if blur_faces:
        remove_earlier_pictures(out)
    require_possible(options)
    ruled_out = read_ruled_out(ignore) if ignore else None
    try:
        opened = Store.open(store)
        other = Store.open(against) if against else None
        with console.progress() as progress:
            result = run(opened, options, against=other, ruled_out=ruled_out, scratch=out, progress=progress)
    except InconclusiveError as error:
        write_inconclusive("dedup", str(error), out)
        raise InconclusiveError(f"inconclusive: {error}") from None
    report = write_dedup(result, opened, out, other, alter)
    console.result(report.content, f"{report.results.headline}\n{_how(report.results)}\nReport: {out / 'report.html'}")
    if result.inconclusive:
        raise typer.Exit(InconclusiveError.exit_code)


def _how(results: DedupResults) -> str:
    """How pairs were found, and what each clustering added, for the terminal."""
    comparison, added = results.comparison, results.pairs_added_by_clustering
    lines = [f"Method: {results.method}; {comparison.backend}."] if comparison else []
    if len(added) > 1:
        lines.append(f"New pairs by clustering: {', '.join(f'{count:,}' for count in added)}.")
    lines.append(_pixels(results))
    if comparison and comparison.note:
        lines.append(f"Note: {comparison.note}.")
    return "\n".join(lines)


def _pixels(results: DedupResults) -> str:
    pixels = results.pixels
    if pixels is None:
        return f"Pairs below the threshold were not looked at: {results.no_pixels}."
    unread = f"; {pixels.unread:,} could not be read" if pixels.unread else ""
    return (
        f"Pixels: of {pixels.checked:,} pairs of similarity {pixels.floor:g} and more below the threshold, "
        f"{pixels.confirmed:,} are copies ({pixels.left_out:,} less similar ones left out{unread})."
    )


def _clusters(value: str) -> int | None:
    if value == "auto":
        return None
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise typer.BadParameter(f"{value!r} is neither auto nor a whole number above 0", param_hint="--clusters")
