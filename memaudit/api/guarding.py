"""The guard: generations held against a training set one by one, as an audit would; here, or over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock
from types import TracebackType
from typing import Any

from memaudit import __version__
from memaudit.api.calibrated_options import by_calibration
from memaudit.api.defaults import DEFAULT_VIEWS
from memaudit.api.encoding import Encoding
from memaudit.api.several import Stores, not_taken_over, searcher_of
from memaudit.embedding.growth import grown
from memaudit.errors import InputError, UsageError
from memaudit.files import read_small, reason_of
from memaudit.guard.check import Guard as Guard
from memaudit.guard.check import GuardVerdict as GuardVerdict
from memaudit.guard.desk import Desk
from memaudit.guard.metrics import Metrics
from memaudit.guard.server import Limits, Server
from memaudit.images.image_ref import first_frames_line
from memaudit.images.views import views_of
from memaudit.index import Searcher
from memaudit.lookup.run import Lookup, LookupOptions
from memaudit.matching.kept import not_used
from memaudit.matching.kinds import kinds_of
from memaudit.matching.shortfalls import Shortfall
from memaudit.serving.http import ADDRESS
from memaudit.similarity.exact import require_threshold

_MOST_SECONDS = 3600


def open_guard(
    against: Stores,
    *,
    views: str = DEFAULT_VIEWS,
    kinds: str | Sequence[str] = (),
    match: str = "auto",
    match_from: float | None = None,
    threshold: float | None = None,
    calibration: str | Path | None = None,
    max_unreadable: float = 0.01,
    encoding: Encoding = Encoding(),
) -> Guard:
    """Open a training set and load its encoder, once for any number of pictures. Of each the guard says what an audit
    with the same options says of it as a generation; nothing of a picture is written anywhere.

    against: the training set's store, an index of it, or several stores as one. kinds: of copies that fail, by default
    all, and what is drawn anew. max_unreadable: share of the training images that may be unmeasured; beyond it nothing
    passes. The others: as of `run_audit`.

    Raises InconclusiveError for another encoder than the training set's, UsageError for impossible options.

    >>> guard = ma.open_guard(ma.embed("training", out="store", encoder="thumbnail"))
    >>> guard.check(b"no picture").reasons
    ('not a known image format',)
    """
    if threshold is not None:
        require_threshold(threshold)
    if not 0 <= max_unreadable <= 1:
        raise UsageError(f"--max-unreadable {max_unreadable:g} is out of range: expected a share, 0 to 1")
    references = searcher_of(against)
    options = LookupOptions(views_of(views), threshold, match=match, match_from=match_from)
    options = by_calibration(options, calibration)
    encoder = encoding.load(references.store.encoder)
    lookup = Lookup.of(references, encoder, options, kinds_of(kinds), as_audited=True)
    return Guard(lookup, max_unreadable, _not_in(references))


def _not_in(references: Searcher) -> tuple[Shortfall, ...]:
    """What of a training set is not in the store that is searched."""
    store, films = references.store, first_frames_line(references.first_frames_alone())
    beside, new = not_taken_over(store.made_of), grown(store)
    unread = store.count_not_read
    found = (
        Shortfall(f"training images: {unread}", "; ".join(store.not_read)) if unread else None,
        Shortfall(f"training images: {films}") if films else None,
        Shortfall("tiles, details and features of single stores are not used", "; ".join(beside)) if beside else None,
        not_used(store),
        Shortfall("the training set's sources hold images by now that its store does not", new) if new else None,
    )
    return tuple(filter(None, found))


class GuardServer:
    """A guard that is asked over HTTP, until `close`, or the end of a `with` block: POST `url`/check with a picture,
    GET `url`/health and `url`/metrics, the token in the header `Authorization: Bearer …`.

    >>> guard = ma.open_guard(ma.embed("training", out="store", encoder="thumbnail"))
    >>> with ma.open_guard_server(guard) as server:
    ...     server.url.startswith("http://127.0.0.1:"), len(server.token)
    (True, 43)
    """

    def __init__(
        self, guard: Guard, token: str, log: Path | None, waiting: int, check_seconds: float, limits: Limits, *at: Any
    ) -> None:
        store = guard.lookup.references.store
        metrics = Metrics({"version": __version__, "store": store.digest, "encoder": store.encoder.name})
        self._log = _Log(log) if log else None
        self._desk = Desk(guard, metrics, waiting, check_seconds, self._log or (lambda verdict: None))
        self._server = Server(self._desk, metrics, token, limits, *at)
        self._desk.__enter__()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def token(self) -> str:
        return self._server.token.decode()

    def serve(self) -> None:
        """Answer until `stop` is called from another thread, or Ctrl-C is pressed, which raises KeyboardInterrupt."""
        self._server.serve_forever(poll_interval=0.2)

    def stop(self) -> None:
        """Let `serve`, which another thread called, return."""
        self._server.shutdown()

    def close(self) -> None:
        """End. What is being checked gets its verdict; what waits is inconclusive."""
        self._server.server_close()
        self._desk.__exit__()
        self._server.wait_for_answers()

    def __enter__(self) -> GuardServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Log:
    """Verdicts as JSON lines: when, the digest of the picture, what was decided, the training images."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._add("")

    def __call__(self, verdict: GuardVerdict) -> None:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "sha256": verdict.sha256,
            "verdict": str(verdict.verdict),
            "matches": [match.image_id for match in (*verdict.matches, *verdict.redrawn)],
            "reasons": list(verdict.reasons),
        }
        self._add(json.dumps(line) + "\n")

    def _add(self, line: str) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write("\n" + line if line and _is_cut(self._path) else line)


