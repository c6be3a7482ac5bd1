"""The stages of a pre-release check: those are left out whose inputs are what they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec import to_builtins

from memaudit.api.auditing import run_audit
from memaudit.api.deduping import run_dedup
from memaudit.api.encoding import Encoding
from memaudit.api.gate_page import write_gate_page
from memaudit.api.gating import GateRun, path_of, run_gate
from memaudit.api.page_choices import PageChoices
from memaudit.api.prompting import make_prompts
from memaudit.api.runs import AuditRun, DedupRun, Run, open_report
from memaudit.api.stores import embed
from memaudit.audit.prompts import write_prompts
from memaudit.errors import InconclusiveError, MemauditError
from memaudit.files import digest_of, is_store, sha256_of, text_lines, write_text
from memaudit.gate.verdict import unmeasured
from memaudit.release import command, http
from memaudit.release.asked import PROMPTS, first_reason, gallery_of, pairing_lines
from memaudit.release.diffusing import as_command
from memaudit.release.jobs import Fate, Gallery, jobs_of
from memaudit.release.likely import LIKELY, likeliest, scores_of
from memaudit.release.run_file import CommandGenerator, FolderGenerator, HttpGenerator, PipelineGenerator, RunFile
from memaudit.release.state import State, listing_digest
from memaudit.store import Store
from memaudit.types import Progress

STATE, PAIRING, PAGE = "run.json", "pairing.jsonl", "release.html"
T = TypeVar("T")
R = TypeVar("R", bound=Run)


class StageDone(NamedTuple):
    """A stage: what came of it in a few words, and whether it was there already."""

    name: str
    words: str
    as_before: bool


class Checked(NamedTuple):
    """What all stages came to. refused: images that the generator would not make, of so many asked for;
    reasons: why a pass of the gate is none."""

    stages: tuple[StageDone, ...]
    audit: AuditRun
    dedup: DedupRun | None
    gate: GateRun
    refused: tuple[int, int]
    reasons: tuple[str, ...]


class Check:
    """A pre-release check. out: where everything is written; base: the folder that paths are taken from."""

    def __init__(self, told: RunFile, base: Path, out: Path, progress: Progress, tell: Callable[[str], None]) -> None:
        self.told, self.base, self.out, self.progress, self.tell = told, base, out, progress, tell
        self.stages: list[StageDone] = []

    def run(self) -> Checked:
        """Every stage in turn."""
        self.state = State(self.out / STATE)
        store = self._training()
        dedup = self._dedup(store) if self.told.training.dedup else None
        gallery = None
        if not isinstance(self.told.generator, FolderGenerator):
            self._prompts(store, dedup)
            gallery = self._generations(self.told.generator)
        audit = self._audit(store, gallery)
        refused = (0, 0) if gallery is None else (gallery.counts()[Fate.REFUSED], len(gallery.outcomes))
        reasons = reasons_of(self.told, refused)
        gate = self._gate(audit, dedup, reasons)
        return Checked(tuple(self.stages), audit, dedup, gate, refused, reasons)

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
        scored = [to_builtins(self.told.generator), self.told.model_digest] if asked.strategy == LIKELY else []
        key = digest_of([store.digest, to_builtins(asked), digests, dedup.report.digest if dedup else "", *scored])
        if path.is_file() and self.state.holds("prompts", key, sha256_of(path)):
            self._chosen(sum(1 for _ in text_lines(path)), as_before=True)
            return
        if asked.strategy == LIKELY:
            self._likely(store, path, key)
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
        self._chosen(len(made))

    def _likely(self, store: Store, path: Path, key: str) -> None:
        asked, generator = self.told.prompts, self.told.generator
        pool = make_prompts(store, n=asked.pool, seed=asked.seed)
        if isinstance(generator, PipelineGenerator) and not asked.score:
            scoring = as_command(generator, self.base, scores=True)
        else:
            scoring = CommandGenerator(command=asked.score)
        scores = scores_of(scoring, pool.prompts, self.progress)
        chosen = likeliest(pool.prompts, scores, asked.n, pool.chosen.distinct)
        write_prompts(chosen, path)
        self.state.note("prompts", key, sha256_of(path))
        self._chosen(len(chosen))

    def _chosen(self, count: int, *, as_before: bool = False) -> None:
        """The same words whether they were chosen now or in a run that was killed."""
        asked = self.told.prompts
        likely = f", half of them the likeliest of {asked.pool:,} at most" if asked.strategy == LIKELY else ""
        self._done("prompts", f"{count:,} captions{likely}", None, as_before=as_before)

    def _folder(self, name: str) -> Path | None:
        return self.base / name if name else None

    def _generations(self, generator: CommandGenerator | HttpGenerator | PipelineGenerator) -> Gallery:
        folder = gallery_of(self.told, self.out)
        assert folder is not None
        gallery = Gallery(folder)
        jobs = jobs_of(self.out / PROMPTS, self.told.prompts.seeds)
        left = gallery.left(jobs)
        with gallery.recording() as record:
            if not left:
                pass  # recording alone removes what a killed run left
            elif isinstance(generator, HttpGenerator):
                http.generate(generator, left, gallery.incoming, record, self.progress)
            else:
                called = as_command(generator, self.base) if isinstance(generator, PipelineGenerator) else generator
                command.generate(called, left, gallery.incoming, record, self.progress)
        counts = gallery.counts()
        if not counts[Fate.MADE]:
            raise InconclusiveError(
                f"the generator made none of {len(jobs):,} images: {first_reason(gallery)}; none is asked for again: "
                f"if that was a mistake, remove {folder} and run again"
            )
        words = f"{counts[Fate.MADE]:,} images, {counts[Fate.REFUSED]:,} refused"
        if len(left) < len(jobs) and not self.told.model_digest:
            words += f"; {len(jobs) - len(left):,} were there: without model_digest nobody knows of which weights"
        return self._done("generations", words, gallery, as_before=not left)

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
            planted=told.planted,
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
        write_text(path, "".join(pairing_lines(self.out / PROMPTS, gallery)))
        return gallery.images, path, ""

    def _gate(self, audit: AuditRun, dedup: DedupRun | None, reasons: tuple[str, ...]) -> GateRun:
        """The gate; the page has the verdict of the check, for which the generator's refusals count as well."""
        told = self.told.gate
        gate = run_gate(
            [audit, *([dedup] if dedup else [])],
            self._folder(told.policy),
            baseline=self._folder(told.baseline),
            accepted=self._folder(told.accepted),
            reviews=[self.base / each for each in told.reviews],
            ledger=self._folder(told.ledger),
        )
        report = path_of(audit)
        more = (unmeasured(str(report), "max_refused", f"{self.told.prompts.max_refused:.2%}", why) for why in reasons)
        result = replace(gate.result, rules=(*gate.result.rules, *more))
        write_gate_page((report, audit.report), result, self.out / PAGE, None)
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


def reasons_of(told: RunFile, refused: tuple[int, int]) -> tuple[str, ...]:
    """Why a pass of the gate is none. refused: images that the generator would not make, of so many."""
    count, asked = refused
    if count <= told.prompts.max_refused * asked:
        return ()
    return (f"the generator refused {count:,} of {asked:,} images: more than max_refused allows",)


def _digest_in(folder: Path) -> str:
    """Of a store, or of the run in a folder."""
    return Store.open(folder).digest if is_store(folder) else open_report(folder).report.digest
