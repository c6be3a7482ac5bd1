"""The pairing: which training image a generation's prompt was taken from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from memaudit.errors import InputError, UsageError
from memaudit.files import open_regular, reason_of
from memaudit.images.arrow_rows import arrow_table
from memaudit.images.cells import Row, columns_called, first_of, storable
from memaudit.images.parts import file_of
from memaudit.images.text_rows import NumberedRow, text_rows
from memaudit.store import Store
from memaudit.types import Int64

GENERATION_COLUMNS = ("generation", "query_id")
REFERENCE_COLUMNS = ("image_id", "reference_id", "training_id")
PARQUET = ".parquet"
_EXAMPLES = 3
_PARTS = {"generation": r".+", "image_id": r".+", "prompt": r".+", "seed": r"-?\d+"}
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}$")


@dataclass(frozen=True)
class Prompted:
    """What a generation was asked for: the training image its prompt was taken from, the prompt, the seed, and how the
    prompt was chosen: its strategy, its weight, how many captions it stands for (None: nobody said), whether its image
    is a held-out one, and of how many distinct captions it was drawn (None: nobody said)."""

    reference_id: str
    prompt: str = ""
    seed: str = ""
    strategy: str = ""
    weight: float | None = None
    held_out: bool = False
    distinct: float | None = None

    @property
    def stands_for(self) -> float | None:
        """Captions of the training set: of a held-out one none of them, whatever its weight is said to be."""
        return 0.0 if self.held_out else self.weight


Pairing = Mapping[str, Prompted]
HELD_OUT = "held-out"
"""The stratum of prompts that were taken from held-out images."""
Pairer = Callable[[Store, Store], Pairing]
"""Pairs a store of generations with a training store. Raises InputError for a pairing that cannot be meant."""


def pairer(file: Path | None, pattern: str | None, metadata: bool) -> Pairer | None:
    """How generations are to be paired: by a file, a pattern of their names, both, or their own metadata.

    What can be wrong without the generations is found now: raises InputError, UsageError. None: no pairing was asked.
    """
    compiled = compiled_pattern(pattern) if pattern is not None else None
    if metadata and (file or compiled):
        raise UsageError(
            "--pairing-metadata takes the pairing from the generations: leave --pairing and its pattern out"
        )
    if compiled and (file is not None) != ("generation" in compiled.groupindex):
        raise UsageError(
            f"--pairing-pattern {pattern}: with --pairing it must name the file's {{generation}}, without one the "
            "training image's {image_id}"
        )
    named = read_pairing(file) if file else {}
    if metadata:
        return lambda generations, references: from_metadata(generations)
    if compiled:
        return lambda generations, references: by_pattern(generations, references, compiled, named)
    return (lambda generations, references: by_name(generations, named)) if file else None


def read_pairing(path: str | Path, *, prompts: bool = False) -> dict[str, Prompted]:
    """Read generation, image_id and optionally prompt, seed, strategy, stratum, weight, distinct: a CSV or TSV with a
    header, JSON lines, a JSON array of objects, or Parquet.

    prompts: a line may name a prompt alone, and no training image. Keys are what the file calls the generations.
    Raises InputError for an unreadable file, absent columns, no line at all, a line with more fields than columns (an
    unquoted comma), an empty or a repeated generation.
    """
    path, columns = Path(path), (*REFERENCE_COLUMNS, "prompt") if prompts else REFERENCE_COLUMNS
    if path.suffix.lower() == PARQUET:
        with arrow_table("pairing", str(path)) as table:
            return _collected(path, columns, (NumberedRow(*row) for row in enumerate(table.rows(1024), start=1)))
    try:
        with open_regular(path) as handle:
            return _collected(path, columns, text_rows("pairing", str(path), handle))
    except OSError as error:
        raise InputError(f"pairing {path} cannot be read: {reason_of(error)}") from None


def _object_in(text: str) -> dict[str, Any] | None:
    """The JSON object that a text holds; None if it holds something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _collected(path: Path, columns: Sequence[str], rows: Iterable[NumberedRow]) -> dict[str, Prompted]:
    """columns: of which a line has to fill one."""
    pairing: dict[str, Prompted] = {}
    for number, row in rows:
        place = f"pairing {path}, line {number}"
        key, target = first_of(row, GENERATION_COLUMNS).text, first_of(row, REFERENCE_COLUMNS).text
        if not key or not any(first_of(row, (name,)).text for name in columns):
            absent = not all(columns_called(tuple(row), names) for names in (GENERATION_COLUMNS, columns))
            wanted = f"{' or '.join(GENERATION_COLUMNS)}, and {' or '.join(columns)}"
            more = f": expected columns {wanted}, found {', '.join(row)[:200]}" if absent else ""
            what = "prompt" if "prompt" in columns else "training image_id"
            raise InputError(f"{place}: the generation or its {what} is empty{more}")
        if key in pairing:
            raise InputError(f"{place}: generation {key!r} occurs twice")
        asked = _asked(target, first_of(row, ("prompt",)).text, first_of(row, ("seed",)).text)
        pairing[key] = replace(
            asked,
            strategy=storable(first_of(row, ("strategy",)).text),
            weight=_captions(row, "weight", place),
            held_out=first_of(row, ("stratum",)).text == HELD_OUT,
            distinct=_captions(row, "distinct", place) or None,
        )
    if not pairing:
        raise InputError(f"pairing {path} has no line that names a generation: name at least one, or leave it out")
    return pairing


