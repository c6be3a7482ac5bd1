"""The pre-release check: every stage in turn, those left out whose inputs are what they were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec import to_builtins

from memaudit import __version__
from memaudit.api.auditing import run_audit
from memaudit.api.deduping import run_dedup
from memaudit.api.encoding import Encoding
from memaudit.api.gating import GateRun, Verdict, run_gate
from memaudit.api.page_choices import PageChoices
from memaudit.api.prompting import make_prompts
from memaudit.api.runs import AuditRun, DedupRun, Run, open_report
from memaudit.api.stores import embed
from memaudit.errors import InconclusiveError, InputError, MemauditError
from memaudit.files import digest_of, is_store, read_json, sealed, sha256_of, unsealed, write_json, write_text
from memaudit.folders import sole_writer
from memaudit.release import command, http
from memaudit.release.jobs import Fate, Gallery, jobs_of
from memaudit.release.run_file import CommandGenerator, FolderGenerator, HttpGenerator, RunFile, read_run_file
from memaudit.store import Store
from memaudit.types import Progress, silent, unsaid

SCHEMA = "urn:memaudit:release:1"
STATE, PROMPTS, PAIRING, PAGE, VERDICT = "run.json", "prompts.jsonl", "pairing.jsonl", "release.html", "verdict.json"
_MAKING = {"workers", "timeout", "tries", "per_minute", "key_env", "batch"}  # of a generator: not what it makes
T = TypeVar("T")


class StageDone(NamedTuple):
    """A stage: what came of it in a few words, and whether it was there already."""

    name: str
    words: str
    as_before: bool


@dataclass(frozen=True, repr=False)
class ReleaseRun:
    """A finished check. stages: in turn; refused: images that the generator would not make, of so many asked for;
    reasons: why a pass of the gate is none.

    >>> import pathlib
    >>> _ = pathlib.Path("release.toml").write_text(\"\"\"
    ... training = {source = "training", encoder = "thumbnail", dedup = false}
    ... generator = {kind = "folder", path = "generations"}
    ... \"\"\")
    >>> done = ma.run_release("release.toml")
    >>> [stage.name for stage in done.stages], done.audit.rate.count
    (['training set', 'audit', 'gate'], 1)
    """

    folder: Path
    stages: tuple[StageDone, ...]
    audit: AuditRun
    dedup: DedupRun | None
    gate: GateRun
    refused: tuple[int, int] = (0, 0)
    reasons: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """That of the gate; a pass is inconclusive where too much was refused."""
        return Verdict.INCONCLUSIVE if self.reasons and self.gate.verdict == Verdict.PASS else self.gate.verdict

    @property
    def page(self) -> Path:
        """The audit's page with the verdict."""
        return self.folder / PAGE

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {
            "verdict": str(self.verdict),
            "reasons": list(self.reasons),
            "folder": str(self.folder),
            "page": str(self.page),
            "stages": [stage._asdict() for stage in self.stages],
            "refused": self.refused[0],
            "asked": self.refused[1],
            "gate": self.gate.as_dict(),
        }

    def __repr__(self) -> str:
        return f"<ReleaseRun: {self.verdict}, in {self.folder}>"


def run_release(
    file: str | Path,
    out: str | Path | None = None,
    *,
    progress: Progress = silent,
    tell: Callable[[str], None] = unsaid,
) -> ReleaseRun:
    """Do what a release.toml says: embed, dedup, choose prompts, generate, audit, gate. Run again, what is there and of
    the same inputs is not made again.

    out: folder of everything that is written; None: the file's own `out`. tell: is given a line for each stage. Raises
    UsageError, InputError and InconclusiveError as the functions of the
    stages do, and InputError for a generator that fails.

    >>> import pathlib
    >>> _ = pathlib.Path("release.toml").write_text(\"\"\"
    ... training = {source = "training", encoder = "thumbnail"}
    ... generator = {kind = "folder", path = "generations"}
    ... \"\"\")
    >>> ma.run_release("release.toml")
    <ReleaseRun: fail, in release>
    """
    path = Path(file)
    told = read_run_file(path)
    check = _Check(told, path.parent, path.parent / told.out if out is None else Path(out), progress, tell)
    with sole_writer(check.out):
        return check.run()


def plan_release(file: str | Path, out: str | Path | None = None) -> list[tuple[str, str]]:
    """What `run_release` would do: each stage, and in a few words what is to be done in it.

    >>> import pathlib
    >>> _ = pathlib.Path("release.toml").write_text(\"\"\"
    ... training = {source = "training", encoder = "thumbnail"}
    ... generator = {kind = "folder", path = "generations"}
    ... \"\"\")
    >>> [stage for stage, _ in ma.plan_release("release.toml")]
    ['training set', 'dedup', 'audit', 'gate']
    """
    path = Path(file)
    told = read_run_file(path)
    return list(_planned(told, path.parent, path.parent / told.out if out is None else Path(out)))


def _planned(told: RunFile, base: Path, out: Path) -> Iterator[tuple[str, str]]:
    training = told.training
    yield (
        "training set",
        f"open {training.store}" if training.store else f"embed {training.source} ({training.encoder})",
    )
    if training.dedup:
        yield "dedup", "find its near-duplicates"
    if not isinstance(told.generator, FolderGenerator):
        asked = told.prompts
        yield "prompts", f"choose {asked.n:,} ({asked.strategy}, by {asked.by})"
        folder = _gallery_of(told, out)
        there = len(Gallery(folder).outcomes) if folder and folder.is_dir() else 0
        yield (
            "generations",
            f"up to {asked.n * asked.seeds:,} by {told.generator.__struct_config__.tag}, {there:,} are there",
        )
    if told.audit.control and not is_store(base / told.audit.control):
        yield "held-out images", f"embed {told.audit.control}"
    yield "audit", f"against the training set{', with faces' if told.audit.faces else ''}"
    yield "gate", f"by {told.gate.policy or 'the default limits'}"


def _gallery_of(told: RunFile, out: Path) -> Path | None:
    """Where the generations of these prompts and this generator lie; None where there are no prompts yet."""
    if not (out / PROMPTS).is_file():
        return None
    what = {key: value for key, value in to_builtins(told.generator).items() if key not in _MAKING}
    key = digest_of([sha256_of(out / PROMPTS), told.prompts.seeds, what, told.model, told.model_digest])
    return out / f"generations-{key[:12]}"


class _State:
    """What stages were made of, and what came of them: run.json."""

    def __init__(self, path: Path) -> None:
        self._path, self._stages = path, dict[str, dict[str, str]]()
        if path.is_file():
            try:
                told = unsealed(path, read_json(path))
            except MemauditError:
                return  # all is made anew
            if told.get("schema") == SCHEMA and told.get("memaudit") == __version__:
                self._stages = dict(told["stages"])

    def holds(self, stage: str, key: str, result: str) -> bool:
        return self._stages.get(stage) == _entry(key, result)

    def note(self, stage: str, key: str, result: str) -> None:
        self._stages[stage] = _entry(key, result)
        write_json(self._path, sealed({"schema": SCHEMA, "memaudit": __version__, "stages": self._stages}))


def _entry(key: str, result: str) -> dict[str, str]:
    return {"inputs": key, "digest": result}


class _Check:
    def __init__(self, told: RunFile, base: Path, out: Path, progress: Progress, tell: Callable[[str], None]) -> None:
        self.told, self.base, self.out, self.progress, self.tell = told, base, out, progress, tell
        self.stages: list[StageDone] = []

    def run(self) -> ReleaseRun:
        self.state = _State(self.out / STATE)
        store = self._training()
        dedup = self._dedup(store) if self.told.training.dedup else None
        gallery = None
        if not isinstance(self.told.generator, FolderGenerator):
            self._prompts(store, dedup)
            gallery = self._generations(self.told.generator)
        audit = self._audit(store, gallery)
        gate = self._gate(audit, dedup)
        refused, asked = (0, 0) if gallery is None else self._refused(gallery)
        reasons = (
            ()
            if refused <= self.told.prompts.max_refused * asked
            else (f"the generator refused {refused:,} of {asked:,} images: more than max_refused allows",)
        )
        done = ReleaseRun(self.out, tuple(self.stages), audit, dedup, gate, (refused, asked), reasons)
        write_json(self.out / VERDICT, done.as_dict())
        return done

    def _training(self) -> Store:
        training = self.told.training
        if training.store:
            store = Store.open(self.base / training.store)
        else:
            store = self._embedded(training.source, "training", training.encoder)
        return self._done("training set", f"{len(store):,} images, {store.encoder.name}", store)

    def _embedded(self, source: str | list[str], name: str, encoder: str) -> Store:
        sources = [str(self._at(each)) for each in ([source] if isinstance(source, str) else source)]
        limit = self.told.audit.max_unreadable
        return embed(sources, self.out / name, encoder=encoder, max_unreadable=limit, progress=self.progress).store

    def _at(self, source: str) -> str | Path:
        return source if "://" in source else self.base / source

    def _dedup(self, store: Store) -> DedupRun:
        folder = self.out / "dedup"
        there = self._report_at(folder, "dedup", digest_of([store.digest]))
        run = there or run_dedup(store, folder, page=self._page(), progress=self.progress, tell=self.tell)
        assert isinstance(run, DedupRun)
        return self._reported("dedup", run, digest_of([store.digest]), as_before=there is not None)

    def _prompts(self, store: Store, dedup: DedupRun | None) -> None:
        asked, path = self.told.prompts, self.out / PROMPTS
        others = [self._folder(name) for name in (asked.held_out, asked.weights)]
        digests = [_digest_in(folder) for folder in others if folder]
        key = digest_of([store.digest, to_builtins(asked), digests, dedup.report.digest if dedup else ""])
        if path.is_file() and self.state.holds("prompts", key, sha256_of(path)):
            self._done("prompts", f"{len(path.read_text('utf-8').splitlines()):,}", None, as_before=True)
            return
        groups = dedup if asked.strategy != "random" else None
        made = make_prompts(
            store,
            path,
            n=asked.n,
            strategy=asked.strategy,
            by=asked.by,
            dedup=groups,
            held_out=others[0],
            weights=others[1],
            seed=asked.seed,
        )
        self.state.note("prompts", key, sha256_of(path))
        self._done("prompts", f"{len(made):,} of {made.chosen.distinct:,} captions", None)

    def _folder(self, name: str) -> Path | None:
        return self.base / name if name else None

    def _generations(self, generator: CommandGenerator | HttpGenerator) -> Gallery:
        folder = _gallery_of(self.told, self.out)
        assert folder is not None
        gallery = Gallery(folder)
        jobs = jobs_of(self.out / PROMPTS, self.told.prompts.seeds)
        left = gallery.left(jobs)
        if left:
            with gallery.recording() as record:
                if isinstance(generator, CommandGenerator):
                    command.generate(generator, left, gallery.incoming, record, self.progress)
                else:
                    http.generate(generator, left, gallery.incoming, record, self.progress)
        counts = gallery.counts()
        if not counts[Fate.MADE]:
            raise InconclusiveError(f"the generator made none of {len(jobs):,} images: {_first_reason(gallery)}")
        words = f"{counts[Fate.MADE]:,} images, {counts[Fate.REFUSED]:,} refused"
        return self._done("generations", words, gallery, as_before=not left)

    def _refused(self, gallery: Gallery) -> tuple[int, int]:
        return gallery.counts()[Fate.REFUSED], len(gallery.outcomes)

    def _audit(self, store: Store, gallery: Gallery | None) -> AuditRun:
        told, folder = self.told.audit, self.out / "audit"
        control = self._control(store)
        source, pairing, pattern = self._generated(gallery)
        key = digest_of(
            [
                store.digest,
                gallery.digest if gallery else listing_digest(source),
                sha256_of(pairing) if pairing else "",
                pattern,
                control.digest if control else "",
                to_builtins(told),
                [self.told.model, self.told.model_digest, self.told.training_set, self.told.who],
            ]
        )
        there = self._report_at(folder, "audit", key)
        run = there or run_audit(
            source,
            store,
            folder,
            pairing=pairing,
            pairing_pattern=pattern or None,
            control=control,
            threshold=told.threshold,
            views=told.views,
            match=told.match,
            metrics=told.metrics,
            faces=told.faces,
            model=self.told.model or None,
            model_digest=self.told.model_digest or None,
            page=self._page(),
            max_unreadable=told.max_unreadable,
            encoding=Encoding(),
            progress=self.progress,
        )
        assert isinstance(run, AuditRun)
        return self._reported("audit", run, key, as_before=there is not None)

    def _control(self, store: Store) -> Store | None:
        control = self.told.audit.control
        if not control:
            return None
        if is_store(self.base / control):
            return Store.open(self.base / control)
        held_out = self._embedded(control, "held-out", store.encoder.name)
        return self._done("held-out images", f"{len(held_out):,}", held_out)

    def _generated(self, gallery: Gallery | None) -> tuple[Path, Path | None, str]:
        """The images, and how they are paired with prompts."""
        if gallery is None:
            folder = self.told.generator
            assert isinstance(folder, FolderGenerator)
            pairing = self.base / folder.pairing if folder.pairing else None
            return self.base / folder.path, pairing, folder.pairing_pattern
        path = self.out / PAIRING
        write_text(path, "".join(_pairing_lines(self.out / PROMPTS, gallery)))
        return gallery.images, path, ""

    def _gate(self, audit: AuditRun, dedup: DedupRun | None) -> GateRun:
        told = self.told.gate
        gate = run_gate(
            [audit, *([dedup] if dedup else [])],
            self._folder(told.policy),
            baseline=self._folder(told.baseline),
            accepted=self._folder(told.accepted),
            reviews=[self.base / each for each in told.reviews],
            ledger=self._folder(told.ledger),
            page=self.out / PAGE,
        )
        return self._done("gate", str(gate.verdict), gate)

    def _page(self) -> PageChoices:
        return PageChoices(training_set=self.told.training_set, who=self.told.who)

    def _report_at(self, folder: Path, stage: str, key: str) -> Run | None:
        """The run that is there, if it is the one that was made of this."""
        if not (folder / "report.json").is_file():
            return None
        try:
            run = open_report(folder)
        except MemauditError:
            return None
        return run if self.state.holds(stage, key, run.report.digest) else None

    def _reported(self, stage: str, run: R, key: str, *, as_before: bool) -> R:
        self.state.note(stage, key, run.report.digest)
        return self._done(stage, run.headline, run, as_before=as_before)

    def _done(self, name: str, words: str, value: T, *, as_before: bool = False) -> T:
        self.stages.append(StageDone(name, words, as_before))
        self.tell(f"{name}{' (as before)' if as_before else ''}: {words}")
        return value


R = TypeVar("R", bound=Run)


def _first_reason(gallery: Gallery) -> str:
    return next((outcome.reason for outcome in gallery.outcomes.values() if outcome.reason), "no reason was given")


def _pairing_lines(prompts: Path, gallery: Gallery) -> Iterator[str]:
    """A line for each image that was made, with what is known of its prompt."""
    known: dict[str, Mapping[str, object]] = {}
    for line in prompts.read_text("utf-8").splitlines():
        told = json.loads(line)
        known[told["generation"]] = told
    for outcome in sorted(gallery.outcomes.values(), key=lambda each: each.name):
        if outcome.fate == Fate.MADE:
            about = known[outcome.name.rpartition("_")[0]]
            yield json.dumps({**about, "generation": outcome.name, "seed": outcome.seed}, ensure_ascii=False) + "\n"


def listing_digest(folder: Path) -> str:
    """Of the names, sizes and times of the files below a folder, or of a file."""
    if not folder.exists():
        raise InputError(f"[generator] path = {str(folder)!r}: there is no such folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder]
    states = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return digest_of([list(state) for state in states])


def _digest_in(folder: Path) -> str:
    """Of a store, or of the run in a folder."""
    return Store.open(folder).digest if is_store(folder) else open_report(folder).report.digest
