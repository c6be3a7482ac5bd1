"""Planted copies on the page: what was hidden and found, in a board's words, and one bound for one fact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from vectors import near, random_vectors, vector_store

import memaudit as ma
from memaudit.audit.pairing import Prompted
from memaudit.audit.planted import of_all_copies
from memaudit.audit.results import AuditResult, Planted, PlantedKind
from memaudit.audit.run import AuditOptions, audit
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.board import board_of
from memaudit.report.document import read_report
from memaudit.report.model import AuditResults
from memaudit.statistics import Detected, clopper_pearson_lower, melded_upper, missed_upper, rate_of
from memaudit.types import Coverage

NBSP = "\N{NO-BREAK SPACE}"
POLICY = '[audit]\nmax_rate = 0.0001\nplanted = ["cropped"]\n'


def detecting(**kinds: tuple[int, int]) -> Planted:
    found = {kind.replace("_", "-"): rate_of(x, Coverage(m, m)) for kind, (x, m) in kinds.items()}
    of = sum(m for _, m in kinds.values())
    return Planted(of, of, tuple(PlantedKind(*each) for each in found.items()))


class Audited:
    """An audit of so many prompts with a generation each, written with what was planted."""

    def __init__(self, folder: Path, n: int, found: int = 0) -> None:
        self.folder = folder
        training = random_vectors(0, 20)
        self.references = vector_store(folder / "training", training, prefix="train")
        vectors = -near(1, training[[0] * n], 1.0)
        vectors[:found] = near(2, training[[1] * found], 0.1)
        self.generations = vector_store(folder / "generations", vectors, prefix="gen", shard_rows=4096)
        pairing = {f"gen-{i:05d}": Prompted(f"train-{i % 20:05d}", f"prompt {i}", "0") for i in range(n)}
        self.result: AuditResult = audit(
            self.generations, ExactSearch(self.references), pairing=pairing, options=AuditOptions(match="none")
        )

    def written(self, planted: Planted, name: str = "out") -> Path:
        result = replace(self.result, planted=planted, all_copies=of_all_copies(self.result, planted))
        write_audit(result, self.generations, self.references, self.folder / name)
        return self.folder / name


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return Audited(tmp_path_factory.mktemp("many"), 50_000)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return Audited(tmp_path_factory.mktemp("few"), 320)


def boards(out: Path) -> list[str]:
    return [sentence.replace(NBSP, " ") for sentence in board_of(read_report(out / "report.json"))]


def results_of(out: Path) -> AuditResults:
    results = read_report(out / "report.json").results
    assert isinstance(results, AuditResults)
    return results


def test_none_of_50_000_with_180_of_200_has_one_bound(many: Audited) -> None:
    """6.70e-5: 0.0067 % in headline, board, page and gate, and none of them says 0.0060 % of detectable copies; a copy
    is missed with at most 14.2 %."""
    out = many.written(detecting(cropped=(180, 200)))
    assert results_of(out).searched.stated.upper == pytest.approx(6.6961e-5, rel=1e-4)
    tested, found, _, _ = boards(out)
    assert tested.endswith(
        " Of 200 altered copies of training images that were hidden among them the audit found 180: with 95 % "
        "confidence a copy of this kind is missed with a probability of at most 15 %, which is counted below."
    )
    assert found == (
        "None of 50,000 prompts gave a training image back: with 95 % confidence at most 0.0067 % of such prompts do."
    )
    headline = results_of(out).headline.replace(NBSP, " ")
    assert "with 95% confidence at most 0.0067 % of such prompts do." in headline
    assert headline.endswith(
        "Of 200 altered copies of training images that were hidden among the generations the audit found 180: with "
        "95% confidence a copy of this kind is missed with a probability of at most 15 %, which these bounds count."
    )
    (out / "policy.toml").write_text(POLICY)
    gated = ma.run_gate(out / "report.json", out / "policy.toml", page=out / "judged.html")
    rule = next(each for each in gated.rules if each.rule == "max_rate")
    assert (str(rule.outcome), rule.figure) == ("pass", "0.0067%")
    assert "(180 of 200 planted ones that are cropped were found)" in rule.sentence
    for name in ("report.html", "judged.html"):
        page = (out / name).read_text().replace(NBSP, " ")
        assert "at most 0.0067 %" in page
        assert "0.0060 %" not in page.replace("0.0060 % would", "")


def test_the_page_has_a_row_for_each_kind(few: Audited) -> None:
    """With how it was altered, how many were found and how many are missed at most; bounds go by the hardest."""
    out = few.written(detecting(re_encoded=(40, 40), mirrored=(36, 40), captioned=(28, 40)))
    page = (out / "report.html").read_text().replace(NBSP, " ")
    assert 'captioned: with a line of text across it</th><td class="n">28 of 40</td><td class="n">45 %</td>' in page
    assert 'mirrored: left and right exchanged</th><td class="n">36 of 40</td>' in page
    assert "if real ones are no harder to find than those that are captioned." in page
    tested = boards(out)[0]
    assert "Of 120 altered copies of training images that were hidden among them the audit found 104," in tested
    assert (
        "and 28 of the 40 captioned ones, the hardest: with 95 % confidence a copy of these kinds is missed" in tested
    )
    assert "of at most 45 %, which is counted below." in tested


def test_so_many_prompts_are_enough_with_what_goes_undetected(few: Audited) -> None:
    """Not the 299 of detectable copies, which the 320 of this audit have."""
    out = few.written(detecting(cropped=(18, 20), mirrored=(20, 20)))
    assert melded_upper(0, 320, Detected(18, 20), 0.05) > 0.01
    cannot = boards(out)[3]
    assert "320 prompts are too few to tell a rate below 1.2 %: it takes " in cannot
    takes = int(cannot.split("it takes ")[1].split(" prompts")[0])
    assert melded_upper(0, takes, Detected(18, 20), 0.05) <= 0.01 < melded_upper(0, takes - 1, Detected(18, 20), 0.05)
    none = few.written(detecting(cropped=(0, 20), mirrored=(20, 20)), "none")
    assert "no number of prompts tells more of copies of which none is found." in boards(none)[3]
    assert "hidden among them the audit found all 20" in boards(few.written(detecting(cropped=(20, 20)), "all"))[0]


def test_without_planted_copies_it_says_so(few: Audited) -> None:
    out = few.written(Planted(0, why_none="--planted 0"))
    tested, _, _, cannot = boards(out)
    assert "hidden" not in tested
    assert "How many copies go undetected was not measured" in cannot
    page = (out / "report.html").read_text()
    assert 'id="detected"' not in page
    assert "of copies that the audit can detect" in page


def test_where_a_kind_was_not_measured_bounds_are_of_detectable_copies(few: Audited) -> None:
    out = few.written(detecting(cropped=(20, 20), mirrored=(0, 0)))
    results = results_of(out)
    assert results.searched.stated == results.searched
    assert results.headline.endswith("(no planted copy that is mirrored could be measured).")
    assert "How many copies go undetected was not measured" in boards(out)[3]
    assert "of copies that the audit can detect" in (out / "report.html").read_text()


def test_a_share_that_is_missed_is_bounded_by_the_hardest_kind() -> None:
    assert missed_upper([Detected(180, 200)]) == 1 - clopper_pearson_lower(180, 200, 0.05)
    assert missed_upper([Detected(40, 40), Detected(20, 40)]) == 1 - clopper_pearson_lower(20, 40, 0.05)
    assert missed_upper([Detected(0, 0)]) == missed_upper([]) == missed_upper([Detected(0, 9)]) == 1