def _captions(row: Row, column: str, place: str) -> float | None:
    """How many the column says; None where it is empty."""
    text = first_of(row, (column,)).text
    if not text:
        return None
    try:
        count = float(text)
    except ValueError:
        count = math.nan
    if not 0 <= count < math.inf:
        raise InputError(f"{place}: the {column} {text[:80]!r} is none: expected a number of captions, 0 or more")
    return count


def stem_of(image_id: str) -> str:
    """An image_id without the file name extension: `a/clock.png` is called `a/clock`."""
    return _EXTENSION.sub("", image_id)


def by_name(generations: Store, named: Pairing) -> Pairing:
    """The pairing by the generations' image_ids; a file may leave out their extension (`00017` for `00017.png`).

    What the file names and is not there stays under the file's name: it counts as missing.
    """
    ids = _ids(generations)
    known = set(ids)
    wanted = {key for key in named if key not in known}
    called = _by_stem(ids, wanted, "generations") if wanted else {}
    if twice := set(called.values()) & set(named):
        raise InputError(f"the pairing names generation {min(twice)!r} twice: with and without its extension")
    return {called.get(key, key): entry for key, entry in named.items()}


def _ids(store: Store) -> list[str]:
    return [image_id for columns in store.iter_columns() for image_id in columns.image_id]


def _without_parts(ids: Sequence[str]) -> list[str]:
    """Without the frames of files, and pictures of sheets, that are there themselves."""
    known = set(ids)
    return [image_id for image_id in ids if file_of(image_id) not in known]


def _by_stem(ids: Iterable[str], wanted: set[str], what: str) -> dict[str, str]:
    """The image_id of each wanted name without extension. Raises InputError if two images go by one name."""
    found: dict[str, str] = {}
    for image_id in ids:
        stem = stem_of(image_id)
        if stem in wanted:
            if stem in found:
                raise InputError(
                    f"the pairing's {stem!r} may be either of the {what} {found[stem]!r} and {image_id!r}: "
                    "name them with their extension"
                )
            found[stem] = image_id
    return found


