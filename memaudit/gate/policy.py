"""The policy: limits in TOML, with defaults. A rule whose default is None is not judged until a limit is written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from memaudit.errors import UsageError
from memaudit.files import read_toml
from memaudit.images.copy_kinds import PLANTED
from memaudit.images.view_names import CHOICES, DEFAULT_VIEWS
from memaudit.matching.kinds import ALL

DEFAULT_POLICY = """\
# memaudit gate policy. Every rule gives pass, fail or inconclusive; the gate passes only if all of them pass.
# A limit that is left out, or commented out, is the one that stands here: to judge less, write a limit that allows it.
# The lines that begin with "# " have no limit of their own yet: take the "# " away to switch one on.

[gate]
require = ["audit"]           # reports that must be given: "audit" (of images), "dedup", "faces" (an audit of them),
                              # "filter", "reweight"
same_training_set = true      # where both kinds are given: each audit ran against a store that a dedup run looked at
# max_age_days = 30           # a report may be this old; older ones, and those from the future, are inconclusive
# encoders = []               # identities of the encoders that may be used, as `memaudit info STORE` prints them
# training_sets = []          # digests of the stores that reports may be about, as `memaudit info STORE` prints them
# calibrations = []           # digests of the calibrations that runs must have gone by, as `calibrate fit` prints them
reviewers = 1                 # with --reviews: people who must clear a finding, while nobody says otherwise

[audit]
kinds = ["verbatim", "template", "near-duplicate", "partial", "re-drawn"]  # that count (gate --kinds)
max_findings = 0              # generations that may be copies of training images, or of parts of them
max_verbatim = 0              # of these the same picture; what was not compared on pixels may be one of these
max_template = 0              # the same picture but for a part
# max_near_duplicate = 0      # alike at the threshold, and of no graver kind; until then as many as max_findings
# max_partial = 0             # a part of one is in the other; until then as many as max_findings
max_rate = 0.01               # prompts that give an image back, shown to be at most so many: takes 3 / max_rate
confidence = 0.95             # of that one-sided upper bound, and of the next
planted = ["re-encoded", "recoloured", "mirrored", "cropped", "captioned"] # it goes by the hardest; []: by no misses
max_redrawn_rate = 0.02       # generations that are re-drawn, beyond what held-out images give; 1: not judged
min_coverage = 0.99           # generations (and prompt pairs) measured, of those expected
min_reference_coverage = 0.99 # training images that could be compared with
min_controls = 100            # held-out images scored that are near no training image; 0: no control needed
copy_detection = true         # an encoder that memaudit knows to be made for copies (sscd); false: any
max_threshold = 0.0           # similarity that the audit may have looked for; 0: that of memaudit's own encoder
max_blank = 0.01              # generations without content (a safety filter's black ones), of all that were made
max_unpaired = 0.01           # generations that the pairing does not name, where there is one
views = "tiles"               # --views of the audit, or more: "none", "flips", "tiles", "all"
min_view_coverage = 0.99      # of these views, and of the training images' tiles and details; 0: not judged
min_verified_coverage = 0.99  # candidates that were compared on pixels; 0: none need have been
max_match_from = 0.0          # similarity from which they were; 0: that of memaudit's own encoder, 1: any
# max_miss_probability = 0.3  # of a generation that is no finding to be a copy all the same, by pixels
# min_face_p = 0.01           # chance must give as many face matches as were found with more than this probability
# max_without_face = 0.1      # generations without a face that could be compared, for a model that is to draw people

[dedup]
min_recall = 0.99             # lower bound of the run's own recall by pair
min_coverage = 0.99           # images that could be read
copy_detection = true         # as of the audit
max_threshold = 0.0           # similarity that the run may have looked for; 0: that of memaudit's own encoder

[filter]
min_recall = 0.95             # lower bound of what the cut finds of its class, by its random sample
same_store = true             # that sample was drawn from the store that was filtered
max_dropped = 0.5             # share of the images that the filter drops
min_coverage = 0.99           # images that could be scored

[reweight]
min_effective = 0.5           # images of equal weight that the kept ones count as, by their number
min_restored = 0.95           # shares of words, values and clusters that the weights restore, of those tested
min_coverage = 0.99           # images that could be read

