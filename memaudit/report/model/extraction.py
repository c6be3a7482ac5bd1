"""Reports of extractions."""

from __future__ import annotations

from typing import Annotated

from memaudit.report.model.figures import Part, Rate, Whole, says


class PromptGroup(Part, frozen=True, kw_only=True):
    """A prompt that gives one picture again and again."""

    prompt: Annotated[str, says("prompt")]
    generations: Annotated[Whole, says("its generations")]
    compared: Annotated[Whole, says("those that could be compared")]
    members: Annotated[Whole, says("those that are one picture")]
    files: Annotated[Whole, says("different files among them")]
    mean_distance: Annotated[float, says("mean distance between them")]
    largest_distance: Annotated[float, says("largest distance between them")]
    proven: Annotated[bool, says("no larger set exists")]
    pictures: Annotated[list[str | None], says("thumbnails")]
    kind: Annotated[str, says("verbatim, template, near-duplicate, partial or re-drawn")] = "verbatim"
    probability: Annotated[float | None, says("least probability of two of them; null for verbatim ones")] = None
    boxes: Annotated[list[list[float] | None], says("common part of each picture, in shares of its sides")] = []


class ExtractionResults(Part, frozen=True, kw_only=True):
    """What generations say without a training set."""

    conclusive: Annotated[bool, says("the run measured what it set out to measure")]
    reasons: Annotated[list[str], says("why not")]
    headline: Annotated[str, says("the result in a sentence")]
    distance: Annotated[float, says("largest distance within one picture")]
    clique: Annotated[Whole, says("generations that must be one picture")]
    memorised: Annotated[Rate, says("prompts that give one picture, verbatim, as a template or a part")]
    redrawn: Annotated[Rate | None, says("prompts that give one picture drawn anew; null: not measured")] = None
    no_redrawn: Annotated[str, says("why not")] = ""
    blank: Annotated[Whole, says("generations without content")]
    not_read: Annotated[list[str], says("what was not looked at of the generations")] = []
