"""What a bundle shows to people: its first pages, its facts and the pages of its runs; and whether they are those of
its reports."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import jinja2
from msgspec import UNSET, to_builtins

from memaudit import __version__
from memaudit.bundling.checking import WHOLE_VERDICT, Checked, Opened, faults_of_told, reports_in, told_by
from memaudit.bundling.contents import page_of
from memaudit.bundling.manifest import PUBLIC, json_bytes, json_in, sha256_of_content
from memaudit.errors import MemauditError
from memaudit.files import json_object_in
from memaudit.report.bindings import faults_of_page
from memaudit.report.model import Report
from memaudit.report.run_folder import PAGE, THUMBNAILS

INDEX, FACTS = "index.html", "facts.json"
_FORM = (KeyError, TypeError, AttributeError, ValueError, MemauditError)  # what reading one of another form raises


def facts_of(reports: Mapping[str, Report], environment: Mapping[str, object]) -> dict[str, object]:
    """What was examined, how and by what: digests of stores, model and generations, commands, encoders, versions.
    reports: by their folder in the bundle."""
    runs = [_facts_of_run(folder, report) for folder, report in reports.items()]
    return {"runs": runs, "bundled with": dict(environment)}


def _facts_of_run(folder: str, report: Report) -> dict[str, object]:
    head, results = report.head, report.results
    model = getattr(results, "model", UNSET)
    return {
        "folder": folder,
        "kind": report.kind,
        "created": report.created,
        "memaudit": head.memaudit,
        "headline": results.headline,
        "about": to_builtins(head.about) if head.about is not UNSET else None,
        "model": to_builtins(model) if model is not UNSET else None,
        "encoder": to_builtins(report.encoder),
        "inputs": dict(report.inputs),
        "stores": dict(head.stores) if head.stores is not UNSET else {},
        "report": report.digest,
    }


def index_of(reports: Mapping[str, Report], verdict: Mapping[str, Any], *, full: bool) -> bytes:
    """The first page. That of the public edition has no sentence of a report."""
    loader = jinja2.PackageLoader("memaudit.bundling")
    pages = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    models = sorted({report.head.about.model for report in reports.values() if report.head.about} - {""})
    rules = sorted(verdict["rules"], key=lambda rule: rule["outcome"] == "pass")
    values = {"reports": reports, "verdict": verdict, "rules": rules, "models": models, "full": full}
    return (pages.get_template("index.html").render(**values).rstrip("\n") + "\n").encode("utf-8", "backslashreplace")


def check_shown(bundle: Opened) -> Checked:
    """Of a full edition whose files are those of its manifest: each page and the facts, made again of its reports and
    its verdict. By whom and on which machine it was bundled is told by whoever did."""
    checked, reports = Checked(), reports_in(bundle)
    ordered, environment = _as_told(bundle, reports)
    for name, made in (
        (FACTS, json_bytes(facts_of(ordered, environment))),
        (INDEX, _index(bundle, ordered, full=True)),
        (f"{PUBLIC}{INDEX}", _index(bundle, ordered, full=False)),
    ):
        checked.faults += faults_of_told(bundle, name, "the bundle", made, checked)
    for folder, report in reports.items():
        _check_page(bundle, folder, report, checked)
    return checked


def _as_told(bundle: Opened, reports: Mapping[str, Report]) -> tuple[Mapping[str, Report], Mapping[str, object]]:
    """The reports in the order in which the facts tell of them, and by what it was bundled."""
    try:
        told = json_in(bundle.data(FACTS), FACTS)
        assert isinstance(told, dict)
        ordered = {run["folder"]: reports[run["folder"]] for run in told["runs"]}
        return (ordered if len(ordered) == len(reports) else reports), dict(told["bundled with"])
    except (AssertionError, *_FORM):
        return reports, {}


def _index(bundle: Opened, reports: Mapping[str, Report], *, full: bool) -> bytes:
    """Empty where the verdict is of a form that the page cannot show, as an earlier version's."""
    try:
        whole = json_object_in(bundle.data(WHOLE_VERDICT), bundle.path / WHOLE_VERDICT)
        return index_of(reports, whole if full else bundle.verdict, full=full)
    except (jinja2.TemplateError, *_FORM):
        return b""


def _check_page(bundle: Opened, folder: str, report: Report, checked: Checked) -> None:
    """The page of a run changes from version to version: that of another one is held by the digests in it alone."""
    name = f"{folder}/{PAGE}"
    if name not in bundle.entries:
        checked.faults.append(f"{name} is not there")
        return
    page = bundle.entries[name]
    faults = list(faults_of_page(report, name, page.chunks()))
    checked.faults += faults
    below = f"{folder}/{THUMBNAILS}/"
    pictures = {each.removeprefix(below): part for each, part in bundle.entries.items() if each.startswith(below)}
    if faults or sha256_of_content(page)[0] == sha256(page_of(report, pictures)).hexdigest():
        return
    if (version := told_by(bundle)) == __version__:
        checked.faults.append(f"{name} is not the page that memaudit {version} writes of its report")
        return
    checked.notes.append(
        f"{name} is not as this memaudit would write it: only its digests were held against its report; go by "
        "report.json"
    )
