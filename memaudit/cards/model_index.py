"""A section of a model card as Hugging Face reads one: `model-index` in its head, and the same for people below."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from memaudit.cards.escaping import escaped
from memaudit.cards.figures import Figure, figures_of
from memaudit.cards.given import Given
from memaudit.report.model import AuditResults, Json, JsonValue, Report

_TRAINING_SET = ("references", "store", "store 1", "training faces")  # roles of inputs


def model_index(given: Given) -> str:
    """YAML between two lines of dashes, then Markdown."""
    head = "\n".join(_yaml({"model-index": [{"name": given.model_name, "results": list(_results(given))}]}))
    return f"---\n{head}\n---\n\n{section(given)}"


def _results(given: Given) -> Iterator[Json]:
    for report in given.reports:
        metrics = [_metric(report, figure) for figure in figures_of(report)]
        if metrics:
            yield {
                "task": {"type": _task(report)},
                "dataset": {
                    "type": f"memaudit-{report.kind}",
                    "name": given.training_set_name,
                    "revision": next((report.inputs[name] for name in _TRAINING_SET if name in report.inputs), ""),
                },
                "metrics": metrics,
            }


def _task(report: Report) -> str:
    """With prompts it is text to image; else nobody says what the model was asked."""
    asked = isinstance(report.results, AuditResults) and bool(report.results.by_prompt)
    return "text-to-image" if asked else "unconditional-image-generation"


def _metric(report: Report, figure: Figure) -> JsonValue:
    args: dict[str, Any] = {name: value for name, value in figure._asdict().items() if value not in (None, "")}
    for name in ("name", "said", "value"):
        args.pop(name)
    shared = {"report_sha256": report.digest, "memaudit": report.head.memaudit, "threshold": report.threshold}
    return {
        "type": figure.name,
        "value": figure.value,
        "name": figure.said,
        "args": {**args, **shared, "conclusive": report.results.conclusive},
    }


def section(given: Given) -> str:
    """A table of the figures, what was inconclusive, and what it rests on."""
    rows = [_row(figure) for report in given.reports for figure in figures_of(report)]
    lines = ["## Memorization audit", "", "| what | value | interval | of |", "|---|--:|--:|--:|", *rows, ""]
    lines += [f"**Inconclusive.** {escaped(each)}.\n" for each in given.inconclusive]
    lines += ["Rates are shares of what was measured. Sources:", ""]
    return "\n".join([*lines, *(f"- {escaped(each)}" for each in given.sources)]) + "\n"


def _row(figure: Figure) -> str:
    interval = "not stated"
    if figure.low is not None and figure.high is not None:
        sure = f" ({figure.confidence:.0%})" if figure.confidence else ""
        interval = f"{figure.low:.4g} to {figure.high:.4g}{sure}"
    of = "" if figure.n is None else f"{figure.n:,}" if figure.found is None else f"{figure.found:,} of {figure.n:,}"
    said = f"{figure.said}; {figure.note}" if figure.note else figure.said
    return f"| {escaped(said)} | {figure.value:.4g} | {interval} | {of} |"


def _yaml(value: JsonValue, indent: int = 0) -> Iterator[str]:
    """As block YAML; texts as JSON writes them, which YAML reads alike."""
    space = "  " * indent
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict | list) and inner:
                yield f"{space}{name}:"
                yield from _yaml(inner, indent + (not isinstance(inner, list)))
            else:
                yield f"{space}{name}: {_scalar(inner)}"
    elif isinstance(value, list):
        for inner in value:
            first, *rest = _yaml(inner, indent + 1)
            yield f"{space}- {first.strip()}"
            yield from rest


def _scalar(value: JsonValue) -> str:
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) or "." in repr(value) else repr(value).replace("e", ".0e")
    return json.dumps(value)
