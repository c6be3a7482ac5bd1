"""What is to be generated, and what became of each: a manifest that grows by a line for every image."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, NamedTuple

from memaudit.errors import InputError
from memaudit.files import MOST_IN_A_LINE, digest_of, open_regular, reason_of, sha256_of, text_lines
from memaudit.images.decode import UnreadableImageError, decode

MANIFEST, IMAGES, INCOMING = "generations.jsonl", "images", "incoming"
_MOST = MOST_IN_A_LINE << 2  # bytes of a line
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class Job(NamedTuple):
    """An image to be made: called `name`, of a prompt and a seed."""

    name: str
    prompt: str
    seed: int


class Fate(StrEnum):
    MADE = "made"
    REFUSED = "refused"  # the generator gave no image, and said that nothing went wrong


@dataclass(frozen=True)
class Outcome:
    """What became of a job. file: its name among the images, sha256: of its bytes; both "" where it was refused."""

    name: str
    prompt: str
    seed: int
    fate: str
    file: str = ""
    sha256: str = ""
    reason: str = ""


def jobs_of(prompts: Path, seeds: int) -> list[Job]:
    """Of each line of a file of `memaudit prompts`, `seeds` images: the first with the line's own seed, the others with
    the numbers after it."""
    jobs = []
    for line in text_lines(prompts):
        told = json.loads(line)
        for number in range(seeds):
            jobs.append(Job(f"{told['generation']}_{number}", told["prompt"], int(told["seed"]) + number))
    return jobs


def write_jobs(path: Path, jobs: Iterable[Job]) -> None:
    """JSON lines, as a command is given them for {jobs}."""
    path.write_text("".join(json.dumps(job._asdict(), ensure_ascii=False) + "\n" for job in jobs), "utf-8")


class Gallery:
    """A folder of generations and their manifest. Reading changes nothing: another run may be at work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images, self.incoming = folder / IMAGES, folder / INCOMING
        self._whole = 0  # bytes of the manifest's whole lines
        self.outcomes = self._read()

    def left(self, jobs: Iterable[Job]) -> list[Job]:
        """Those of which nothing is known yet."""
        return [job for job in jobs if job.name not in self.outcomes]

    @property
    def digest(self) -> str:
        """Of all that was made and refused."""
        known = sorted(self.outcomes.values(), key=lambda outcome: outcome.name)
        return digest_of([[each.name, each.sha256, each.fate] for each in known])

    def counts(self) -> dict[str, int]:
        fates = [outcome.fate for outcome in self.outcomes.values()]
        return {str(fate): fates.count(fate) for fate in Fate}

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """For whoever is the folder's only writer."""
        self._prepare()
        with (self.folder / MANIFEST).open("a", encoding="utf-8") as handle:
            yield Recorder(self, handle)

    def _prepare(self) -> None:
        """Make room for images, and remove what a killed run left half-done: files that came in, the image that no line
        names, and the manifest's last line, whose image is made again."""
        for each in (self.folder, self.images, self.incoming):
            each.mkdir(parents=True, exist_ok=True)
        for left in self.incoming.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
        for image in self._unnamed():
            image.unlink()
        path = self.folder / MANIFEST
        if path.exists() and path.stat().st_size > self._whole:
            os.truncate(path, self._whole)

    def _unnamed(self) -> list[Path]:
        """The image that no line names, if there is one. A kill leaves no more, for each has its line before the next:
        where there are more, it is the manifest that is wrong, and they may be hours of work."""
        known = {outcome.file for outcome in self.outcomes.values()}
        unnamed = [path for path in self.images.iterdir() if path.suffix in SUFFIXES and path.name not in known]
        folders = [path for path in unnamed if path.is_dir() and not path.is_symlink()]
        if len(unnamed) > 1 or folders:
            raise InputError(
                f"{self.images} holds {len(unnamed):,} that {self.folder / MANIFEST} does not name, as "
                f"{min(folders or unnamed).name}: put the manifest back that names them, or move them away"
            )
        return unnamed

    def _read(self) -> dict[str, Outcome]:
        path = self.folder / MANIFEST
        if not path.exists():
            return {}
        found = {}
        for number, line in enumerate(_whole_lines(path), 1):
            self._whole += len(line)
            outcome = _outcome_in(path, number, line)
            if outcome.fate == Fate.MADE and not self._is_there(outcome):
                raise InputError(
                    f"{self.images / outcome.file} is gone, or was changed since it was made: restore it, or begin "
                    f"anew without {self.folder}"
                )
            found[outcome.name] = outcome
        return found

    def _is_there(self, outcome: Outcome) -> bool:
        try:
            return sha256_of(self.images / outcome.file) == outcome.sha256
        except OSError:
            return False


class Recorder:
    """Takes images in, and writes a line for each; whole lines, on disk before the next image."""

    def __init__(self, gallery: Gallery, handle: IO[str]) -> None:
        self._gallery, self._handle = gallery, handle

    def made(self, job: Job, path: Path) -> str:
        """Take the image that lies at `path`. "", or why it is none: then nothing is written."""
        try:
            decode(path.read_bytes())
        except (OSError, UnreadableImageError) as error:
            return f"what it made is no image: {reason_of(error)}"
        file = self._gallery.images / f"{job.name}{path.suffix.lower()}"
        digest = sha256_of(path)
        os.replace(path, file)
        self._write(Outcome(*job, Fate.MADE, file.name, digest))
        return ""

    def refused(self, job: Job, reason: str) -> None:
        self._write(Outcome(*job, Fate.REFUSED, reason=reason[:500]))

    def _write(self, outcome: Outcome) -> None:
        self._handle.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._gallery.outcomes[outcome.name] = outcome


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Without a last one that a kill cut, be it within a letter."""
    with open_regular(path) as handle:
        while (line := handle.readline(_MOST)).endswith(b"\n"):
            yield line
    if len(line) == _MOST:
        raise InputError(f"{path} is no manifest of generations: a line is longer than {_MOST:,} bytes")


def _outcome_in(path: Path, number: int, line: bytes) -> Outcome:
    try:
        told: dict[str, Any] = json.loads(line)
        return Outcome(**told)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}, line {number} is no line of a manifest of generations: {reason_of(error)}") from None


def found_for(folder: Path, job: Job) -> Path | None:
    """The image that a generator left for a job, whatever kind of file it chose."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{job.name}{suffix}").is_file()), None)
