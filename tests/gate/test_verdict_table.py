"""The gate's table in colour says what the plain one says, and no word of a report is markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated import Gate
from reports import audit, dedup, finding, write

import memaudit as ma
from memaudit.cli.verdict_table import print_table


@pytest.mark.parametrize(("findings", "verdict"), [(0, "pass"), (1, "fail")])
def test_a_table_for_each_report_and_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], findings: int, verdict: str
) -> None:
    for name in ("first", "[bold]second"):
        write(tmp_path / name / "report.json", audit(1000, [finding(number) for number in range(findings)]))
    policy = tmp_path / "memaudit.toml"
    policy.write_text('[gate]\nrequire = ["audit"]\n')
    result = ma.run_gate([tmp_path / "first", tmp_path / "[bold]second"], policy=policy)
    print_table(result, f"{verdict}: it is so", ["a line", "[red]another"])
    printed = capsys.readouterr().out
    assert str(result.verdict) == verdict
    assert printed.startswith(f"{verdict}: it is so\n")
    assert printed.count("max_findings") == 2
    assert "[bold]second" in printed.replace("\n", "")
    assert "a line\n[red]another\n" in printed
    assert printed.rstrip().endswith(f"Verdict: {verdict}")


def test_the_plain_table_fits_100_columns_and_sentences_are_lines(gate: Gate) -> None:
    """However long a figure is: the line below has it whole, and can be searched for in a log."""
    report = audit(1000, range(13), store="x" * 200)
    out = gate(report, dedup(), policy='[gate]\ntraining_sets = ["s2"]\n').out
    table, _, rest = out.partition("\n\n")[2].partition("\nWhy:\n")
    assert max(map(len, table.splitlines())) <= 100
    assert [line for line in rest.splitlines() if line.startswith("  fail max_findings: ")]
    assert [line for line in rest.splitlines() if line.startswith("  pass conclusive: ")]
