"""One audit, one dedup and the bundles of them, for all tests here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bundling.evidence import Evidence, write_evidence
from calls import Memaudit


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return write_evidence(tmp_path_factory.mktemp("evidence"))


Refused = Callable[..., str]


@pytest.fixture
def refused(memaudit: Memaudit, tmp_path: Path) -> Refused:
    """Verify these bytes as a bundle, and return what refuses them, a line for each file that is not as it was;
    AssertionError where they are taken."""

    def verify(data: bytes, *options: str | Path) -> str:
        path = tmp_path / "changed.zip"
        path.write_bytes(data)
        done = memaudit("verify", path, *options)
        lines = (done.err + done.out).splitlines()
        assert done.code in (2, 3), done
        assert lines
        assert not [line for line in lines if line.startswith(("verdict: ", "signed ", "not signed"))], lines
        assert not [line for line in lines if "Traceback" in line or "internal error" in line], lines
        return "\n".join(lines)

    return verify
