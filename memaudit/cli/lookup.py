"""memaudit lookup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import (
    Calibration,
    Device,
    EncoderName,
    Match,
    MatchFrom,
    MaxUnreadable,
    Threshold,
    Unverified,
)

if TYPE_CHECKING:
    from memaudit.api.looking_up import Answer, LookupMatch, LookupRun, OnPixels

Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures, or folders of them.")]
Against = Annotated[
    list[Path],
    typer.Option("--against", help="The training set: an index of it, or its store; again for several stores as one."),
]
DedupFolder = Annotated[
    Path | None, typer.Option("--dedup", help="A dedup run of the same store: was a match kept or dropped?")
]
ViewsChoice = Annotated[
    str, typer.Option("--views", help="none, flips or all: turned, mirrored and parts of pictures.")
]
Neighbours = Annotated[int, typer.Option("--neighbours", min=1, help="Matches listed for each picture.")]
EvidenceFile = Annotated[Path | None, typer.Option("--evidence", help="JSON file to write for the person who asked.")]


def lookup(
    images: Images,
    against: Against,
    dedup: DedupFolder = None,
    views: ViewsChoice = "all",
    match: Match = "auto",
    match_from: MatchFrom = None,
    threshold: Threshold = None,
    calibration: Calibration = None,
    neighbours: Neighbours = 10,
    evidence: EvidenceFile = None,
    encoder: EncoderName = None,
    device: Device = "auto",
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Look pictures up in a training set. Exit code 0: found nothing, 1: found, 3: could not decide."""
    from memaudit.api.encoding import Encoding
    from memaudit.api.looking_up import FOUND, NOTHING, UNDECIDED, run_lookup

    console = Console(as_json, quiet)
    with console.progress(("looking up",)) as progress:
        found = run_lookup(
            images,
            against,
            dedup=dedup,
            views=views,
            match=match,
            match_from=match_from,
            calibration=calibration,
            threshold=threshold,
            neighbours=neighbours,
            evidence=evidence,
            max_unreadable=max_unreadable,
            encoding=Encoding(encoder, device, shard_rows=1, allow_unverified_weights=allow_unverified_weights),
            progress=progress,
        )
    console.result(found.evidence.as_dict(), _text(found))
    raise typer.Exit({NOTHING: 0, FOUND: 1, UNDECIDED: 3}[found.outcome])


def _text(run: LookupRun) -> str:
    found, grown = run.evidence, run.grown
    lines = [line for answer in found.images for line in _lines(answer)]
    lines += [f"not decided: {reason}" for reason in found.undecided]
    lines += _pixels_line(found.pixels)
    if found.redrawn.floor is None:
        lines.append(f"Re-drawn pictures were not looked for: {found.redrawn.why_not}.")
    if found.index:
        near = found.index.near
        lines.append(f"The index finds {near.at_1:.2%} of near-duplicates (measured on {near.rows:,} queries).")
    lines += [f"not searched in: {grown}"] if grown else []
    lines += run.not_read
    spent = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found.seconds.items())
    return "\n".join([*lines, f"{found.outcome} ({spent})"])


def _pixels_line(pixels: OnPixels) -> list[str]:
    if pixels.status == "compared":
        return []
    why = "; ".join(pixels.why)
    some = "none" if pixels.floor is None else f"{pixels.compared:,} of {pixels.candidates:,} candidates"
    missing = "Without pixels, parts and strong alterations are found at the threshold only."
    return [f"Compared on pixels: {some} ({why}). {missing}"]


def _lines(answer: Answer) -> list[str]:
    from memaudit.words import plural

    if answer.status != "ok":
        return [f"{answer.image}: {answer.status}"]
    if answer.redrawn:
        count, first = len(answer.redrawn), answer.redrawn[0]
        images = "a training image" if count == 1 else f"{count} training images"
        said = f"{answer.image}: no copy, but {images} drawn anew (probability {first.probability:.2f})"
        return [said, *(f"  {_match(match)}" for match in answer.redrawn)]
    if not answer.matches:
        near = answer.nearest
        return [
            f"{answer.image}: no match" + (f"; the nearest is {near.image_id}, {near.similarity:.3f}" if near else "")
        ]
    found = ("at least " if answer.more else "") + plural(len(answer.matches), "match", "matches")
    return [f"{answer.image}: {found}", *(f"  {_match(match)}" for match in answer.matches)]


def _match(match: LookupMatch) -> str:
    fate = match.dedup
    by = "seen on pixels" if match.verified else "no copy" if match.kind == "re-drawn" else "by embeddings"
    how = f"{match.kind}, {by}"
    parts = [f"{match.similarity:.3f}", match.image_id, f"({match.view}; {how})", match.uri, match.caption]
    if fate is not None:
        witness = f", witness {fate.witness_id}" if fate.decision == "drop" else ""
        parts.append(f"[{fate.decision}: {fate.reason}{witness}]")
    return " ".join(part for part in parts if part)
