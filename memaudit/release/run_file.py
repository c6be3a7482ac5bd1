"""release.toml: typed, each fault in one line with its place."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from memaudit.errors import UsageError
from memaudit.files import read_toml

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
S = TypeVar("S", bound=Struct)


class Training(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The training set: a store, or sources that are embedded into one. dedup: find its near-duplicates as well."""

    store: str = ""
    source: str | list[str] = ""
    encoder: str = "sscd"
    dedup: bool = True


class FolderGenerator(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="folder"):
    """Images that are there already, and the file that says which prompt each was made from."""

    path: str
    pairing: str = ""
    pairing_pattern: str = ""


class CommandGenerator(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="command"):
    """A command line. With {jobs} and {out} it makes all images of a batch, named by the file {jobs}; else one image,
    with {prompt}, {seed} and {out}, the file to write. batch: images of one call; timeout: seconds of one."""

    command: str
    batch: Positive = 64
    timeout: NotNegative = 3600.0
    tries: Positive = 2
    workers: Positive = 1


class HttpGenerator(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="http"):
    """An endpoint that is asked by POST. style: openai (an images API: `data[0].b64_json`), or json (answers with an
    image, or with {"image": BASE64}). key_env: the environment variable that holds its key. body: what every request
    holds beside prompt and seed."""

    url: str
    style: Literal["openai", "json"] = "openai"
    key_env: str = ""
    body: dict[str, str | int | float | bool] = {}
    per_minute: NotNegative = 0.0
    timeout: NotNegative = 120.0
    tries: Positive = 4
    workers: Positive = 1


class PipelineGenerator(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="diffusers"
):
    """A folder with a text-to-image pipeline of diffusers. batch: images at once, of one device; scheduler: a class of
    diffusers in place of the pipeline's own; safety_checker: the pipeline's own, and what it holds back is counted as
    refused; options: what else the pipeline is called with, as num_inference_steps; digest: of its files."""

    path: str
    digest: str = ""
    devices: tuple[str, ...] = ("cpu",)
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    batch: Positive = 4
    scheduler: str = ""
    safety_checker: bool = True
    options: dict[str, str | int | float | bool] = {}
    timeout: NotNegative = 0.0
    tries: Positive = 1


Generator = FolderGenerator | CommandGenerator | HttpGenerator | PipelineGenerator


class Asked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prompts: captions of the training set, `seeds` images each. pool: captions that are scored for strategy likely;
    score: the command line that does so, with {jobs} and {out}; a pipeline of diffusers has one of its own."""

    n: Positive = 400
    pool: Positive = 4000
    score: str = ""
    strategy: str = "random"
    by: str = "caption"
    held_out: str = ""
    weights: str = ""
    seeds: Positive = 1
    seed: int = 0
    max_refused: Share = 0.01


class Audited(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the audit is told; absent: its own defaults. control: held-out images, a store or a source;
    planted: copies of training images that are hidden among the generations, by which misses are counted."""

    control: str = ""
    threshold: float | None = None
    views: str | None = None
    match: str = "auto"
    faces: bool = False
    metrics: bool = False
    planted: Annotated[int, Meta(ge=0)] | None = None
    max_unreadable: Share = 0.01


