"""Canaries: made, planted, and looked for in what a model gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
from msgspec import to_builtins

from memaudit.api.auditing import run_audit
from memaudit.api.defaults import DEFAULT_ENCODER
from memaudit.api.notebook import grid
from memaudit.api.runs import AuditRun
from memaudit.api.stores import embed
from memaudit.audit.pairing import compiled_pattern
from memaudit.canaries.register import (
    LISTED,
    PROMPTS,
    Canary,
    Register,
    listed,
    make,
    plant,
    prompts_of,
    read_register,
    require_planted,
    seed_of,
)
from memaudit.canaries.returned import Tally, tallied
from memaudit.files import sealed, write_json, write_text
from memaudit.folders import sole_writer
from memaudit.types import Coverage, Progress, Rate, Status, silent

CHECK = "canary-check.json"
SCHEMA = "urn:memaudit:canary-check:1"


@dataclass(frozen=True, repr=False)
class Canaries:
    """A register of canaries. prompts: the file of their captions, as an audit's pairing.

    >>> canaries = ma.make_canaries("canaries", each=2, copies=(1, 4))
    >>> len(canaries), sum(canary.copies for canary in canaries.planted)
    (8, 10)
    """

    register: Register

    @property
    def planted(self) -> tuple[Canary, ...]:
        """Those that go into training."""
        return self.register.planted

    @property
    def digest(self) -> str:
        """Of all that the register says: note it down before training."""
        return self.register.digest

    @property
    def prompts(self) -> Path:
        return self.register.folder / PROMPTS

    def __len__(self) -> int:
        return len(self.register.canaries)

    def __repr__(self) -> str:
        return f"<Canaries: {len(self.planted):,} of {len(self):,} planted, in {self.register.folder}>"


@dataclass(frozen=True, repr=False)
class CanaryCheck:
    """What came back. audit: of the generations against the canaries, with its page; allowed: the share of canaries
    that may go without a generation.

    >>> canaries = ma.make_canaries("canaries", each=2, copies=(1, 4))
    >>> given = {"generations": "canaries/images", "pairing_pattern": "{image_id}.png"}  # as if all came back
    >>> check = ma.check_canaries(canaries, **given, out="check", encoder="thumbnail")
    >>> check.planted.count, check.planted.coverage.measured, check.conclusive
    (4, 4, True)
    """

    canaries: Canaries
    tally: Tally
    audit: AuditRun
    allowed: float

    @property
    def planted(self) -> Rate:
        """Planted canaries that came back, with 95 % bounds."""
        return self.tally.planted

    @property
    def p(self) -> float | None:
        """That planted ones come back no more often than held-back ones; None where none of either was answered."""
        return self.tally.p

    @property
    def coverage(self) -> Coverage:
        """Canaries of which a generation can be read."""
        return self.tally.coverage

    @property
    def conclusive(self) -> bool:
        return self.audit.conclusive and not self._obstacles

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why it decides nothing, and what the audit says besides."""
        return (*self._obstacles, *self.audit.warnings)

    @property
    def _obstacles(self) -> tuple[str, ...]:
        told = self.coverage
        if told.measured and not told.falls_short(self.allowed):
            return ()
        return (f"{told.measured:,} of {told.total:,} canaries have a generation that can be read",)

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {
            "schema": SCHEMA,
            "register": self.canaries.digest,
            "conclusive": self.conclusive,
            "warnings": list(self.warnings),
            "coverage": self.coverage.as_dict(),
            "audit": {
                "digest": self.audit.report.digest,
                "conclusive": self.audit.conclusive,
                "coverage": to_builtins(self.audit.coverage),
            },
            "planted": self.planted.as_dict(),
            "by_copies": [{"copies": each.copies, **each.rate.as_dict()} for each in self.tally.by_copies],
            "by_kind": [{"kind": kind, **rate.as_dict()} for kind, rate in self.tally.by_kind],
            "p": self.p,
            "returned": list(self.tally.names),
        }

    def __repr__(self) -> str:
        return f"<CanaryCheck: {self.planted.count:,} of {self.planted.coverage.measured:,} planted canaries came back>"

    def _repr_html_(self) -> str:
        rows = [
            (each.copies or "held back", each.rate.count, each.rate.coverage.measured) for each in self.tally.by_copies
        ]
        return grid(("copies", "came back", "of"), rows, title="memaudit canary check", headline=repr(self)[1:-1])


