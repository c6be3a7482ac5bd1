"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import typer

OutPath = Annotated[Path, typer.Option("--out", help="Folder to write.")]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="KIND:N",
        help="Who does what takes long: local:4, processes, slurm:100, a job array, or ray:8; by files in OUT-tasks.",
        show_default="this process",
    ),
]
EncoderName = Annotated[str | None, typer.Option("--encoder", help="See memaudit encoders list.", show_default="sscd")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Threads that decode, and encode on a CPU; 0: one per core.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images per forward pass.")]
ShardRows = Annotated[int, typer.Option("--shard-rows", min=1, help="Images per shard: what a kill can cost.")]
Unverified = Annotated[
    bool, typer.Option("--allow-unverified-weights", help="Load weights whose sha256 memaudit does not know.")
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", help="Cosine similarity, tested with >=.", show_default="the encoder's own"),
]
MaxUnreadable = Annotated[
    float,
    typer.Option("--max-unreadable", min=0, max=1, help="Share of images that may be unmeasured before exit code 3."),
]
Match = Annotated[
    str, typer.Option("--match", help="Decide what lies below the threshold on pixels: auto, pixels or none.")
]
MatchFrom = Annotated[
    float | None,
    typer.Option("--match-from", help="Similarity from which pixels are compared.", show_default="the encoder's own"),
]
Calibration = Annotated[
    Path | None, typer.Option("--calibration", help="A calibration.toml: its threshold and cut count.")
]
Kinds = Annotated[
    str | None,
    typer.Option(
        "--kinds",
        help="Kinds that count, with commas: verbatim, template, near-duplicate, partial, re-drawn; or all.",
        show_default="all; in dedup all but re-drawn",
    ),
]
BlurFaces = Annotated[bool, typer.Option("--blur-faces", help="Make faces unrecognisable in the report's pictures.")]
PagePictures = Annotated[
    str, typer.Option("--pictures", help="embedded in report.html, which is one file then, or beside it.")
]
TrainingSetName = Annotated[
    str,
    typer.Option("--training-set", help="Name and version of the training set.", show_default="its folder's name"),
]
Who = Annotated[str, typer.Option("--who", help="Who runs this, for the report.")]


class Matching(TypedDict):
    """What counts as a match, as functions of the API take it."""

    match: str
    match_from: float | None
    calibration: Path | None
    kinds: str


def matching(match: str, match_from: float | None, calibration: Path | None, kinds: str | None) -> Matching:
    """The options of matches together."""
    return {"match": match, "match_from": match_from, "calibration": calibration, "kinds": kinds or ""}
