"""memaudit serve."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from memaudit import interrupts
from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import (
    Calibration,
    Device,
    EncoderName,
    Kinds,
    Match,
    MatchFrom,
    MaxUnreadable,
    Threshold,
    Unverified,
)
from memaudit.memory import few_arenas

if TYPE_CHECKING:
    from memaudit.api.guarding import Guard, GuardServer

Against = Annotated[
    list[Path],
    typer.Argument(metavar="STORE...|INDEX", help="The training set: its store, several as one, or an index of it."),
]
ViewsChoice = Annotated[str, typer.Option("--views", help="none, flips, tiles or all, as of an audit.")]
Host = Annotated[str, typer.Option("--host", help="Address to answer at; by default this machine alone can ask.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="Holds the token; made where it is not there. Else a new token.")
]
Log = Annotated[Path | None, typer.Option("--log", help="Add each verdict to this file; else nothing is kept.")]
MostBytes = Annotated[int, typer.Option("--max-bytes", help="Of a picture.")]
MostPixels = Annotated[int, typer.Option("--max-pixels", help="Of a picture, with all its frames.")]
RequestSeconds = Annotated[float, typer.Option("--request-seconds", help="In which a request must be there.")]
CheckSeconds = Annotated[
    float, typer.Option("--check-seconds", help="For a verdict, waiting included; later it is inconclusive.")
]
QueueLength = Annotated[int, typer.Option("--queue", help="Pictures that may wait; beyond it: 503, come again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Open all of it, say what it is, and end.")]
Connections = Annotated[int, typer.Option("--connections", help="At once.")]


class _Limits(TypedDict):
    max_bytes: int
    max_pixels: int
    connections: int


def serve(
    against: Against,
    host: Host = "127.0.0.1",
    port: Port = 0,
    token_file: TokenFile = None,
    log: Log = None,
    views: ViewsChoice = "tiles",
    kinds: Kinds = None,
    match: Match = "auto",
    match_from: MatchFrom = None,
    threshold: Threshold = None,
    calibration: Calibration = None,
    max_bytes: MostBytes = 32 << 20,
    max_pixels: MostPixels = 100_000_000,
    request_seconds: RequestSeconds = 10.0,
    check_seconds: CheckSeconds = 60.0,
    queue: QueueLength = 64,
    connections: Connections = 64,
    dry_run: DryRun = False,
    encoder: EncoderName = None,
    device: Device = "auto",
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Answer over HTTP whether a generation repeats a training image. Ctrl-C or SIGTERM ends it."""
    few_arenas()
    from memaudit import Encoding, open_guard, open_guard_server

    guard = open_guard(
        against,
        views=views,
        kinds=kinds or (),
        match=match,
        match_from=match_from,
        threshold=threshold,
        calibration=calibration,
        max_unreadable=max_unreadable,
        encoding=Encoding(encoder, device, allow_unverified_weights=allow_unverified_weights),
    )
    if dry_run:
        Console(as_json, quiet).result(*_opened(guard))
        return
    limits: _Limits = {"max_bytes": max_bytes, "max_pixels": max_pixels, "connections": connections}
    server = open_guard_server(
        guard,
        port=port,
        address=host,
        token_file=token_file,
        log=log,
        **limits,
        request_seconds=request_seconds,
        check_seconds=check_seconds,
        queue=queue,
    )
    _serve(server, guard, Console(as_json, quiet), token_file)


def _serve(server: GuardServer, guard: Guard, console: Console, token_file: Path | None) -> None:
    with server:
        try:  # Ctrl-C is how a server ends, from the moment on when somebody knows that it has begun
            signal.signal(signal.SIGTERM, _end)
            for line in _unsearched(guard):
                console.tell(line)
            console.result({"url": server.url, **_token(server, token_file)}, _begun(server, token_file))
            server.serve()
        except KeyboardInterrupt:
            interrupts.expected()
            interrupts.done()  # whoever presses again, or sends SIGTERM again, waits for no verdict
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    console.tell("the server ended: what was being checked got its verdict")


def _opened(guard: Guard) -> tuple[dict[str, object], str]:
    lookup = guard.lookup
    store, views = lookup.references.store, [view.name for view in lookup.options.views]
    said: dict[str, object] = {
        "encoder": store.encoder.name,
        "images": len(store),
        "views": views,
        "doubts": list(guard.doubts),
        "notes": list(guard.notes),
    }
    lines = [f"{len(store):,} images by {store.encoder.name}, {len(views):,} views of each picture"]
    lines += _unsearched(guard)
    parts = {str(part.folder): part.digest for part in store.made_of}
    said |= {"stores": parts} if parts else {}
    return {"store": store.digest, **said, "pixels": lookup.plan.why_not or "compared"}, "\n".join(lines)


def _unsearched(guard: Guard) -> list[str]:
    return [*(f"nothing can pass: {doubt}" for doubt in guard.doubts), *(f"left out: {note}" for note in guard.notes)]


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _token(server: GuardServer, token_file: Path | None) -> dict[str, object]:
    """Where a file holds the token it is named: what a service prints stands in its logs, for more people to read."""
    return {"token_file": str(token_file)} if token_file else {"token": server.token}


def _begun(server: GuardServer, token_file: Path | None) -> str:
    said = f"in {token_file}" if token_file else server.token
    return f"{server.url}/check takes pictures, /health and /metrics say how it goes. Token: {said}. Ctrl-C ends it."
