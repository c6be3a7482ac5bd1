"""A bill of materials of a model and its training set: CycloneDX 1.6, with a model card (ML-BOM)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from memaudit.cards.figures import Figure, figures_of
from memaudit.cards.given import TO_FILL, ExportFacts, Given, StoreFacts
from memaudit.files import digest_of

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
MODEL, PREFIX = "model", "memaudit:"


def cyclonedx(given: Given, version: str) -> dict[str, Any]:
    """The same reports and stores give the same document. version: memaudit's."""
    data = [*map(_store, given.stores), *map(_export, given.exports)]
    names = [f"training-data-{number}" for number in range(1, len(data) + 1)]
    content = {
        "metadata": {
            **({"timestamp": given.created} if given.created else {}),
            "tools": {"components": [{"type": "application", "name": "memaudit-vision", "version": version}]},
            "component": _model(given, names),
        },
        "components": [
            {"type": "data", "bom-ref": name, "name": given.training_set_name, **each}
            for name, each in zip(names, data, strict=True)
        ],
    }
    head = {"$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6"}
    return {**head, "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, digest_of(content))}", "version": 1, **content}


def _model(given: Given, data: list[str]) -> dict[str, Any]:
    digest = given.made_by.digest if given.made_by else ""
    hashes = [{"alg": "SHA-256", "content": digest}] if re.fullmatch("[0-9a-f]{64}", digest) else []
    metrics = [_metric(figure) for report in given.reports for figure in figures_of(report)]
    limits = [*given.inconclusive, f"{TO_FILL}intended use, other limitations, risks"]
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": given.model_name,
        **({"hashes": hashes} if hashes else {}),
        "modelCard": {
            "modelParameters": {"datasets": [{"ref": name} for name in data]},
            "quantitativeAnalysis": {"performanceMetrics": metrics},
            "considerations": {"technicalLimitations": limits},
            "properties": _properties((f"source:{number}", each) for number, each in enumerate(given.sources, 1)),
        },
    }


def _metric(figure: Figure) -> dict[str, Any]:
    interval = {}
    if figure.low is not None and figure.high is not None:
        interval = {"confidenceInterval": {"lowerBound": repr(figure.low), "upperBound": repr(figure.high)}}
    of = "" if figure.n is None else f" (of {figure.n:,})"
    sure = f"; interval at {figure.confidence:.0%}" if figure.confidence else f"; {figure.note}" if figure.note else ""
    return {"type": figure.name, "value": repr(figure.value), "slice": f"{figure.said}{of}{sure}", **interval}


def _store(store: StoreFacts) -> dict[str, Any]:
    said = {
        "store:sha256": store.digest,
        "store:images": store.images,
        "store:unreadable": store.unreadable,
        "store:with-caption": store.captions,
        "store:hosts": len(store.hosts),
    }
    data = [{"type": "dataset", "name": "images embedded by memaudit"}]
    return {"data": data, "properties": _properties(said.items())}


def _export(export: ExportFacts) -> dict[str, Any]:
    content = export.content
    said: dict[str, object] = {f"samples:{name}": count for name, count in content["samples"].items()}
    said |= {f"made-from:{name}": digest for name, digest in content["lineage"].items() if digest}
    data = {"type": "dataset", "name": export.croissant.get("name", "export"), "classification": "training data"}
    return {"data": [data], "properties": _properties(said.items())}


def _properties(said: Iterable[tuple[str, object]]) -> list[dict[str, str]]:
    return [{"name": f"{PREFIX}{name}", "value": str(value)} for name, value in said]
