"""report.json: one schema for every kind of report, with a digest over its own content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from memaudit import __version__
from memaudit.errors import InputError, UsageError
from memaudit.files import digest_of, read_json, write_json, write_text
from memaudit.types import Coverage, EncoderSpec

SCHEMA = "urn:memaudit:report:2"
FIRST_SCHEMA = "urn:memaudit:report:1"  # without digests of the parts; read as well
MOST_BYTES = 64 * 2**20  # of a report.json: about a hundred thousand findings
MOST_FINDINGS = 200_000  # what it takes is seconds, and not minutes, to hold against the schema
MOST_ENTRIES = 1_000_000  # of any other list, such as the generations that do not count
THUMBNAILS = "thumbnails"
FACE_CROPS = "face-crops"
_ERRORS = 50
_CLAIM = ".memaudit-run"
_PREVIOUS = "previous-run"
_FILES = (
    *("report.json", "report.html", "matches.parquet", "scores.parquet", "cliques.parquet", "face_matches.parquet"),
    *("pairs.parquet", "groups.parquet", "decisions.parquet", "skew.parquet", "keep.txt", "drop.txt"),
)


def make_report(
    kind: str,
    *,
    inputs: Mapping[str, str],
    encoder: EncoderSpec | None,
    threshold: float | None,
    coverage: Coverage,
    results: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Put a report together; `digest` is the SHA-256 of all else in it, `digests` tell which part was changed."""
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": kind,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "memaudit": __version__,
        "inputs": dict(inputs),
        "encoder": encoder.as_dict() if encoder else None,
        "threshold": threshold,
        "coverage": coverage.as_dict(),
        "results": dict(results),
        "findings": list(findings),
    }
    report["digests"] = digests_of_parts(report)
    return {**report, "digest": digest_of(report)}


def digests_of_parts(report: Mapping[str, Any]) -> dict[str, str]:
    """A short digest (64 bits of a SHA-256) of each part by its place, such as `results.searched` or `findings[3]`."""
    return {place: digest_of(part)[:16] for place, part in _parts(report)}


def _parts(report: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in report.items():
        if key == "results":
            yield from ((f"results.{name}", part) for name, part in value.items())
        elif key == "findings":
            yield from ((f"findings[{number}]", part) for number, part in enumerate(value))
        elif key not in ("digest", "digests"):
            yield key, value


def inconclusive_report(kind: str, reason: str) -> dict[str, Any]:
    """The report of a run that could not measure anything: nobody may take it for a clean one."""
    results = {"conclusive": False, "reasons": [reason], "headline": f"Inconclusive: {reason}."}
    return make_report(
        kind, inputs={}, encoder=None, threshold=None, coverage=Coverage(0, 0), results=results, findings=[]
    )


def start_run(out: Path, kind: str) -> None:
    """Claim `out` for a run of this kind, and put what an earlier one reported there aside, into `out`/previous-run.

    A stale report or drop.txt must not pass for this run's, whatever becomes of it; and a slip of the pen must not
    cost a finished one. Raises UsageError, before anything is moved, if no run of this kind wrote what is there.
    """
    earlier = [name for name in (*_FILES, THUMBNAILS, FACE_CROPS) if (out / name).exists()]
    if earlier and _claimed_by(out) != kind:
        raise UsageError(f"{out} holds {earlier[0]}, which no memaudit {kind} wrote there: choose another --out")
    write_text(out / _CLAIM, f"{kind}\n")
    if earlier:
        shutil.rmtree(out / _PREVIOUS, ignore_errors=True)
        (out / _PREVIOUS).mkdir()
        for name in earlier:
            (out / name).rename(out / _PREVIOUS / name)


def remove_earlier_pictures(out: Path) -> None:
    """Delete the pictures of earlier runs that `start_run` put aside: faces that are no longer to be shown."""
    for name in (THUMBNAILS, FACE_CROPS):
        shutil.rmtree(out / _PREVIOUS / name, ignore_errors=True)


def _claimed_by(out: Path) -> str:
    claim = out / _CLAIM
    return claim.read_text(encoding="utf-8", errors="replace").strip() if claim.is_file() else ""


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write report.json. Written last of a run's files: where it is, the others are."""
    write_json(path, report)


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a report and hold it against its schema and its own digest.

    Raises InputError that names the place for anything that is not a sound report of this schema version.
    """
    path = Path(path)
    report = read_json(path, most=MOST_BYTES)
    if report.get("schema") not in (SCHEMA, FIRST_SCHEMA):
        found = str(report.get("schema"))[:80]
        raise InputError(f"{path} has schema {found!r}, this version reads {SCHEMA!r} and {FIRST_SCHEMA!r}")
    try:
        _require_bounded(path, report)
        _validate(path, report)
        _require_unchanged(path, report)
    except ValueError as error:
        raise InputError(f"{path} holds a number that JSON does not allow: {error}") from None
    except RecursionError:
        raise InputError(f"{path} is no valid report: it is nested too deeply") from None
    return report


def _require_unchanged(path: Path, report: Mapping[str, Any]) -> None:
    content = {key: value for key, value in report.items() if key != "digest"}
    if digest_of(content) != report["digest"]:
        places = "".join(f", at {place}" for place in _changed_places(report))
        raise InputError(
            f"{path} was changed after it was written{places}: its digest does not fit its content; run again"
        )


def _changed_places(report: Mapping[str, Any]) -> list[str]:
    """Up to three places whose own digest does not fit; nothing for a report of the first schema."""
    written = report.get("digests")
    if written is None:
        return []
    found = digests_of_parts(report)
    places = [place for place in {**found, **written} if found.get(place) != written.get(place)]
    more = [f"{len(places) - 3:,} more places"] if len(places) > 3 else []
    return [*places[:3], *more] or ["digest or digests"]


def report_schema() -> dict[str, Any]:
    """The JSON Schema of report.json, as shipped in the package."""
    text = resources.files("memaudit.report").joinpath("report.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _require_bounded(path: Path, report: Mapping[str, Any]) -> None:
    """Refuse what would take minutes to check: no run writes lists of that length."""
    for place, value in _containers(report):
        most = MOST_FINDINGS if place == "findings" else MOST_ENTRIES
        if len(value) > most:
            raise InputError(f"{path} is no valid report: {place[:80]} has {len(value):,} entries, at most {most:,}")


def _containers(value: Mapping[str, Any], place: str = "", depth: int = 3) -> Iterator[tuple[str, Any]]:
    """Lists and objects to the depth at which the schema has something to say of each of their entries."""
    for key, part in value.items():
        if isinstance(part, list | dict):
            name = f"{place}{key}"
            yield name, part
            if isinstance(part, dict) and depth > 1:
                yield from _containers(part, f"{name}.", depth - 1)


def _validate(path: Path, report: Mapping[str, Any]) -> None:
    import jsonschema

    validator = jsonschema.Draft202012Validator(report_schema())
    first = islice(validator.iter_errors(report), _ERRORS)  # a million wrong findings need not all be found
    error = jsonschema.exceptions.best_match(first)
    if error is not None:
        where = " ".join(f"at {error.json_path}: {error.message[:200]}".split())
        raise InputError(f"{path} is no valid report: {where}")
