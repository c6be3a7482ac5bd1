"""report.json: one schema for every kind of report, with a digest over its own content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec import convert, to_builtins

from memaudit import __version__
from memaudit.errors import InputError
from memaudit.files import canonical, digest_of, read_json, write_json
from memaudit.report.bounds import MOST_BYTES, bounded
from memaudit.report.model import (
    SCHEMA,
    About,
    Finding,
    Head,
    Json,
    JsonValue,
    Report,
    ReportOf,
    Results,
    Unmeasured,
    coverage_of,
    encoder_of,
)
from memaudit.report.parsing import report_of
from memaudit.types import Coverage, EncoderSpec

MOST_FINDINGS = 200_000  # what it takes is seconds, and not minutes, to hold against the model
MOST_ENTRIES = 1_000_000  # of any other list, such as the generations that do not count
R = TypeVar("R", bound=Results)


class Bound(NamedTuple):
    """Digests of the files beside a report, by name, and of the stores that were read, by their path from there; and
    what whoever ran it says of what was examined."""

    files: Mapping[str, str]
    stores: Mapping[str, str]
    about: About | None = None


_NOTHING = Bound({}, {})


def make_report(
    kind: str,
    *,
    inputs: Mapping[str, str],
    encoder: EncoderSpec | None,
    threshold: float | None,
    coverage: Coverage,
    results: R,
    findings: Sequence[Finding],
    bound: Bound = _NOTHING,
) -> ReportOf[R]:
    """Put a report together; `digest` is the SHA-256 of all else in it, `digests` tell which part was changed. bound:
    what the report is about besides.

    All are of the canonical form, so that a report which another JSON library wrote again is still the same.
    """
    results, findings = bounded(results, findings)
    content: Json = {
        "schema": SCHEMA,
        "kind": kind,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "memaudit": __version__,
        "inputs": dict(inputs),
        "encoder": to_builtins(encoder_of(encoder)) if encoder else None,
        "threshold": threshold,
        "coverage": to_builtins(coverage_of(coverage)),
        "results": to_builtins(results),
        "findings": to_builtins(findings),
        "files": dict(bound.files),
        "stores": dict(bound.stores),
    }
    if bound.about is not None:
        content["about"] = to_builtins(bound.about)
    content["digests"] = dict(digests_of_parts(canonical(content)))
    content["digest"] = digest_of(canonical(content))
    return ReportOf(head=convert(content, Head), results=results, findings=findings, content=content)


def digests_of_parts(report: Json) -> dict[str, str]:
    """A short digest (64 bits of a SHA-256) of each part by its place, such as `results.searched` or `findings[3]`."""
    return {place: digest_of(part)[:16] for place, part in _parts(report)}


def _parts(report: Json) -> Iterator[tuple[str, JsonValue]]:
    for key, value in report.items():
        if key == "results" and isinstance(value, dict):
            yield from ((f"results.{name}", part) for name, part in value.items())
        elif key == "findings" and isinstance(value, list):
            yield from ((f"findings[{number}]", part) for number, part in enumerate(value))
        elif key not in ("digest", "digests"):
            yield key, value


def inconclusive_report(kind: str, reason: str, about: About | None = None) -> Report:
    """The report of a run that could not measure anything: nobody may take it for a clean one."""
    results = Unmeasured(conclusive=False, reasons=[reason], headline=f"Inconclusive: {reason}.")
    return make_report(
        kind,
        inputs={},
        encoder=None,
        threshold=None,
        coverage=Coverage(0, 0),
        results=results,
        findings=[],
        bound=Bound({}, {}, about),
    )


def write_report(path: Path, report: Report) -> None:
    """Write report.json. Written last of a run's files: where it is, the others are."""
    write_json(path, report.content)


def read_report(path: str | Path) -> Report:
    """Read a report and hold it against the model and its own digest.

    Raises InputError that names the place for anything that is not a sound report of a schema that this version reads.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the report in it, {path / 'report.json'}")
    return report_in(read_json(path, most=MOST_BYTES), path)


def report_in(content: Json, path: Path) -> Report:
    """`read_report` of what was read already, of `path`."""
    try:
        _require_bounded(path, content)
        report = report_of(content, str(path))
        _require_unchanged(path, content)
    except ValueError as error:
        raise InputError(f"{path} holds a number that JSON does not allow: {error}") from None
    except RecursionError:
        raise InputError(f"{path} is no valid report: it is nested too deeply") from None
    return report


def _require_unchanged(path: Path, content: Json) -> None:
    sealed = {key: value for key, value in content.items() if key != "digest"}
    # memaudit 0.2 and earlier digested numbers as they stood there
    if all(digest_of(form(sealed)) != content["digest"] for form in (canonical, dict)):
        places = "".join(f", at {place}" for place in _changed_places(content))
        raise InputError(
            f"{path} was changed after it was written{places}: its digest does not fit its content; run again"
        )


def _changed_places(content: Json) -> list[str]:
    """Up to three places whose own digest does not fit; nothing for a report of the first schema."""
    written = content.get("digests")
    if not isinstance(written, dict):
        return []
    found, as_it_stands = digests_of_parts(canonical(content)), digests_of_parts(content)
    places = [
        place
        for place in {**found, **written}
        if written.get(place) not in (found.get(place, ""), as_it_stands.get(place, ""))
    ]
    more = [f"{len(places) - 3:,} more places"] if len(places) > 3 else []
    return [*places[:3], *more] or ["digest or digests"]


def _require_bounded(path: Path, report: Json) -> None:
    """Refuse what would take minutes to check: no run writes lists of that length."""
    for place, value in _containers(report):
        most = MOST_FINDINGS if place == "findings" else MOST_ENTRIES
        if len(value) > most:
            raise InputError(f"{path} is no valid report: {place[:80]} has {len(value):,} entries, at most {most:,}")


def _containers(value: Json, place: str = "", depth: int = 3) -> Iterator[tuple[str, Sized]]:
    """Lists and objects to the depth at which the model has something to say of each of their entries."""
    for key, part in value.items():
        if isinstance(part, list | dict):
            name = f"{place}{key}"
            yield name, part
            if isinstance(part, dict) and depth > 1:
                yield from _containers(part, f"{name}.", depth - 1)
