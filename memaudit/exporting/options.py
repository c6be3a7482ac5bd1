"""What is exported, and as what."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from memaudit.errors import UsageError

WEBDATASET, PARQUET, HF, FOLDER, MANIFEST = "webdataset", "parquet", "hf", "folder", "manifest"
TARGETS = (WEBDATASET, PARQUET, HF, FOLDER, MANIFEST)
KEPT, DROPPED, ALL = "kept", "dropped", "all"
CHOICES = (KEPT, DROPPED, ALL)
LINKS = ("hard", "symbolic")
_FOLD = re.compile(r"(\d{1,6})/(\d{1,6})")


class Fold(NamedTuple):
    """The number-th of so many folds, from 1."""

    number: int
    folds: int

    def __str__(self) -> str:
        return f"{self.number}/{self.folds}"

    @classmethod
    def of(cls, text: str) -> Fold:
        """Of `2/5`. Raises UsageError."""
        found = _FOLD.fullmatch(text)
        fold = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= fold.number <= fold.folds:
            raise UsageError(f"--fold {text!r} is no fold: expected one such as 2/5, the second of five")
        return fold


@dataclass(frozen=True)
class ExportOptions:
    """to: of TARGETS; which: of CHOICES; fold: "" for all; shard_samples: 0: a shard for each archive or table; links:
    of LINKS, "" to copy; embeddings: a column of a manifest; weights: of a training, beside each sample; opt_outs: what
    reserves rights is left out."""

    to: str
    which: str = KEPT
    fold: str = ""
    shard_samples: int = 10_000
    links: str = ""
    embeddings: bool = False
    weights: bool = False
    opt_outs: bool = False

    def as_dict(self) -> dict[str, Any]:
        """What a plan says of them: of weights it names the file; opt_outs only where they are respected, as before
        there were any."""
        names = {"weights"} | (set() if self.opt_outs else {"opt_outs"})
        return {name: value for name, value in asdict(self).items() if name not in names}

    def require_possible(self) -> None:
        """Raise UsageError for options that are none, or do not go together."""
        for option, given, known in (("--to", self.to, TARGETS), ("--which", self.which, CHOICES)):
            if given not in known:
                raise UsageError(f"unknown {option} {given!r}: expected one of {', '.join(known)}")
        if self.fold:
            Fold.of(self.fold)
        if self.shard_samples < 0:
            raise UsageError(f"--shard-samples {self.shard_samples} is no number of samples: expected 0 or more")
        if self.links and self.links not in LINKS:
            raise UsageError(f"unknown --in-place-links {self.links!r}: expected one of {', '.join(LINKS)}")
        if self.links and self.to != FOLDER:
            raise UsageError(f"--in-place-links makes a folder of links, not --to {self.to}: take --to {FOLDER}")
        if self.embeddings and self.to != MANIFEST:
            raise UsageError(f"--embeddings are a column of --to {MANIFEST}, not of --to {self.to}")
        self._require_of_what_is_kept()

    def _require_of_what_is_kept(self) -> None:
        if self.weights and self.to == FOLDER:
            raise UsageError(f"--weights have no place in a folder of files: take --to {WEBDATASET}, or another one")
        if self.weights and self.which != KEPT:
            raise UsageError(f"--weights are of what is kept, not of --which {self.which}")
        if self.opt_outs and self.which != KEPT:
            raise UsageError(f"--respect-opt-outs leaves out of what is kept, and --which {self.which} takes more")
