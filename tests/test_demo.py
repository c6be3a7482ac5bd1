"""scripts/demo is the reference: it runs the whole job on real images, and is always the truth."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from memaudit.encoders.weights import find_sscd, weights_folder
from scripts.demo_summary import found_in, planted_in

ROOT = Path(__file__).parent.parent
PLANTED = 15  # generations of model-a
SAMPLES = weights_folder().parent / "samples" / "manifest.csv"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.weights,
    pytest.mark.samples,
    pytest.mark.skipif(find_sscd() is None, reason="no sscd weights: memaudit encoders fetch sscd"),
    pytest.mark.skipif(not SAMPLES.is_file(), reason="no sample images: scripts/fetch_samples"),
    pytest.mark.skipif(not (ROOT / ".venv" / "complete").is_file(), reason="no .venv: scripts/venv"),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The finished demo and what its last line said."""
    out = tmp_path_factory.mktemp("demo") / "out"
    done = run_demo(out)
    yield out, done
    shutil.rmtree(out)


def run_demo(out: Path) -> subprocess.CompletedProcess[str]:
    # The lines about coverage and workers of the surrounding pytest run are none of the demo's business.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COV_", "PYTEST"))}
    return subprocess.run(
        [ROOT / "scripts" / "demo", out], capture_output=True, text=True, check=True, env=environment, timeout=900
    )


def test_audit_reports_exactly_what_was_planted(demo):
    """Every planted regurgitation is found, and nothing else."""
    out, _ = demo
    truth = planted_in(out, "model-a")
    assert len(truth) == PLANTED
    assert found_in(out, "model-a") == truth
    assert found_in(out, "model-b") == planted_in(out, "model-b") == set()


def test_gate_fails_the_copying_model_and_passes_the_clean_one(demo):
    """Red for the model that gives training images back, green for the one that does not."""
    out, _ = demo
    told = [json.loads((out / name / "verdict.json").read_text()) for name in ("model-a", "model-b")]
    assert [each["verdict"] for each in told] == ["fail", "pass"]
    assert [each["asked"] for each in told] == [160, 160]


def test_dedup_recall_is_exact_and_complete(demo):
    """All images were compared exactly with all others, and no pair was missed."""
    out, _ = demo
    recall = json.loads((out / "model-a/dedup/report.json").read_text())["results"]["recall"]
    assert recall["census"]
    assert recall["by_pair"]["found"] == recall["by_pair"]["total"] > 0


def test_the_clocks_are_one_group(demo):
    """The family that started it all: the clock at one, two, three o'clock."""
    out, _ = demo
    table = pq.read_table(out / "model-a/dedup/decisions.parquet").to_pydict()
    groups = {
        group for image_id, group in zip(table["image_id"], table["group"], strict=True) if image_id.endswith("oclock")
    }
    assert len(groups) == 1


def test_the_last_line_is_the_report(demo):
    """Whoever runs the demo can open or mail what its last line names: every picture is inside the page."""
    _, done = demo
    page = Path(done.stdout.splitlines()[-1])
    pictures = [part.split('"')[0] for part in page.read_text().split('<img src="')[1:]]
    assert len(pictures) >= 2 * PLANTED
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)


def test_second_run_makes_nothing_again(demo):
    """What is there already is kept, stores, runs and generations alike; and both verdicts are what they were."""
    out, _ = demo
    files = [path for name in ("pool", "data", "model-a", "model-b") for path in kept_files(out / name)]
    before = {path: path.stat().st_mtime_ns for path in files}
    run_demo(out)
    assert [str(path) for path in files if path.stat().st_mtime_ns != before[path]] == []
    assert [path for name in ("model-a", "model-b") for path in (out / name).glob("generations-*/incoming/*")] == []


def kept_files(folder: Path) -> list[Path]:
    """Embeddings, tables, generations and reports; page and verdict of a gate are written each time."""
    kinds = {".h5", ".parquet", ".jpg", ".png"}
    return [path for path in folder.rglob("*") if path.suffix in kinds or path.name == "report.json"]