[baseline]                    # only with --baseline OLD.json; release: the digest of the report that it must be
max_rise = 0.01               # the rate must be shown to have risen by no more than this
max_redrawn_rise = 0.02       # the same of generations that are re-drawn; 1: not judged
confidence = 0.95             # of these bounds, and of the test that calls a rise more than chance
# training_sets = []          # digests of other training sets that the baseline may be about
# release = "0000000000000000000000000000000000000000000000000000000000000000"
"""

KINDS = ("audit", "dedup", "faces", "filter", "reweight")
Check = Callable[[Any], str]
"""Returns what is expected of a limit, or nothing if it is so."""


def _no_count(value: Any) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if whole else "must be a whole number, 0 or more"


def _no_people(value: Any) -> str:
    return _no_count(value) or ("" if value else "must be 1 or more: nobody cannot clear a finding")


def _no_share(value: Any) -> str:
    inside = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return "" if inside else "must be a share between 0 and 1"


def _no_confidence(value: Any) -> str:
    inside = not _no_share(value) and 0.5 <= value < 1
    return "" if inside else "must be at least 0.5 and below 1, for example 0.95"


def _no_flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _no_digest(value: Any) -> str:
    known = isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)
    return "" if known else "must be the digest in a report.json: 64 hexadecimal digits"


def _no_kinds(value: Any) -> str:
    known = isinstance(value, list) and all(kind in KINDS for kind in value)
    return "" if known else f"must be a list of {', '.join(map(repr, KINDS))}"


def _no_kinds_of_findings(value: Any) -> str:
    known = isinstance(value, list) and value and all(kind in ALL for kind in value)
    return "" if known else f"must be a list of some of {', '.join(repr(str(kind)) for kind in ALL)}"


def _no_views(value: Any) -> str:
    return "" if value in CHOICES else f"must be one of {', '.join(map(repr, CHOICES))}"


def _no_texts(value: Any) -> str:
    texts = isinstance(value, list) and all(isinstance(text, str) and text for text in value)
    return "" if texts else "must be a list of texts"


def _no_planted(value: Any) -> str:
    known = isinstance(value, list) and all(kind in PLANTED for kind in value)
    return "" if known else f"must be a list of {', '.join(map(repr, PLANTED))}, or empty"


def _limit(default: Any, check: Check) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True)
class AuditPolicy:
    max_findings: int = _limit(0, _no_count)
    max_rate: float = _limit(0.01, _no_share)
    confidence: float = _limit(0.95, _no_confidence)
    max_redrawn_rate: float = _limit(0.02, _no_share)
    min_coverage: float = _limit(0.99, _no_share)
    min_reference_coverage: float = _limit(0.99, _no_share)
    min_controls: int = _limit(100, _no_count)
    copy_detection: bool = _limit(True, _no_flag)
    max_threshold: float = _limit(0.0, _no_share)
    max_blank: float = _limit(0.01, _no_share)
    max_unpaired: float = _limit(0.01, _no_share)
    views: str = _limit(DEFAULT_VIEWS, _no_views)
    min_view_coverage: float = _limit(0.99, _no_share)
    min_verified_coverage: float = _limit(0.99, _no_share)
    max_match_from: float = _limit(0.0, _no_share)
    planted: tuple[str, ...] = _limit(PLANTED, _no_planted)
    max_verbatim: int = _limit(0, _no_count)
    max_template: int = _limit(0, _no_count)
    max_near_duplicate: int | None = _limit(None, _no_count)
    max_partial: int | None = _limit(None, _no_count)
    kinds: tuple[str, ...] = _limit(tuple(map(str, ALL)), _no_kinds_of_findings)
    max_miss_probability: float | None = _limit(None, _no_share)
    min_face_p: float | None = _limit(None, _no_share)
    max_without_face: float | None = _limit(None, _no_share)


@dataclass(frozen=True)
class DedupPolicy:
    min_recall: float = _limit(0.99, _no_share)
    min_coverage: float = _limit(0.99, _no_share)
    copy_detection: bool = _limit(True, _no_flag)
    max_threshold: float = _limit(0.0, _no_share)


@dataclass(frozen=True)
class FilterPolicy:
    min_recall: float = _limit(0.95, _no_share)
    same_store: bool = _limit(True, _no_flag)
    max_dropped: float = _limit(0.5, _no_share)
    min_coverage: float = _limit(0.99, _no_share)


@dataclass(frozen=True)
class ReweightPolicy:
    min_effective: float = _limit(0.5, _no_share)
    min_restored: float = _limit(0.95, _no_share)
    min_coverage: float = _limit(0.99, _no_share)


@dataclass(frozen=True)
class GatePolicy:
    """What the reports must be taken together, and what each of them must be whatever its kind."""

    require: tuple[str, ...] = _limit(("audit",), _no_kinds)
    same_training_set: bool = _limit(True, _no_flag)
    max_age_days: int | None = _limit(None, _no_count)
    encoders: tuple[str, ...] | None = _limit(None, _no_texts)
    training_sets: tuple[str, ...] | None = _limit(None, _no_texts)
    calibrations: tuple[str, ...] | None = _limit(None, _no_texts)
    reviewers: int = _limit(1, _no_people)


@dataclass(frozen=True)
class BaselinePolicy:
    """How an audit may differ from that of the baseline."""

    max_rise: float = _limit(0.01, _no_share)
    max_redrawn_rise: float = _limit(0.02, _no_share)
    confidence: float = _limit(0.95, _no_confidence)
    training_sets: tuple[str, ...] | None = _limit(None, _no_texts)
    release: str | None = _limit(None, _no_digest)


@dataclass(frozen=True)
class Policy:
    audit: AuditPolicy = AuditPolicy()
    dedup: DedupPolicy = DedupPolicy()
    gate: GatePolicy = GatePolicy()
    baseline: BaselinePolicy = BaselinePolicy()
    filter: FilterPolicy = FilterPolicy()
    reweight: ReweightPolicy = ReweightPolicy()


SECTIONS = ("gate", "audit", "dedup", "baseline", "filter", "reweight")
P = TypeVar("P", AuditPolicy, DedupPolicy, GatePolicy, BaselinePolicy, FilterPolicy, ReweightPolicy)


def read_policy(path: str | Path) -> Policy:
    """Read a policy in TOML. Raises InputError for an unreadable file, UsageError for unknown rules or bad limits."""
    path = Path(path)
    raw = read_toml(path, "policy")
    require_known(f"policy {path}", raw, SECTIONS, "section")
    return Policy(
        _section(path, raw, "audit", AuditPolicy),
        _section(path, raw, "dedup", DedupPolicy),
        _section(path, raw, "gate", GatePolicy),
        _section(path, raw, "baseline", BaselinePolicy),
        _section(path, raw, "filter", FilterPolicy),
        _section(path, raw, "reweight", ReweightPolicy),
    )


def own_limits(policy: Policy, sections: Sequence[str] = SECTIONS) -> tuple[str, ...]:
    """The limits of these sections that are not the default ones, each with its default: whoever reads a verdict must
    see what it was asked for. Of a limit that is off by default, "none"."""
    default = Policy()
    told = []
    for section in sections:
        for rule in fields(getattr(policy, section)):
            value, usual = (getattr(getattr(each, section), rule.name) for each in (policy, default))
            if value != usual:
                told.append(f"{rule.name} of [{section}] {_said(value)}, by default {_said(usual)}")
    return tuple(told)


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def require_known(place: str, found: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """Raise UsageError, with the likeliest meaning, for a name that is not known: misspelt, it would do nothing."""
    for name in found:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
            raise UsageError(f"{place}: unknown {what} {name!r}: {hint}")


def _section(path: Path, raw: Mapping[str, Any], name: str, kind: type[P]) -> P:
    values = raw.get(name, {})
    if not isinstance(values, dict):
        raise UsageError(f"policy {path}: {name} must be a section [{name}]")
    checks: dict[str, Check] = {rule.name: rule.metadata["check"] for rule in fields(kind)}
    require_known(f"policy {path}", values, tuple(checks), f"rule in [{name}]")
    return kind(**{rule: _setting(path, rule, value, checks[rule]) for rule, value in values.items()})


def _setting(path: Path, rule: str, value: Any, check: Check) -> Any:
    expected = check(value)
    if expected:
        raise UsageError(f"policy {path}: {rule} = {value!r} {expected}")
    return tuple(value) if isinstance(value, list) else value
