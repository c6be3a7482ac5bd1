"""Extraction: prompts that give one picture again and again, without a training set."""

from __future__ import annotations

from pathlib import Path

from memaudit.api.runs import ExtractionRun, Place
from memaudit.audit.pairing import PROMPT_KEYS, compiled_pattern, read_pairing
from memaudit.encoders.catalog import load_encoder
from memaudit.encoders.encoder import Regions
from memaudit.errors import MissingDependencyError
from memaudit.extraction.run import ExtractOptions, extract, require_possible
from memaudit.images.passed_over import PassedOver
from memaudit.images.sources import iter_images
from memaudit.report.extraction import write_extraction
from memaudit.types import Progress, silent


def run_extract(
    generations: str | Path,
    out: str | Path | None = None,
    *,
    prompt_pattern: str | None = None,
    pairing: str | Path | None = None,
    threshold: float = 0.15,
    clique: int = 10,
    max_unreadable: float = 0.01,
    progress: Progress = silent,
) -> ExtractionRun:
    """Find prompts that give one picture again and again: verbatim (Carlini et al. 2023), as a template or a part, or
    drawn anew. The last needs the weights of sscd; without them it is not measured, and the report says so.

    out: folder of the run's files; None: a temporary one. prompt_pattern: how generations are named, say
    {prompt}/{seed}.png; pairing: CSV or JSON lines that say their prompts; else captions do. threshold: patched l2
    distance at or below which two generations are one picture. clique: how many of them make a finding.

    Raises UsageError for impossible options, InputError where prompts are not known, InconclusiveError where nothing
    could be measured.

    >>> ma.run_extract("generations", prompt_pattern="{prompt}.png", clique=2).findings
    <Findings: 0>
    """
    options = ExtractOptions(threshold, clique, max_unreadable)
    require_possible(options)
    pattern = compiled_pattern(prompt_pattern, "--prompt-pattern", PROMPT_KEYS) if prompt_pattern else None
    named = read_pairing(Path(pairing), prompts=True) if pairing else None
    place = Place(out)
    with place.running("extraction"):
        passed = PassedOver()
        refs = iter_images([str(generations)], contents=False, passed=passed)
        result = extract(refs, pattern, named, options, _regions(), progress, passed)
        return place.run(ExtractionRun, write_extraction(result, place.folder))


def _regions() -> Regions | str:
    """Those that tell pictures drawn anew, or why there are none."""
    try:
        return load_encoder("sscd").regions or "sscd has no regions here"
    except MissingDependencyError as error:
        return str(error)
