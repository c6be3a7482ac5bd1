"""The fixture of the claims' tests."""

from __future__ import annotations

import pytest
from claimed import Project, make_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("claims"))