def compiled_pattern(
    pattern: str, option: str = "--pairing-pattern", keys: Sequence[str] = ("image_id", "generation")
) -> re.Pattern[str]:
    """A regular expression with named groups, or a template like `{image_id}_{seed}.png`.

    keys: of these it must name one. Raises UsageError for what is neither, or names none of them or several.
    """
    expression = pattern if "(?P<" in pattern else _template(pattern, option)
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise UsageError(f"{option} {pattern} is no regular expression: {error}") from None
    groups = set(compiled.groupindex)
    if groups - set(_PARTS) or len(groups & set(keys)) != 1:
        raise UsageError(
            f"{option} {pattern} names {', '.join(sorted(groups)) or 'nothing'}: expected one of "
            f"{', '.join(f'{{{key}}}' for key in keys)}, and optionally others of {', '.join(_PARTS)}; or a regular "
            "expression with such groups, (?P<image_id>...)"
        )
    return compiled


def _template(pattern: str, option: str) -> str:
    parts = re.split(rf"\{{({'|'.join(_PARTS)})\}}", pattern)
    names = parts[1::2]
    if len(set(names)) < len(names):
        raise UsageError(f"{option} {pattern} names {{{_repeated(names)}}} twice")
    return "".join(f"(?P<{part}>{_PARTS[part]})" if i % 2 else re.escape(part) for i, part in enumerate(parts))


def _repeated(names: Sequence[str]) -> str:
    return next(name for i, name in enumerate(names) if name in names[:i])


def by_pattern(generations: Store, references: Store, pattern: re.Pattern[str], named: Pairing) -> Pairing:
    """The pairing by the names of the generations; `named`: the lines that a group `generation` points to.

    An image_id in a name may lack its extension; frames, and pictures of a sheet, go by their file's name. Raises
    InputError if a generation does not fit the pattern, names no line, or if no name leads to a training image: a slip
    in a pattern must not pass for a pairing of nothing.
    """
    ids = _without_parts(_ids(generations))
    found = {image_id: pattern.fullmatch(image_id) for image_id in ids}
    if strangers := [image_id for image_id, match in found.items() if match is None]:
        raise InputError(
            f"{len(strangers):,} of {len(ids):,} generations do not fit --pairing-pattern {pattern.pattern}, the first "
            f"is {strangers[0]!r}"
        )
    parts = {image_id: match.groupdict() for image_id, match in found.items() if match is not None}
    if named:
        paired = {image_id: _line_of(image_id, groups, named) for image_id, groups in parts.items()}
        made = {groups["generation"] for groups in parts.values()}
        return paired | {key: line for key, line in named.items() if key not in made}  # which are missing
    return _resolved({i: _prompted(groups) for i, groups in parts.items()}, references)


PROMPT_KEYS = ("prompt", "image_id", "generation")


def prompt_of(image_id: str, pattern: re.Pattern[str], named: Pairing) -> str:
    """What a generation's name says of its prompt: the prompt, its training image, or a line of the pairing file.

    Raises InputError if the name does not fit the pattern.
    """
    match = pattern.fullmatch(image_id)
    if match is None:
        raise InputError(f"generation {image_id!r} does not fit --prompt-pattern {pattern.pattern}")
    key = next(match[name] for name in PROMPT_KEYS if name in pattern.groupindex)
    return named[key].prompt or key if key in named else key


def _asked(reference_id: str, prompt: str, seed: str) -> Prompted:
    """JSON may escape half a surrogate pair, which no table holds: it is escaped once more, as in captions."""
    return Prompted(storable(reference_id), storable(prompt), storable(seed))


def _prompted(groups: Mapping[str, str | None]) -> Prompted:
    return _asked(groups["image_id"] or "", groups.get("prompt") or "", groups.get("seed") or "")


def _line_of(image_id: str, groups: Mapping[str, str | None], named: Pairing) -> Prompted:
    line = named.get(groups["generation"] or "")
    if line is None:
        raise InputError(
            f"generation {image_id!r} names {groups['generation']!r} by --pairing-pattern, which --pairing lacks"
        )
    asked = _asked(line.reference_id, groups.get("prompt") or line.prompt, groups.get("seed") or line.seed)
    return replace(line, reference_id=asked.reference_id, prompt=asked.prompt, seed=asked.seed)


