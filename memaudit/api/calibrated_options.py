"""What a calibration changes in the options of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from memaudit.calibration.calibration import read_calibration
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from memaudit.audit.run import AuditOptions
    from memaudit.dedup.options import DedupOptions
    from memaudit.lookup.run import LookupOptions

Options = TypeVar("Options", "AuditOptions", "DedupOptions", "LookupOptions")


def by_calibration(options: Options, calibration: str | Path | None) -> Options:
    """The options of a run as the calibration settles them. Raises UsageError where others contradict it, InputError
    and InconclusiveError as `read_calibration`."""
    if calibration is None:
        return options
    if options.threshold is not None:
        raise UsageError("--calibration settles the threshold: leave out --threshold")
    settled = read_calibration(Path(calibration)).settled
    if settled.cut is None:
        return replace(options, threshold=settled.threshold, calibrated=settled)
    if options.match == "none":
        raise UsageError(
            "--calibration settles a cut for pixels, and --match none compares none: leave out one of them"
        )
    floor = settled.match_from if options.match_from is None else options.match_from
    return replace(options, threshold=settled.threshold, match="pixels", match_from=floor, calibrated=settled)
