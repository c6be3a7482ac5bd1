"""A generator that is a pipeline of diffusers: as a command, and what it is known by."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from memaudit.errors import InputError, MissingDependencyError
from memaudit.files import digest_of, real, sha256_of
from memaudit.release.run_file import CommandGenerator, PipelineGenerator, RunFile

_BATCHES = 16  # of a device, before the pipeline is loaded anew: what a kill costs at most
_INDEX = "model_index.json"


def pipeline_digest(folder: Path, named: str = "") -> str:
    """Of the names and bytes of all files of a pipeline, wherever links lead. named: how the user named it, "" as a
    generator. Raises InputError where it is none."""
    if not (folder / _INDEX).is_file():
        named = named or f"[generator] path = {str(folder)!r}"
        raise InputError(f"{named} is no pipeline of diffusers: there is no {_INDEX} in it")
    return digest_of([[path.relative_to(folder).as_posix(), sha256_of(path)] for path in sorted(_files_below(folder))])


def _files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Under every name that they have: unlike images, which count once, the same weights may stand for two parts. A
    link to a folder that it lies in is not followed."""
    here = (*above, real(folder))
    for path in folder.iterdir():
        if path.is_dir():
            yield from () if real(path) in here else _files_below(path, here)
        elif path.is_file():
            yield path


def known_by_digest(told: RunFile, base: Path) -> RunFile:
    """With the digest of its pipeline, if it has one, which is that of the model where the file gives none. base: the
    folder that paths are taken from. Raises InputError where there is no pipeline, or another than the file says."""
    generator = told.generator
    if not isinstance(generator, PipelineGenerator):
        return told
    digest = pipeline_digest(base / generator.path)
    if generator.digest not in ("", digest):
        raise InputError(
            f"[generator] digest = {generator.digest[:80]!r}: the pipeline in {base / generator.path} has {digest}: "
            "these are other weights, or another digest is to stand there"
        )
    return replace(told, generator=replace(generator, digest=digest), model_digest=told.model_digest or digest)


def as_command(told: PipelineGenerator, base: Path, *, scores: bool = False) -> CommandGenerator:
    """The command line that draws with it; or that scores prompts. Raises MissingDependencyError without diffusers."""
    if importlib.util.find_spec("diffusers") is None:
        raise MissingDependencyError(
            '[generator] kind = "diffusers" needs diffusers: pip install "memaudit-vision[diffusers]"'
        )
    words = [
        sys.executable,
        "-m",
        "memaudit.release.pipelines",
        "--path",
        str(base / told.path),
        "--digest",
        told.digest,
    ]
    words += ["--dtype", told.dtype, "--batch", str(told.batch), "--options", json.dumps(told.options)]
    words += [word for device in told.devices for word in ("--device", device)]
    words += ["--scheduler", told.scheduler] if told.scheduler else []
    words += [] if told.safety_checker else ["--unchecked"]
    words += ["--score"] if scores else []
    return CommandGenerator(
        command=f"{shlex.join(words)} --jobs {{jobs}} --out {{out}}",
        batch=_BATCHES * told.batch * len(told.devices),
        timeout=told.timeout,
        tries=told.tries,
    )
