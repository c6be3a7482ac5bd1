"""`python -m memaudit.tasks.worker MODULE FOLDER TASKS PART PARTS` does the tasks of a part that are not done.

Where MEMAUDIT_WORKER_OF names the process that started it, it ends with that one: nobody waits for the rest.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from memaudit.tasks.work import STARTED_BY, Work

_EACH = 0.5  # seconds


def end_with(parent: int) -> None:
    """Look now and then whether the parent is still there."""
    while os.getppid() == parent:
        time.sleep(_EACH)
    os._exit(1)


if __name__ == "__main__":
    module, folder, tasks, part, parts = sys.argv[1:]
    if started_by := os.environ.get(STARTED_BY):
        threading.Thread(target=end_with, args=(int(started_by),), daemon=True).start()
    Work(Path(folder), module, int(tasks)).do_part(int(part), int(parts))
