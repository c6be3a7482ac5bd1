"""`python -m memaudit.tasks.worker MODULE FOLDER TASKS PART PARTS` does the tasks of a part that are not done."""

from __future__ import annotations

import sys
from pathlib import Path

from memaudit.tasks.work import Work

if __name__ == "__main__":
    module, folder, tasks, part, parts = sys.argv[1:]
    Work(Path(folder), module, int(tasks)).do_part(int(part), int(parts))
