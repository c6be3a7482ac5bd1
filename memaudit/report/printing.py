"""A page as a PDF, by a Chromium that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from memaudit.files import whole_file

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-quic", "--no-pdf-header-footer"),
)
SECONDS = 180


def find_chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def print_page(page: Path, pdf: Path) -> str | None:
    """Write `page` as a PDF; return a line that says why there is none, if there is none."""
    browser = find_chromium()
    if browser is None:
        return f"{pdf} was not written: no Chromium was found; open {page} in a browser and print it, or install one"
    with tempfile.TemporaryDirectory(prefix="memaudit-") as folder:
        made = Path(folder) / "page.pdf"
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root
        command = [browser, *FLAGS, *sandbox, f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}"]
        try:
            subprocess.run([*command, page.resolve().as_uri()], capture_output=True, check=True, timeout=SECONDS)
            data = made.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            return f"{pdf} was not written: {browser} could not print {page} ({type(error).__name__})"
    with whole_file(pdf) as file:
        file.write(data)
    return None
