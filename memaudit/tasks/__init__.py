"""Tasks that several processes share: each makes one file that appears whole, so that it does not matter who does it,
in which order, how often, or who died over it.

A stage is a module with `do_tasks(folder, numbers)`: it reads what `write_inputs` put into the folder, and writes what
it finds by `write_found`.
"""

from memaudit.tasks.executors import Executor, executing, finish, threads
from memaudit.tasks.files import (
    beside,
    clear,
    cut,
    cut_in_blocks,
    forget,
    read_found,
    read_inputs,
    require_same,
    text_arrays,
    texts_of,
    unread_places,
    write_found,
    write_inputs,
)
from memaudit.tasks.work import TASKS_A_PART, Work, of_part

__all__ = [
    "Executor",
    "TASKS_A_PART",
    "Work",
    "beside",
    "clear",
    "cut",
    "cut_in_blocks",
    "executing",
    "finish",
    "forget",
    "of_part",
    "read_found",
    "read_inputs",
    "require_same",
    "text_arrays",
    "texts_of",
    "threads",
    "unread_places",
    "write_found",
    "write_inputs",
]
