"""A folder with a captioned training set, held-out images, and a release.toml over a small generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import write_pictures

POLICY = """\
[audit]
max_rate = 1.0
planted = []
max_findings = 3
max_verbatim = 3
max_template = 3
min_controls = 0
copy_detection = false
views = "none"
min_verified_coverage = 0
max_match_from = 1.0
max_threshold = 1.0
max_redrawn_rate = 1
[dedup]
copy_detection = false
max_threshold = 1.0
"""
MakeRun = Callable[..., Path]


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    """Write release.toml with a [generator] of these lines; of 24 captions two are "copied"."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "training", range(24))
    write_pictures(tmp_path / "held-out", range(300, 312))
    lines = ["image_id,path,caption"]
    for number in range(24):
        word = "copied" if number in (3, 9) else "picture"
        lines.append(f"{number:04d},training/{number:04d}.png,a {word} number {number:04d}")
    (tmp_path / "training.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "policy.toml").write_text(POLICY)

    def make(generator: str, *, more: str = "", prompts: str = "n = 24") -> Path:
        path = tmp_path / "release.toml"
        path.write_text(
            f"""\
model = "small 1.0"
{more}
[training]
source = "training.csv"
encoder = "thumbnail"
[generator]
{generator}
[prompts]
{prompts}
[audit]
control = "held-out"
views = "none"
match = "none"
planted = 0
[gate]
policy = "policy.toml"
"""
        )
        return path

    return make
