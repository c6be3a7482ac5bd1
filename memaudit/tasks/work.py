"""Work as tasks in a folder: which there are, which are done, and how a worker does those of its part."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

STARTED_BY = "MEMAUDIT_WORKER_OF"  # whom a worker ends with
TASKS_A_PART = 4  # so that who is done early takes no part of what is left; and what a lost worker costs


class Work(NamedTuple):
    """Tasks 0 to tasks - 1 in a folder. module: has `do_tasks(folder, numbers)`, which makes the file of each."""

    folder: Path
    module: str
    tasks: int

    def done(self, number: int) -> bool:
        return found_at(self.folder, number).is_file()

    def missing(self) -> list[int]:
        return [number for number in range(self.tasks) if not self.done(number)]

    def there(self) -> list[int]:
        return [number for number in range(self.tasks) if self.done(number)]

    def do_part(self, part: int, parts: int) -> None:
        """Do what is not done of a part, of parts 0 to parts - 1."""
        if numbers := [number for number in of_part(self.tasks, part, parts) if not self.done(number)]:
            import_module(self.module).do_tasks(self.folder, numbers)


def of_part(count: int, part: int, parts: int) -> range:
    """The tasks of a part, of parts 0 to parts - 1."""
    return range(part, count, parts)


def found_at(folder: Path, number: int) -> Path:
    """The file of a task."""
    return folder / f"task-{number:06d}.npz"


def log_of(folder: Path, name: str) -> Path:
    """Where what a worker says stands."""
    return folder / f"log-{name}.txt"