def _resolved(pairing: dict[str, Prompted], references: Store) -> dict[str, Prompted]:
    wanted = {entry.reference_id for entry in pairing.values()}
    known = rows_of(references, wanted)
    by_stem = _by_stem(_iter_ids(references), wanted - set(known), "training images")
    if wanted and not known and not by_stem:
        raise InputError(
            f"--pairing-pattern leads to no training image: {references.folder} has none called "
            f"{min(wanted)!r}, with or without an extension"
        )
    return {
        key: Prompted(by_stem.get(entry.reference_id, entry.reference_id), entry.prompt, entry.seed)
        for key, entry in pairing.items()
    }


def _iter_ids(store: Store) -> Iterator[str]:
    return (image_id for columns in store.iter_columns() for image_id in columns.image_id)


def from_metadata(generations: Store) -> Pairing:
    """The pairing that the generations' source stated: image_id (or reference_id, training_id), prompt, seed.

    The prompt may also be the caption. Raises InputError if no generation says which training image it belongs to.
    """
    pairing: dict[str, Prompted] = {}
    files = set(_without_parts(_ids(generations)))
    for columns in generations.iter_columns():
        for image_id, caption, metadata in zip(columns.image_id, columns.caption, columns.metadata, strict=True):
            row = (_object_in(metadata) or {}) if image_id in files else {}
            if target := first_of(row, REFERENCE_COLUMNS).text:
                prompt = first_of(row, ("prompt",)).text or caption
                pairing[image_id] = _asked(target, prompt, first_of(row, ("seed",)).text)
    if not pairing:
        raise InputError(
            f"no generation of {generations.folder} has metadata with one of {', '.join(REFERENCE_COLUMNS)}: "
            "give them in a manifest with a column training_id, or use --pairing"
        )
    return pairing


def rows_of(store: Store, image_ids: set[str]) -> dict[str, int]:
    """The store rows of the given image_ids, those that it has. Memory: the ids asked for."""
    found: dict[str, int] = {}
    start = 0
    for columns in store.iter_columns():
        for offset, image_id in enumerate(columns.image_id):
            if image_id in image_ids:
                found[image_id] = start + offset
        start += len(columns.image_id)
    return found


def lines_of(generations: Store, pairing: Pairing) -> Int64:
    """For each row of the generations the number of its line of the pairing; -1 where there is none. Frames, and
    pictures of a sheet, go by the line of their file, unless they have one of their own."""
    number = {name: place for place, name in enumerate(pairing)}
    lines = (number[i] if i in number else number.get(file_of(i), -1) for i in _iter_ids(generations))
    return np.fromiter(lines, dtype=np.int64, count=len(generations))


def paired_rows(lines: Int64, references: Store, pairing: Pairing) -> Int64:
    """For each of these lines of the pairing the reference row of its prompt; -1 where there is none."""
    known = rows_of(references, {entry.reference_id for entry in pairing.values()})
    rows = np.array([*(known.get(entry.reference_id, -1) for entry in pairing.values()), -1], np.int64)
    return rows[lines]  # -1: the last


def unknown_images(references: Store, pairing: Pairing, allowed: float, what: str = "training") -> tuple[str, ...]:
    """What to say of training images that a pairing names and the store does not have, if of the pairs more than the
    share `allowed` have such: often the names differ by a folder or an extension, so both sides are shown."""
    known = rows_of(references, {entry.reference_id for entry in pairing.values()})
    unknown = sorted({entry.reference_id for entry in pairing.values()} - known.keys())
    count = sum(entry.reference_id not in known for entry in pairing.values())
    if count <= allowed * len(pairing):
        return ()
    named, there = _examples(unknown), _examples(list(islice(_iter_ids(references), _EXAMPLES)))
    return (
        f"{len(unknown):,} {what} images that the pairing names are not in {references.folder}: it names {named}; "
        f"image_ids of the store look like {there}",
    )


def _examples(image_ids: Sequence[str]) -> str:
    return ", ".join(repr(image_id[:80]) for image_id in image_ids[:_EXAMPLES])
