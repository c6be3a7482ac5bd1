"""An encoder's own threshold is memaudit's, and not what a report says of it."""

from dataclasses import replace
from typing import Any

import pytest
from gated import Gate
from reports import SSCD, Report, audit, dedup, sealed

from memaudit.encoders import list_encoders, sface, sscd, thumbnail
from memaudit.gate.thresholds import own_threshold

ANY = "[audit]\ncopy_detection = false\n[dedup]\ncopy_detection = false\n"


def test_the_table_is_that_of_the_catalogue() -> None:
    """Every encoder that can be loaded, by the names that its stores carry, and no other."""
    rows = {row.name.partition(":")[0].partition("[")[0]: row.threshold for row in list_encoders()}
    assert len(rows) == 8
    assert {name: own_threshold(name) for name in rows} == rows
    for spec in (sscd.SPEC, thumbnail.SPEC, sface.SPEC):
        assert own_threshold(spec.name) == spec.threshold
    assert own_threshold("open_clip:ViT-B-32/laion2b") == 0.94
    assert own_threshold("mine") is None


@pytest.mark.parametrize("kind", [audit, dedup])
@pytest.mark.parametrize(
    ("name", "threshold", "policy", "blamed"),
    [
        ("sscd", 1.0, "", {"threshold": "inconclusive"}),
        ("sscd", 0.75, "", {}),
        ("mine", 1.0, ANY, {"threshold": "inconclusive"}),
        ("mine", 0.5, ANY, {"threshold": "inconclusive"}),
        ("mine", 0.5, "", {"threshold": "inconclusive", "copy_detection": "inconclusive"}),
        ("mine", 0.5, ANY.replace("\n[", "\nmax_threshold = 0.5\n[") + "max_threshold = 0.5\n", {}),
        ("sscd-torchscript", 0.75, ANY, {}),
        ("open_clip:ViT-B-32/laion2b", 0.95, ANY, {"threshold": "inconclusive"}),
    ],
)
def test_what_the_report_says_of_its_encoder_is_no_limit(
    gate: Gate, kind: Any, name: str, threshold: float, policy: str, blamed: dict[str, str]
) -> None:
    """`import --threshold 1.0` writes 1.0 into the store: neither its audit nor its dedup run passes by that."""
    report: Report = kind()
    report["encoder"] = replace(SSCD, name=name, threshold=1.0).as_dict()
    report["threshold"] = threshold
    gated = gate(sealed(report), "--json", policy=policy + "[gate]\nrequire = []\n")
    assert gated.not_passed() == blamed


@pytest.mark.parametrize("threshold", [0, -0.5, 1.5, "0.75"])
def test_an_encoder_has_a_threshold_that_can_be(gate: Gate, threshold: Any) -> None:
    """Above 0, at most 1: anything else is no report."""
    report = audit()
    report["encoder"]["threshold"] = threshold
    gated = gate(sealed(report))
    assert (gated.code, gated.out) == (2, "")
