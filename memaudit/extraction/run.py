"""Extraction without a pairing: prompts whose generations are one picture again and again (Carlini et al. 2023)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from memaudit.audit.pairing import Pairing, prompt_of, stem_of
from memaudit.embedding.reconcile import bytes_of
from memaudit.encoders.encoder import Regions
from memaudit.errors import EmptyInputError, InputError, MissingDependencyError, UsageError
from memaudit.extraction.cliques import largest_clique
from memaudit.extraction.kinds import LOOKED_AT, Common, common_picture, kept_small, small_of
from memaudit.extraction.patches import Pixels, distance_of, patched_squares, squares_within, tiles_of
from memaudit.extraction.results import Extraction, PromptCluster
from memaudit.images.decode import UnreadableImageError, decode, is_blank
from memaudit.images.image_ref import ImageRef, first_frames_line
from memaudit.images.parts import count_frames
from memaudit.images.passed_over import PassedOver
from memaudit.images.reading import ArchiveCutError
from memaudit.matching.kinds import COPIES, Kind
from memaudit.matching.shortfalls import cut_archives
from memaudit.statistics import rate_of
from memaudit.store import content_digest
from memaudit.types import Coverage, Int64, Progress, silent
from memaudit.words import plural

MOST = 1000  # generations of one prompt: 0.8 GB of pixels
Layers = tuple[PromptCluster, ...]
"""What a prompt gives, then what it gives beside that; the last is no picture that is the same to the last value."""


@dataclass(frozen=True)
class ExtractOptions:
    """threshold: the patched l2 distance at or below which two generations are one picture. clique: how many of them
    make a memorised prompt. max_unmeasured: the share of generations, or of prompts, above which it is inconclusive."""

    threshold: float = 0.15
    clique: int = 10
    max_unmeasured: float = 0.01


def extract(
    generations: Iterable[ImageRef],
    pattern: re.Pattern[str] | None = None,
    named: Pairing | None = None,
    options: ExtractOptions = ExtractOptions(),
    regions: Regions | str = "no encoder is at hand",
    progress: Progress = silent,
    passed: PassedOver | None = None,
) -> Extraction:
    """Look for cliques among the generations of each prompt: at least `clique` of them, each close to every other;
    where there is none, for some of the first `LOOKED_AT` that are copies of each other, or one picture drawn anew.

    The prompt of a generation is what `pattern` reads from its name, or its line in `named`, or else its caption. Blank
    generations are out of scope; an archive that ends early makes the result inconclusive. Memory: the names of all
    generations, and the pixels of those of one prompt.
    regions: those of sscd, or why pictures drawn anew are not looked for. passed: counts what the source of the
    generations holds beside images; complete after the last of them.
    Raises UsageError for impossible options, InputError if it is not known which generations belong together.
    """
    require_possible(options)
    tally = _Tally([], 0, regions=regions, no_pixels=_too_few_for(options.clique))
    by_prompt = _by_prompt(_that_are_there(generations, tally), pattern, named or {})
    prompts = list[Layers]()
    for number, (prompt, refs) in enumerate(by_prompt.items()):
        prompts.append(tuple(_layers(prompt, refs, options, tally)))
        progress("comparing generations of a prompt", number + 1, len(by_prompt))
    return _result(prompts, tally, options, passed or PassedOver())


def _too_few_for(clique: int) -> str:
    """Why a clique of this size is looked for among verbatim copies alone; empty where it is not."""
    return (
        f"the first {LOOKED_AT} generations alone are compared, and --clique is {clique:,}"
        if clique > LOOKED_AT
        else ""
    )


def require_possible(options: ExtractOptions) -> None:
    """Raise UsageError for options that mean nothing."""
    if not 0 < options.threshold <= 1:
        raise UsageError(
            f"--threshold {options.threshold:g} is out of range: expected 0 < distance <= 1 (pixels in [0, 1])"
        )
    if options.clique < 2:
        raise UsageError(f"--clique {options.clique} is out of range: expected at least 2")
    if not 0 <= options.max_unmeasured <= 1:
        raise UsageError(f"--max-unreadable {options.max_unmeasured:g} is out of range: expected a share, 0 to 1")


@dataclass
class _Tally:
    """What was come across: names of generations with the digests of their files, and rows that are there because an
    archive ends early; films: files of which the first frame is compared; regions: as of `extract`; no_pixels: why
    nothing but verbatim copies is found."""

    files: list[tuple[str, str]]
    cut: int
    films: int = 0
    regions: Regions | str = ""
    no_pixels: str = ""

    @property
    def no_redrawn(self) -> str:
        return self.no_pixels or (self.regions if isinstance(self.regions, str) else "")


def _that_are_there(generations: Iterable[ImageRef], tally: _Tally) -> Iterator[ImageRef]:
    """All but those that stand for the lost rest of an archive: they belong to no prompt, and are counted."""
    for ref in generations:
        if ref.lost:
            tally.cut += 1
            tally.files.append((ref.image_id, ""))
        else:
            yield ref


def _by_prompt(
    generations: Iterable[ImageRef], pattern: re.Pattern[str] | None, named: Pairing
) -> dict[str, list[ImageRef]]:
    found: dict[str, list[ImageRef]] = {}
    for ref in generations:
        line = named.get(ref.image_id) or named.get(stem_of(ref.image_id))
        prompt = prompt_of(ref.image_id, pattern, named) if pattern else (line.prompt if line else ref.caption)
        if not prompt:
            raise InputError(
                f"generation {ref.image_id!r} does not say which prompt it was made from: give --prompt-pattern, say "
                "'{prompt}/{seed}.png', or a --pairing file, or a manifest with a column prompt"
            )
        found.setdefault(prompt, []).append(ref)
    if not found:
        raise EmptyInputError("no generation to compare")
    if crowded := next((prompt for prompt, refs in found.items() if len(refs) > MOST), None):
        raise UsageError(
            f"prompt {crowded[:80]!r} has {len(found[crowded]):,} generations, at most {MOST:,} are compared with each "
            "other: name fewer"
        )
    return found


class _Read(NamedTuple):
    """The generations of a prompt that can be compared, and how many cannot; small: the first `LOOKED_AT` of them.
    sizes: width and height of each. generations: how many there are."""

    prompt: str
    generations: int
    refs: list[ImageRef]
    files: list[str]
    pixels: list[Pixels]
    sizes: list[tuple[int, int]]
    small: list[Image.Image]
    unreadable: int
    blank: int

    def at(self, places: Sequence[int]) -> _Read:
        """Some of those that can be compared, in their order."""
        return self._replace(
            refs=[self.refs[place] for place in places],
            files=[self.files[place] for place in places],
            pixels=[self.pixels[place] for place in places],
            sizes=[self.sizes[place] for place in places],
            small=[self._small(place) for place in places[:LOOKED_AT]],
        )

    def _small(self, place: int) -> Image.Image:
        """Also of one that was not among the first before some were left out."""
        return self.small[place] if place < len(self.small) else small_of(self.pixels[place], self.sizes[place])


def _read(prompt: str, refs: list[ImageRef], tally: _Tally) -> _Read:
    """Decode images; `tally` collects their names and the digests of their files, and how many an archive cut off."""
    kept, files, pixels, small = list[ImageRef](), list[str](), list[Pixels](), list[Image.Image]()
    sizes = list[tuple[int, int]]()
    unreadable = blank = 0
    for ref in refs:
        digest = ""
        try:
            data = bytes_of(ref)
            digest = hashlib.sha256(data).hexdigest()
            image = decode(data).image
            tally.films += count_frames(data) > 1
        except (OSError, InputError, UnreadableImageError) as error:
            unreadable += 1
            tally.cut += isinstance(error, ArchiveCutError)
        else:
            if is_blank(image):
                blank += 1
            else:
                kept.append(ref)
                files.append(digest)
                pixels.append(tiles_of(image))
                sizes.append(image.size)
                if len(small) < LOOKED_AT:
                    small.append(kept_small(image))
        tally.files.append((ref.image_id, digest))
    return _Read(prompt, len(refs), kept, files, pixels, sizes, small, unreadable, blank)


def _layers(prompt: str, refs: list[ImageRef], options: ExtractOptions, tally: _Tally) -> Iterator[PromptCluster]:
    """What a prompt gives; where that is one picture to the last value, also what its other generations give, and so
    on: other prompts must be read to tell whether that picture is of any account."""
    read = _read(prompt, refs, tally)
    able = len(read.pixels) >= options.clique
    squares = patched_squares(read.pixels) if able else np.zeros((0, 0), np.int64)
    while True:
        cluster = _cluster(read, squares, options, tally)
        yield cluster
        if not cluster.one_picture:
            return
        members = set(cluster.members)
        rest = [place for place, ref in enumerate(read.refs) if ref.image_id not in members]
        read, squares = read.at(rest), squares[np.ix_(rest, rest)]


def _cluster(read: _Read, squares: Int64, options: ExtractOptions, tally: _Tally) -> PromptCluster:
    """squares: of all pairs of those that were read, as of `patched_squares`."""
    verbatim = largest_clique(squares <= squares_within(options.threshold), options.clique)
    found = None if verbatim.members else _common(read, options, tally)
    clique = found.clique if found else verbatim
    chosen = list(clique.members)
    inside = _inside(squares, chosen)
    return PromptCluster(
        prompt=read.prompt,
        generations=read.generations,
        compared=len(read.refs),
        unreadable=read.unreadable,
        blank=read.blank,
        members=tuple(read.refs[i].image_id for i in chosen),
        uris=tuple(read.refs[i].uri for i in chosen),
        sha256=tuple(read.files[i] for i in chosen),
        files=len({read.files[i] for i in chosen}),
        mean_distance=float(distance_of(inside).mean()) if chosen else None,
        largest_distance=float(distance_of(inside).max()) if chosen else None,
        proven=clique.proven,
        kind=found.kind if found else Kind.VERBATIM,
        probability=found.probability if found else None,
        boxes=found.boxes if found else (None,) * len(chosen),
        one_picture=_one_picture([read.pixels[i] for i in chosen]),
        crowded=not verbatim.members and options.clique <= len(read.refs) > len(read.small),
    )


def _one_picture(pixels: Sequence[Pixels]) -> str:
    """The digest of what all of these are, value for value; empty where they differ."""
    digests = {hashlib.sha256(each.tobytes()).hexdigest() for each in pixels}
    return digests.pop() if len(digests) == 1 else ""


def _cards(prompts: Sequence[Layers]) -> set[str]:
    """Pictures that several prompts give whatever the seed, to the last value. No model does that, but what stands in
    front of it: the card of a filter, say."""
    given = Counter(digest for layers in prompts for digest in {cluster.one_picture for cluster in layers})
    return {digest for digest, count in given.items() if digest and count > 1}


def _without_cards(layers: Layers, cards: Collection[str]) -> PromptCluster:
    """What a prompt gives beside cards, which are left out as blank generations are."""
    return next(cluster for cluster in layers if cluster.one_picture not in cards)


def _common(read: _Read, options: ExtractOptions, tally: _Tally) -> Common | None:
    """What the pixels do not show at the same places; nothing where OpenCV is missing, which is noted."""
    if tally.no_pixels or len(read.small) < options.clique:
        return None
    try:
        return common_picture(read.small, options.clique, None if isinstance(tally.regions, str) else tally.regions)
    except MissingDependencyError as error:
        tally.no_pixels = str(error)
        return None


def _inside(squares: Int64, members: list[int]) -> Int64:
    """The pairs of a clique."""
    return squares[np.ix_(members, members)][np.triu_indices(len(members), 1)]


def _result(layers: Sequence[Layers], tally: _Tally, options: ExtractOptions, passed: PassedOver) -> Extraction:
    cards, clusters = _cards(layers), [each[0] for each in layers]
    judged = [_without_cards(each, cards) for each in layers]
    tested = [cluster for cluster in judged if cluster.compared >= options.clique]
    carded = [cluster for cluster, first in zip(judged, clusters, strict=True) if cluster is not first]
    few = sum(cluster.compared < options.clique for cluster in carded)
    read = sum(cluster.compared for cluster in clusters)
    coverage = Coverage(read, read + sum(cluster.unreadable for cluster in clusters) + passed.pictures)
    prompts = Coverage(len(tested), len(clusters))
    found = sorted((cluster for cluster in tested if cluster.members), key=_gravity)
    redrawn = sum(cluster.redrawn for cluster in found)
    left_out = (*passed.lines, first_frames_line(tally.films), *_not_looked_at(tested, tally), _carded(carded, few))
    short = _shortfalls(coverage, prompts, tested, few, options)
    return Extraction(
        threshold=options.threshold,
        clique=options.clique,
        digest=content_digest(tally.files),
        coverage=coverage,
        memorised=rate_of(len(found) - redrawn, prompts),
        clusters=tuple(found),
        blank=sum(cluster.blank for cluster in clusters),
        not_read=tuple(filter(None, left_out)),
        inconclusive=(*cut_archives("generations", tally.cut), *short),
        no_parts=tally.no_pixels,
        redrawn=None if tally.no_redrawn else rate_of(redrawn, prompts),
        no_redrawn=tally.no_redrawn,
    )


def _carded(prompts: Sequence[PromptCluster], few: int) -> str:
    """few: those of them that have too few other generations."""
    if not prompts:
        return ""
    rest = "judged by their other generations" + (f", but for {few:,} that have too few" if few else "")
    return (
        f"{len(prompts):,} prompts give a picture that others give as well, the same to the last pixel whatever the "
        f"seed, as the card of a filter is (such as {prompts[0].prompt[:80]!r}): no finding, and "
        + ("not judged" if few == len(prompts) else rest)
    )


def _gravity(cluster: PromptCluster) -> tuple[int, float, int, str]:
    """Graver kinds first, then the closest."""
    kinds = (*COPIES, Kind.REDRAWN)
    return kinds.index(cluster.kind), cluster.mean_distance or 0.0, -len(cluster.members), cluster.prompt


def _not_looked_at(tested: Sequence[PromptCluster], tally: _Tally) -> Iterator[str]:
    if tally.no_pixels:
        yield f"templates, parts and pictures drawn anew: {tally.no_pixels}"
        return
    if tally.no_redrawn:
        yield f"pictures drawn anew: {tally.no_redrawn}"
    crowded = sum(cluster.crowded for cluster in tested)
    if crowded:
        yield (
            f"templates, parts and pictures drawn anew beyond the first {LOOKED_AT} generations: "
            f"{plural(crowded, 'prompt')} {'has' if crowded == 1 else 'have'} more"
        )


def _shortfalls(
    coverage: Coverage, prompts: Coverage, tested: list[PromptCluster], few: int, options: ExtractOptions
) -> list[str]:
    reasons = []
    if coverage.falls_short(options.max_unmeasured):
        reasons.append(f"only {coverage.measured:,} of {coverage.total:,} generations could be read")
    if not prompts.measured or prompts.falls_short(options.max_unmeasured):
        cards = f" (of {few:,} more too few are left beside the card of a filter)" if few else ""
        reasons.append(
            f"only {prompts.measured:,} of {prompts.total:,} prompts have {options.clique} generations that can be "
            f"compared, fewer cannot show a clique{cards}"
        )
    unproven = sum(not cluster.proven and not cluster.members for cluster in tested)
    if unproven:
        reasons.append(f"the search for a clique gave up at {plural(unproven, 'prompt')}: lower --threshold")
    return reasons
