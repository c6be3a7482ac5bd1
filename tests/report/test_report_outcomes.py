"""results.outcomes of an audit's report: who matched, who does not count, and which prompts they were."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vectors import near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted
from memaudit.audit.run import audit
from memaudit.gate import Audited, compare
from memaudit.gate.comparison import MCNEMAR
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.document import read_report
from memaudit.report.model import Report
from memaudit.report.outcomes import outcomes_of
from memaudit.store import Store
from memaudit.types import Status

TRAINING = random_vectors(0, 40)
PROMPTS = {f"gen-{i:05d}": Prompted(f"train-{i:05d}", f"prompt {i}") for i in range(12)}


@pytest.fixture
def training(tmp_path: Path) -> Store:
    return vector_store(tmp_path / "training", TRAINING, prefix="train")


def audited(folder: Path, training: Store, copied: list[int], **options: Any) -> Report:
    """The report, as read back, of twelve generations of which some are copies of training images."""
    vectors = random_vectors(5, 12)
    vectors[copied] = near(1, TRAINING[copied], 0.2)
    columns = {key: options.pop(key) for key in ("statuses", "files") if key in options}
    generations = vector_store(folder / "generations", vectors, prefix="gen", **columns)
    pairing = options.pop("pairing", PROMPTS)
    write_audit(audit(generations, ExactSearch(training), pairing=pairing, **options), generations, training, folder)
    return read_report(folder / "report.json")


def test_outcomes_add_up_to_the_rate(tmp_path: Path, training: Store) -> None:
    """As many found as the rate counts, of as many as it is of and those left out."""
    results = audited(tmp_path / "a", training, [2, 5]).content["results"]
    outcomes = results["outcomes"]
    assert outcomes["found"] == ["gen-00002", "gen-00005"]
    assert len(outcomes["found"]) == results["searched"]["count"]
    assert outcomes["total"] == results["searched"]["n"] + len(outcomes["left_out"]) == 12


def test_two_models_with_the_same_prompts_are_paired(tmp_path: Path, training: Store) -> None:
    """Two reports alone are enough for McNemar's test, and for what is new."""
    old = audited(tmp_path / "a", training, [2, 5])
    new = audited(tmp_path / "b", training, [5, 6, 7])
    assert old.content["results"]["outcomes"]["digest"] == new.content["results"]["outcomes"]["digest"]
    found = compare(Audited(old), Audited(new))
    assert (found.test, found.n, found.gained, found.lost) == (MCNEMAR, 12, 2, 1)
    assert {pair.query_id for pair in found.gained_matches} == {"gen-00006", "gen-00007"}


def test_what_does_not_count_is_left_out(tmp_path: Path, training: Store) -> None:
    """Unreadable, blank and missing generations, and those without a match that are another's picture again."""
    status = [Status.OK] * 12
    status[1], status[3] = Status.UNREADABLE, Status.BLANK
    files = [f"{i}.png" for i in range(12)]
    files[7] = files[4]
    pairing = {**PROMPTS, "gone": Prompted("train-00030", "prompt of what is gone")}
    report = audited(tmp_path / "a", training, [2, 5], statuses=status, files=files, pairing=pairing).content
    outcomes = report["results"]["outcomes"]
    assert set(outcomes["left_out"]) == {"gen-00001", "gen-00003", "gen-00007", "gone"}
    assert outcomes["found"] == ["gen-00002", "gen-00005"]
    assert report["results"]["searched"]["count"] == 2
    assert outcomes["total"] == 13


@pytest.mark.parametrize(
    "pairing",
    [
        {},
        {name: each for name, each in PROMPTS.items() if name != "gen-00004"},
        {name: Prompted(each.reference_id, "") for name, each in PROMPTS.items()},
    ],
    ids=["no pairing", "one not paired", "no prompts"],
)
def test_without_all_prompts_nothing_is_claimed(tmp_path: Path, training: Store, pairing: dict[str, Prompted]) -> None:
    """Equal names alone do not make generations the same."""
    assert audited(tmp_path / "a", training, [2], pairing=pairing).content["results"]["outcomes"]["digest"] is None


def test_other_prompts_or_seeds_have_another_digest(tmp_path: Path, training: Store) -> None:
    """One prompt, one name or one seed is enough; their order is not."""
    generations = vector_store(tmp_path / "g", random_vectors(5, 12), prefix="gen")
    columns = generations.all_columns()

    def digest(pairing: dict[str, Prompted]) -> Any:
        return outcomes_of(audit(generations, ExactSearch(training), pairing=pairing), columns).digest

    def seeded(*seeds: int) -> dict[str, Prompted]:
        return {name: replace(each, seed=str(seed)) for (name, each), seed in zip(PROMPTS.items(), seeds, strict=True)}

    other = {**PROMPTS, "gen-00003": Prompted("train-00003", "another prompt")}
    digests = [digest(PROMPTS), digest(other), digest(seeded(*range(12))), digest(seeded(*range(11), 99))]
    assert len(set(digests)) == 4
    assert digest(dict(reversed(PROMPTS.items()))) == digests[0]
    assert np.all([isinstance(each, str) for each in digests])
