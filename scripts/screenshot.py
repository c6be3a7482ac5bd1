"""Make docs/report.png from the demo's page: `python -m scripts.screenshot demo-out`. Needs Chromium and Pillow.

Only findings of Twemoji graphics (CC-BY 4.0) are shown: single photographs of the samples state no licence.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from memaudit.report.printing import find_chromium

WIDTH, HEIGHT, SHRINK = 1280, 1560, 0.75
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic")


def main(out: Path) -> None:
    browser = find_chromium()
    if browser is None:
        sys.exit("screenshot.py: no Chromium found: install it (Debian: apt-get install chromium)")
    report = out / "model-a" / "release.html"
    page = without_photographs(report.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(dir=report.parent) as folder:
        copy = report.with_name(f"{Path(folder).name}.html")
        copy.write_text(page, encoding="utf-8")
        try:
            picture = Path(folder) / "page.png"
            size = f"--window-size={WIDTH},{HEIGHT}"
            profile = f"--user-data-dir={folder}/profile"
            command = [browser, *FLAGS, *QUIET, profile, size, f"--screenshot={picture}", copy.resolve().as_uri()]
            subprocess.run(command, check=True, capture_output=True)
            save(picture.read_bytes(), Path("docs/report.png"))
        finally:
            copy.unlink()


def without_photographs(page: str) -> str:
    """Leave them out of what stands in the page, and of the data that its script shows."""
    page = re.sub(
        r'<article class="match".*?</article>',
        lambda match: "" if "photographs/" in match[0] else match[0],
        page,
        flags=re.DOTALL,
    )
    data = r'(?<=id="findings-data">).*?(?=</script>)'
    return re.sub(data, lambda match: graphics_in(match[0]), page, flags=re.DOTALL)


def graphics_in(data: str) -> str:
    findings = json.loads(data)
    findings["rows"] = [row for row in findings["rows"] if "photographs/" not in json.dumps(row)]
    return json.dumps(findings).replace("<", "\\u003c")


def save(png: bytes, path: Path) -> None:
    """Smaller and in 256 colours: a picture in a README should not weigh more than the code."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.resize((round(WIDTH * SHRINK), round(HEIGHT * SHRINK)), Image.Resampling.LANCZOS)
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-out"))
