"""A sentence on what of the training images an audit searched, by what its report says."""

from __future__ import annotations

from msgspec import UNSET

from memaudit.report.model import AuditResults, Report

_PARTS = {"tiles": "memaudit embed --tiles", "details": "memaudit embed --fine-tiles"}  # of training images


def searched_in(report: Report) -> str:
    """A sentence on which views of the training images an audit searched."""
    return _searched_in(report) + _within_files(report) + _not_read(report) + _by_calibration(report)


def _by_calibration(report: Report) -> str:
    settled = report.results.calibration if isinstance(report.results, AuditResults) else None
    return f" {settled.sentence}" if settled else ""


def _not_read(report: Report) -> str:
    lines = report.results.not_read if isinstance(report.results, AuditResults) else []
    return "".join(f" {line[:1].upper()}{line[1:]}." for line in lines)


def _within_files(report: Report) -> str:
    parts = report.results.parts if isinstance(report.results, AuditResults) else UNSET
    if not parts:
        return ""
    within = "pictures within files (frames, sheets, transparent ones made opaque)"
    return f" {parts:,} {within} were searched too; a file counts as one draw: split films and sheets."


def _searched_in(report: Report) -> str:
    results = report.results if isinstance(report.results, AuditResults) else None
    views = results.reference_views if results else UNSET
    if results is None or views is UNSET:
        return "It is not known which views of the training images were searched."
    parts = {"tiles": views.tiles, "details": views.details}
    searched = [f"their {name}" for name, digest in parts.items() if digest]
    lacking = [f"no {name} ({_PARTS[name]})" for name, digest in parts.items() if digest is UNSET]
    idle = [name for name, digest in parts.items() if digest is None]
    return (
        f"Searched in: {', '.join(['whole training images', *searched])}"
        + (f"; the store has {' and '.join(lacking)} of them" if lacking else "")
        + (f"; their {' and '.join(idle)} were not used: without pixels they decide nothing" if idle else "")
        + "."
        + (f" Not searched in: {results.grown}." if results.grown else "")
    )
