"""A generator that is a command line: one call an image, or one a batch, for a model takes a minute to load."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from memaudit.errors import InputError
from memaudit.release.jobs import SUFFIXES, Job, Recorder, found_for, write_jobs
from memaudit.release.run_file import CommandGenerator
from memaudit.release.workers import in_turn
from memaudit.types import KEY_PASSWORD, Progress

_SAID = 300  # characters of what a failed command said last
NO_IMAGE = "the command ended well and left no image"


def generate(told: CommandGenerator, jobs: list[Job], incoming: Path, record: Recorder, progress: Progress) -> None:
    """Make all images. Raises InputError where a command fails `tries` times: what was made until then is kept."""
    if "{jobs}" in told.command:
        _in_batches(told, jobs, incoming, record, progress)
    else:
        _one_by_one(told, jobs, incoming, record, progress)


def _in_batches(told: CommandGenerator, jobs: list[Job], incoming: Path, record: Recorder, progress: Progress) -> None:
    by_products = set[str]()
    for low in range(0, len(jobs), told.batch):
        batch = jobs[low : low + told.batch]
        for last in reversed(range(told.tries)):
            failed, batch = _batch(told, batch, incoming, record, by_products)
            if not failed:
                break
            if not last:
                raise InputError(f"the generator failed with {len(batch):,} images of a batch left: {failed}")
        for job in batch:
            record.refused(job, NO_IMAGE)
        progress("generating", min(low + told.batch, len(jobs)), len(jobs))


def _batch(
    told: CommandGenerator, batch: list[Job], incoming: Path, record: Recorder, by_products: set[str]
) -> tuple[str, list[Job]]:
    """What went wrong, and of which jobs nothing came. by_products: what lies beside images of right names; grows."""
    listed = incoming / "jobs.jsonl"
    write_jobs(listed, batch)
    failed = said_of(told, {"jobs": str(listed), "out": str(incoming)})
    listed.unlink(missing_ok=True)
    left = []
    for job in batch:
        path = found_for(incoming, job)
        broken = record.made(job, path) if path else ""
        failed = failed or broken
        if broken or path is None:
            left.append(job)
    others = {path.name for path in incoming.iterdir() if path.suffix.lower() in SUFFIXES} - by_products
    if len(left) < len(batch):
        by_products |= others
    elif others and not failed:  # a mistake, and no refusal, which would be recorded for good
        failed = f"it left {min(others)} and no {batch[0].name}.png: images are to be called {{out}}/NAME.png"
    return failed, left


def _one_by_one(told: CommandGenerator, jobs: list[Job], incoming: Path, record: Recorder, progress: Progress) -> None:
    def take(job: Job, path: Path | None) -> str:
        if path is None:
            record.refused(job, NO_IMAGE)
            return ""
        return record.made(job, path)

    in_turn(jobs, told.workers, lambda job: _one(told, job, incoming), take, progress)


def _one(told: CommandGenerator, job: Job, incoming: Path) -> tuple[Path | None, str]:
    """The image, if there is one; and what the last try failed by."""
    failed = ""
    for _ in range(told.tries):
        out = incoming / f"{job.name}.png"
        failed = said_of(told, {"prompt": job.prompt, "seed": str(job.seed), "out": str(out)})
        if not failed:
            break
    return found_for(incoming, job), failed


def said_of(told: CommandGenerator, values: dict[str, str]) -> str:
    """Call the command without a shell, each word filled in by itself. "", or what went wrong."""
    words = [_filled(word, values) for word in shlex.split(told.command)]
    own = {name: value for name, value in os.environ.items() if name != KEY_PASSWORD}  # who is audited signs nothing
    wait = told.timeout or None
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=wait, check=False, env=own
        )
    except subprocess.TimeoutExpired:
        return f"{words[0]} was not done after {told.timeout:g} s"
    except OSError as error:
        return f"{words[0]} cannot be run: {error.strerror}"
    except ValueError as error:  # NUL in a caption
        return f"{words[0]} cannot be run: {error}"
    if not done.returncode:
        return ""
    said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2][-_SAID:]
    return f"{words[0]} ended with exit code {done.returncode}{f': {said}' if said else ''}"


def _filled(word: str, values: dict[str, str]) -> str:
    """Values that hold braces are not filled in again."""
    parts = []
    while word:
        before, brace, rest = word.partition("{")
        name, closing, after = rest.partition("}")
        known = bool(brace and closing and name in values)
        parts.append(before + (values[name] if known else brace))
        word = after if known else rest
    return "".join(parts)