class Judged(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the gate is told. policy: absent: its default limits."""

    policy: str = ""
    accepted: str = ""
    reviews: list[str] = []
    baseline: str = ""
    ledger: str = ""


class Bundled(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Evidence of it in one file; none without `file`. sign: private keys; password_files: of those that have a
    password; public: file of the edition for everybody; timestamp: URL of an authority."""

    file: str = ""
    public: str = ""
    sign: list[str] = []
    password_files: list[str] = []
    pictures: Literal["blurred", "as-they-are", "none"] = "blurred"
    timestamp: str = ""


class RunFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pre-release check. Paths are taken from the folder of the file. out: where everything is written."""

    training: Training
    generator: Generator
    prompts: Asked = Asked()
    audit: Audited = Audited()
    gate: Judged = Judged()
    bundle: Bundled = Bundled()
    out: str = "release"
    model: str = ""
    model_digest: str = ""
    training_set: str = ""
    who: str = ""


def read_run_file(path: Path) -> RunFile:
    """Raises InputError for what is no TOML, UsageError for what it may not say."""
    return run_file_in(read_toml(path, "run file"), path)


def run_file_in(raw: Mapping[str, Any], path: Path) -> RunFile:
    """What was read of `path`."""
    try:
        told = msgspec.convert(raw, RunFile)
    except msgspec.ValidationError as error:
        raise UsageError(f"run file {path}: {_said(str(error))}") from None
    _require_possible(path, told)
    return told


def _said(error: str) -> str:
    """msgspec's words, with the place in front and the likeliest meaning of a name that is not known."""
    words, _, place = error.partition(" - at `$.")
    place = place.rstrip("`")
    unknown = re.search(r"unknown field `(.+?)`", words)
    if unknown:
        close = difflib.get_close_matches(unknown[1], _names(place), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(_names(place))}"
        words = f"unknown {unknown[1]!r}: {hint}"
    missing = re.search(r"missing required field `(.+?)`", words)
    if missing:
        words = f"{missing[1]!r} is missing"
    return f"[{place}] {words}" if place else words


_PARTS: dict[str, tuple[type[Struct], ...]] = {
    "": (RunFile,),
    "training": (Training,),
    "generator": (FolderGenerator, CommandGenerator, HttpGenerator, PipelineGenerator),
    "prompts": (Asked,),
    "audit": (Audited,),
    "gate": (Judged,),
    "bundle": (Bundled,),
}


def _names(place: str) -> list[str]:
    parts = _PARTS.get(place, ())
    return ["kind"] * (len(parts) > 1) + [name for part in parts for name in part.__struct_fields__]


def _require_possible(path: Path, told: RunFile) -> None:
    training, generator = told.training, told.generator
    if bool(training.store) == bool(training.source):
        raise UsageError(f"run file {path}: [training] needs store, or source, and not both")
    if not told.bundle.file and told.bundle != Bundled():
        raise UsageError(f"run file {path}: [bundle] needs file, the bundle to write")
    if told.bundle.password_files and not told.bundle.sign:
        raise UsageError(f"run file {path}: [bundle] password_files needs sign, the keys that they open")
    if told.bundle.timestamp and not told.bundle.sign:
        raise UsageError(f"run file {path}: [bundle] timestamp needs sign: nothing else would bind the stamp")
    if isinstance(generator, CommandGenerator):
        _require_command(path, generator.command)
    if isinstance(generator, PipelineGenerator):
        _require_pipeline(path, generator)
    if isinstance(generator, HttpGenerator) and not _is_web(generator.url):
        raise UsageError(f"run file {path}: [generator] url = {generator.url[:80]!r} is no http or https URL")
    _require_scores(path, told)
    if isinstance(generator, HttpGenerator) and {"prompt", "seed"} & set(generator.body):
        raise UsageError(f"run file {path}: [generator] body may not hold prompt or seed: these come from the prompts")


def _is_web(url: str) -> bool:
    """Whether a request can be made of it: what is not ASCII is to stand there as %XX."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an address without its bracket, a port beyond 65,535
        return False
    return known and url.isascii() and url.isprintable() and " " not in url


def _require_words(path: Path, place: str, command: str) -> None:
    """Raises UsageError for what no shell could take apart either: now, and not after hours."""
    try:
        if shlex.split(command) and "\0" not in command:
            return
        reason = "it holds NUL" if "\0" in command else "it is empty"
    except ValueError as error:
        reason = str(error).lower()
    raise UsageError(f"run file {path}: {place} = {command[:80]!r} is no command line: {reason}")


def _require_scores(path: Path, told: RunFile) -> None:
    asked = told.prompts
    if asked.strategy != "likely":
        if asked.score:
            raise UsageError(f'run file {path}: [prompts] score is for strategy = "likely"')
        return
    if asked.held_out or asked.weights or asked.by != "caption":
        raise UsageError(f'run file {path}: [prompts] strategy = "likely" goes with neither held_out, weights nor by')
    if asked.pool < asked.n:
        raise UsageError(
            f"run file {path}: [prompts] pool = {asked.pool} is below n = {asked.n}: these are chosen from it"
        )
    if not asked.score and not isinstance(told.generator, PipelineGenerator):
        raise UsageError(
            f'run file {path}: [prompts] strategy = "likely" needs score, a command line with {{jobs}} and {{out}}: '
            'only a generator of kind "diffusers" has one of its own'
        )
    if asked.score:
        _require_words(path, "[prompts] score", asked.score)
    if asked.score and set(re.findall(r"\{(\w+)\}", asked.score)) != {"jobs", "out"}:
        raise UsageError(f"run file {path}: [prompts] score = {asked.score[:80]!r} has to name {{jobs}} and {{out}}")


def _require_pipeline(path: Path, told: PipelineGenerator) -> None:
    if not told.devices:
        raise UsageError(f"run file {path}: [generator] devices is empty: expected cpu, cuda, cuda:0 and so on")
    ours = {"prompt", "generator", "num_images_per_prompt", "output_type", "return_dict"} & set(told.options)
    if ours:
        raise UsageError(
            f"run file {path}: [generator] options may not hold {', '.join(sorted(ours))}: the check says it"
        )


def _require_command(path: Path, command: str) -> None:
    named = set(re.findall(r"\{(\w+)\}", command))
    if "out" not in named or not named & {"jobs", "prompt"} or named - {"jobs", "prompt", "seed", "out"}:
        raise UsageError(
            f"run file {path}: [generator] command = {command[:80]!r} names {', '.join(sorted(named)) or 'nothing'} in "
            "braces: expected {jobs} and {out}, or {prompt}, {seed} and {out}"
        )
    if "jobs" in named and named & {"prompt", "seed"}:
        raise UsageError(
            f"run file {path}: [generator] command has {{jobs}} and {{prompt}} or {{seed}}: one or the other"
        )
    _require_words(path, "[generator] command", command)
