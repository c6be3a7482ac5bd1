"""scripts/demo is the reference: it runs the whole job on real images, and is always the truth."""

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from memaudit.encoders.weights import find_sscd, weights_folder

ROOT = Path(__file__).parent.parent
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


def planted(truth: Path) -> set[str]:
    with truth.open(newline="") as handle:
        return {row["generation"] for row in csv.DictReader(handle) if row["planted"] == "1"}


def flagged(scores: Path) -> set[str]:
    table = pq.read_table(scores).to_pydict()
    return {query for query, matches in zip(table["query_id"], table["matches"], strict=True) if matches}


def test_audit_reports_exactly_what_was_planted(demo):
    """Every planted regurgitation is found, and nothing else."""
    out, _ = demo
    truth = planted(out / "model-a" / "truth.csv")
    assert len(truth) == 19
    assert flagged(out / "audit-model-a" / "scores.parquet") == truth
    assert flagged(out / "audit-model-b" / "scores.parquet") == set()


def test_gate_fails_the_copying_model_and_passes_the_clean_one(demo):
    """Red for the model that gives training images back, green for the one that does not."""
    out, _ = demo
    verdicts = [json.loads((out / f"gate-{name}.json").read_text())["verdict"] for name in ("model-a", "model-b")]
    assert verdicts == ["fail", "pass"]


def test_dedup_recall_is_exact_and_complete(demo):
    """All images were compared exactly with all others, and no pair was missed."""
    out, _ = demo
    recall = json.loads((out / "dedup" / "report.json").read_text())["results"]["recall"]
    assert recall["census"]
    assert recall["by_pair"]["found"] == recall["by_pair"]["total"] > 0


def test_the_clocks_are_one_group(demo):
    """The family that started it all: the clock at one, two, three o'clock."""
    out, _ = demo
    table = pq.read_table(out / "dedup" / "decisions.parquet").to_pydict()
    groups = {
        group for image_id, group in zip(table["image_id"], table["group"], strict=True) if image_id.endswith("oclock")
    }
    assert len(groups) == 1


def test_the_last_line_is_the_report(demo):
    """Whoever runs the demo can open or mail what its last line names: every picture is inside the page."""
    _, done = demo
    page = Path(done.stdout.splitlines()[-1])
    pictures = [part.split('"')[0] for part in page.read_text().split('<img src="')[1:]]
    assert len(pictures) >= 2 * 19
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)


def test_second_run_changes_nothing(demo):
    """What is there already is kept: same stores, same decisions."""
    out, _ = demo
    files = [*out.glob("*/*.h5"), *out.glob("*/*/*.h5"), out / "dedup" / "decisions.parquet"]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    run_demo(out)
    changed = [path for path in files if path.read_bytes() != before[path][1]]
    embedded_again = [path for path in files if path.suffix == ".h5" and path.stat().st_mtime_ns != before[path][0]]
    assert not changed
    assert not embedded_again