def _is_cut(path: Path) -> bool:
    """Whether a file's last line has no end, as where the disk was full."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def open_guard_server(
    guard: Guard,
    *,
    port: int = 0,
    address: str = ADDRESS,
    token_file: str | Path | None = None,
    log: str | Path | None = None,
    max_bytes: int = 32 << 20,
    max_pixels: int = 100_000_000,
    request_seconds: float = 10.0,
    check_seconds: float = 60.0,
    queue: int = 64,
    connections: int = 64,
) -> GuardServer:
    """Let a guard be asked over HTTP; it is served when `serve` is called. Nothing of a picture is kept.

    port: 0 for any that is free. address: by default this machine alone can ask; there is no encryption. token_file:
    holds the token, and is made, for its owner alone, where it is not there; None: a new token. log: a file that each
    verdict is added to, with the digest of the picture. max_bytes, max_pixels: of a picture, with all its frames.
    request_seconds: in which a request must be there. check_seconds: for a verdict, waiting included; later it is
    inconclusive. queue: pictures that may wait; beyond it a request is told to come again (503, Retry-After).
    connections: at once.

    Raises UsageError for impossible options and for a port that is taken, InputError for files that cannot be used.

    >>> guard = ma.open_guard(ma.embed("training", out="store", encoder="thumbnail"))
    >>> with ma.open_guard_server(guard, token_file="token") as server:
    ...     server.token == open("token").read().strip()
    True
    """
    counts = {"--max-bytes": max_bytes, "--max-pixels": max_pixels, "--queue": queue, "--connections": connections}
    for option, value in counts.items():
        if value < 1:
            raise UsageError(f"{option} {value} is out of range: expected at least 1")
    for option, seconds in (("--request-seconds", request_seconds), ("--check-seconds", check_seconds)):
        if not 0 < seconds <= _MOST_SECONDS:
            raise UsageError(f"{option} {seconds:g} is out of range: expected more than 0, and {_MOST_SECONDS} at most")
    token = _token(Path(token_file)) if token_file else token_urlsafe(32)
    limits = Limits(max_bytes, max_pixels, request_seconds, connections)
    try:
        return GuardServer(guard, token, Path(log) if log else None, queue, check_seconds, limits, port, address)
    except OSError as error:
        raise InputError(f"--log {log} cannot be written: {reason_of(error)}") from None


def _token(path: Path) -> str:
    """The token in a file. Raises InputError for one that is too short to be one, or has a line break in it."""
    try:
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new,
        ):
            new.write(token_urlsafe(32) + "\n")
        token = read_small(path, 4096).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--token-file {path} cannot be used: {reason_of(error)}") from None
    if not 16 <= len(token) <= 1024 or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"--token-file {path} holds no token: expected 16 characters or more, without a blank")
    return token
