"""memaudit lookup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.dedup_run import require_run_of
from memaudit.cli.options import Device, Embedder, EncoderName, MaxUnreadable, Threshold, Unverified

if TYPE_CHECKING:
    from memaudit.index import Searcher
    from memaudit.lookup.run import Answer, LookupMatch

Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures, or folders of them.")]
Against = Annotated[Path, typer.Option("--against", help="The training set: an index of it, or its store.")]
DedupFolder = Annotated[
    Path | None, typer.Option("--dedup", help="A dedup run of the same store: was a match kept or dropped?")
]
ViewsChoice = Annotated[
    str, typer.Option("--views", help="none, flips or all: turned, mirrored and parts of pictures.")
]
Verify = Annotated[
    str, typer.Option("--verify", help="Decide candidates below the threshold on pixels: auto, pixels or none.")
]
VerifyFrom = Annotated[
    float | None,
    typer.Option("--verify-from", help="Similarity from which candidates are looked at.", show_default="encoder's own"),
]
Neighbours = Annotated[int, typer.Option("--neighbours", min=1, help="Matches listed for each picture.")]
EvidenceFile = Annotated[Path | None, typer.Option("--evidence", help="JSON file to write for the person who asked.")]


def lookup(
    images: Images,
    against: Against,
    dedup: DedupFolder = None,
    views: ViewsChoice = "all",
    verify: Verify = "auto",
    verify_from: VerifyFrom = None,
    threshold: Threshold = None,
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
    from memaudit.errors import EmptyInputError, InconclusiveError, UsageError
    from memaudit.files import write_json
    from memaudit.images.sources import iter_images
    from memaudit.images.views import views_of
    from memaudit.index import open_searcher
    from memaudit.lookup import run
    from memaudit.similarity.exact import require_threshold

    console = Console(as_json, quiet)
    if threshold is not None:
        require_threshold(threshold)
    if evidence is not None and evidence.exists():
        raise UsageError(f"{evidence} exists already: evidence is not written over; choose another --evidence")
    options = run.LookupOptions(views_of(views), threshold, neighbours, verify, verify_from)
    watch = run.Stopwatch()
    references = open_searcher(against)
    decisions = _decisions(dedup, references) if dedup else None
    watch.lap("opening")
    embedder = Embedder(encoder, device, 0, 16, 1, allow_unverified_weights)
    loaded = embedder.load(references.store.encoder)
    watch.lap("loading the encoder")
    refs = (ref for source in images for ref in iter_images([source]))
    answers = run.look_up(refs, references, loaded, options)
    if not answers:
        raise EmptyInputError(f"no image in {', '.join(images)}: nothing to look up")
    if decisions is not None:
        answers = run.with_fates(answers, decisions)
    watch.lap("looking up")
    value = run.evidence(answers, references, options, max_unreadable, watch.seconds)
    if evidence is not None:
        write_json(evidence, value)
    console.result(value, _text(answers, value))
    raise typer.Exit({run.NOTHING: 0, run.FOUND: 1, run.UNDECIDED: InconclusiveError.exit_code}[value["outcome"]])


def _decisions(dedup: Path, references: Searcher) -> Path:
    """The decisions of a dedup run. Raises InconclusiveError if it was made of another set, or another state of it."""
    require_run_of(dedup, references.store)
    return dedup / "decisions.parquet"


def _text(answers: Sequence[Answer], value: dict[str, Any]) -> str:
    lines = [line for answer in answers for line in _lines(answer)]
    lines += [f"not decided: {reason}" for reason in value["undecided"]]
    lines += _pixels_line(value["pixels"])
    if value["index"]:
        near = value["index"]["index_recall"]["near"]
        lines.append(f"The index finds {near['at_1']:.2%} of near-duplicates (measured on {near['rows']:,} queries).")
    spent = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in value["seconds"].items())
    return "\n".join([*lines, f"{value['outcome']} ({spent})"])


def _pixels_line(pixels: dict[str, Any]) -> list[str]:
    if pixels["status"] == "compared":
        return []
    why = "; ".join(pixels["why"])
    some = f"{pixels['compared']:,} of {pixels['candidates']:,} candidates" if "candidates" in pixels else "none"
    missing = "Without pixels, parts and strong alterations are found at the threshold only."
    return [f"Compared on pixels: {some} ({why}). {missing}"]


def _lines(answer: Answer) -> list[str]:
    if answer.status != "ok":
        return [f"{answer.image}: {answer.status}"]
    if not answer.matches:
        near = answer.nearest
        return [
            f"{answer.image}: no match" + (f"; the nearest is {near.image_id}, {near.similarity:.3f}" if near else "")
        ]
    more = "at least " if answer.more else ""
    return [f"{answer.image}: {more}{len(answer.matches)} matches", *(f"  {_match(match)}" for match in answer.matches)]


def _match(match: LookupMatch) -> str:
    fate = match.dedup
    how = f"{match.kind}, seen on pixels" if match.verified else f"{match.kind}, by embeddings"
    parts = [f"{match.similarity:.3f}", match.image_id, f"({match.view}; {how})", match.uri, match.caption]
    if fate is not None:
        witness = f", witness {fate.witness_id}" if fate.decision == "drop" else ""
        parts.append(f"[{fate.decision}: {fate.reason}{witness}]")
    return " ".join(part for part in parts if part)