def make_canaries(
    out: str | Path,
    *,
    each: int = 10,
    copies: Sequence[int] = (1, 4, 16),
    held_back: int | None = None,
    kinds: Sequence[str] = ("vector", "photo", "text"),
    seed: int | None = None,
) -> Canaries:
    """Draw pictures that nobody has, with captions that nobody uses, and note in a register which go into training how
    often.

    out: folder of register, pictures and prompts, to be kept apart from the training set. each: canaries for every
    number of `copies`. held_back: canaries that do not go into training, None: as many as do; they say what chance
    gives. kinds: vector, photo, text, in turn. seed: None: of the register that is there, else one that nobody knows;
    whoever knows it knows all pictures and captions. Raises UsageError for impossible numbers, or a folder with another
    one.

    >>> ma.make_canaries("canaries", each=2, copies=(1, 4))
    <Canaries: 4 of 8 planted, in canaries>
    """
    folder = Path(out)
    with sole_writer(folder):
        seed = seed_of(folder) if seed is None else seed
        register = make(folder, each, tuple(copies), held_back, tuple(kinds), seed)
        write_text(folder / PROMPTS, prompts_of(register))
        write_text(folder / LISTED, listed(register))
    return Canaries(register)


def open_canaries(folder: str | Path) -> Canaries:
    """The canaries of a folder. Raises InputError for what is no register, or pictures that are not as they were made.

    >>> made = ma.make_canaries("canaries", each=2, copies=(1, 4))
    >>> ma.open_canaries("canaries").digest == made.digest
    True
    """
    return Canaries(read_register(Path(folder)))


def plant_canaries(canaries: str | Path | Canaries, out: str | Path) -> Path:
    """Write the copies that go into training into a folder, with a manifest of their captions; return its path.

    >>> ma.plant_canaries(ma.make_canaries("canaries", each=2, copies=(1, 4)), "to-train-on").name
    'manifest.csv'
    """
    register = _opened(canaries).register
    with sole_writer(Path(out)):
        return plant(register, Path(out))


def check_canaries(
    canaries: str | Path | Canaries,
    generations: str | Path,
    out: str | Path,
    *,
    pairing: str | Path | None = None,
    pairing_pattern: str | None = None,
    encoder: str = DEFAULT_ENCODER,
    threshold: float | None = None,
    max_unreadable: float = 0.01,
    progress: Progress = silent,
) -> CanaryCheck:
    """Look for canaries in generations: an audit against them, and of each number of copies how many came back.

    generations: images of the captions in the register's prompts.jsonl, called as `generation` there. out: folder of
    the audit and of canary-check.json. pairing: which canary's prompt each generation was made from, where they are
    called otherwise. max_unreadable: also the share of canaries that may go without a generation. Raises as
    `run_audit`, and InconclusiveError where nothing was planted.

    >>> canaries = ma.make_canaries("canaries", each=2, copies=(1, 4))
    >>> given = {"generations": "canaries/images", "pairing_pattern": "{image_id}.png"}  # as if all came back
    >>> ma.check_canaries(canaries, **given, out="check", encoder="thumbnail")
    <CanaryCheck: 4 of 4 planted canaries came back>
    """
    opened, folder = _opened(canaries), Path(out)
    require_planted(len(opened.planted), opened.register.folder)
    with sole_writer(folder):
        store = embed(opened.register.folder / LISTED, folder / "canaries", encoder=encoder, progress=progress)
        audit = run_audit(
            generations,
            store,
            folder / "audit",
            pairing=_pairing(opened, pairing, pairing_pattern),
            pairing_pattern=pairing_pattern,
            threshold=threshold,
            planted=0,
            max_unreadable=max_unreadable,
            progress=progress,
        )
        tally = tallied(opened.register.canaries, _matched(audit), _answered(audit))
        check = CanaryCheck(opened, tally, audit, max_unreadable)
        write_json(folder / CHECK, sealed(check.as_dict()))
    return check


def _pairing(canaries: Canaries, given: str | Path | None, pattern: str | None) -> str | Path | None:
    """The register's own prompts, unless a file or the names of the generations say which canary was asked for."""
    if given is not None or (pattern is not None and "image_id" in compiled_pattern(pattern).groupindex):
        return given
    return canaries.prompts


def _answered(audit: AuditRun) -> list[str]:
    """Canaries whose own prompt gave a picture that could be compared."""
    table = audit.scores.to_arrow()
    names: list[str] = table.filter(pc.equal(table["status"], str(Status.OK)))["paired_id"].drop_null().to_pylist()
    return names


def _matched(audit: AuditRun) -> list[str]:
    """Canaries of which a copy was found, whatever the kind; drawn anew is none."""
    table = audit.matches.to_arrow()
    if "kind" in table.column_names:
        table = table.filter(pc.not_equal(pc.fill_null(table["kind"], ""), "re-drawn"))
    names: list[str] = table["reference_id"].to_pylist()
    return names


def _opened(canaries: str | Path | Canaries) -> Canaries:
    return canaries if isinstance(canaries, Canaries) else open_canaries(canaries)
