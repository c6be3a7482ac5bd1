"""The gate's command line, called in this process on reports that are written for the call."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated import Gate, Gated
from reports import Report, write

from memaudit.cli.app import run


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Gate:
    """gate(report, ..., "--json", policy="[audit]...", baseline=report, accepted="[[accepted]]..."): files and call."""

    def call(
        *given: Report | str | Path, policy: str = "", baseline: Report | None = None, accepted: str = ""
    ) -> Gated:
        arguments = [
            str(write(tmp_path / f"report-{number}.json", each)) if isinstance(each, dict) else str(each)
            for number, each in enumerate(given)
        ]
        for option, text in (("policy", policy), ("accepted", accepted)):
            if text:
                (tmp_path / f"{option}.toml").write_text(text, encoding="utf-8")
                arguments += [f"--{option}", str(tmp_path / f"{option}.toml")]
        if baseline:
            arguments += ["--baseline", str(write(tmp_path / "baseline.json", baseline))]
        capsys.readouterr()
        code = run(["gate", *arguments])
        return Gated(code, *capsys.readouterr())

    return call
