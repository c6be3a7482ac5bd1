"""The pre-release check as one file, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from memaudit.api.bundles import Bundle, bundle, publish_bundle, set_aside_earlier
from memaudit.api.gating import GateRun, Verdict
from memaudit.api.release_stages import PAGE, Check, StageDone
from memaudit.api.runs import AuditRun, DedupRun
from memaudit.bundling.signing import Passwords, private_key
from memaudit.files import as_private, is_store, write_json
from memaudit.folders import sole_writer
from memaudit.release.asked import gallery_of
from memaudit.release.diffusing import known_by_digest
from memaudit.release.jobs import Gallery
from memaudit.release.run_file import FolderGenerator, RunFile, read_run_file
from memaudit.types import Progress, silent, unsaid

VERDICT = "verdict.json"


@dataclass(frozen=True, repr=False)
class ReleaseRun:
    """A finished check. stages: in turn; refused: images that the generator would not make, of so many asked for;
    reasons: why a pass of the gate is none; evidence: the bundle of it, where the file asks for one.

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
    evidence: Bundle | None = None

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
            "digests": [run.report.digest for run in (self.audit, self.dedup) if run is not None],
            "gate": self.gate.as_dict(),
            **({"bundle": self.evidence.as_dict()} if self.evidence else {}),
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
    told = known_by_digest(read_run_file(path), path.parent)
    check = Check(told, path.parent, path.parent / told.out if out is None else Path(out), progress, tell)
    passwords = Passwords.of([path.parent / each for each in told.bundle.password_files] if told.bundle.sign else [])
    for key in told.bundle.sign:
        private_key(path.parent / key, passwords)  # now, and not after hours
    with sole_writer(check.out):
        bundled = filter(None, (told.bundle.file, told.bundle.public))
        set_aside_earlier([path.parent / each for each in bundled])
        for left in (VERDICT, PAGE):  # of an earlier run: it must not pass for what this one comes to
            (check.out / left).unlink(missing_ok=True)
        done = ReleaseRun(check.out, *check.run())
        with as_private(check.out / VERDICT, map(Path, done.gate.reports)):
            write_json(check.out / VERDICT, done.as_dict())
    return _with_evidence(done, told, path.parent, tell) if told.bundle.file else done


def _with_evidence(done: ReleaseRun, told: RunFile, base: Path, tell: Callable[[str], None]) -> ReleaseRun:
    asked, judged = told.bundle, told.gate
    made = bundle(
        done.folder,
        base / asked.file,
        policy=base / judged.policy if judged.policy else None,
        accepted=base / judged.accepted if judged.accepted else None,
        reviews=[base / each for each in judged.reviews],
        baseline=base / judged.baseline if judged.baseline else None,
        pictures=asked.pictures,
        sign=[base / key for key in asked.sign],
        password_files=[base / each for each in asked.password_files],
        timestamp=asked.timestamp or None,
    )
    if asked.public:
        publish_bundle(made.path, base / asked.public)
    words = f"{made.path}, {'signed' if made.signers else 'not signed'}"
    tell(f"bundle: {words}")
    return replace(done, stages=(*done.stages, StageDone("bundle", words, as_before=False)), evidence=made)


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
    told = known_by_digest(read_run_file(path), path.parent)
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
        folder = gallery_of(told, out)
        there = len(Gallery(folder).outcomes) if folder and folder.is_dir() else 0
        yield (
            "generations",
            f"up to {asked.n * asked.seeds:,} by {told.generator.__struct_config__.tag}, {there:,} are there",
        )
    if told.audit.control and not is_store(base / told.audit.control):
        yield "held-out images", f"embed {told.audit.control}"
    yield "audit", f"against the training set{', with faces' if told.audit.faces else ''}"
    yield "gate", f"by {told.gate.policy or 'the default limits'}"
    if told.bundle.file:
        yield "bundle", f"into {told.bundle.file}, {'signed' if told.bundle.sign else 'not signed'}"
