"""Whatever the policy: finding more never helps, and neither does measuring less."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from reports import Report, audit, faces, finding, held

from memaudit.gate import AuditPolicy, BaselinePolicy, Policy, Verdict
from memaudit.matching.kinds import ALL
from memaudit.types import Coverage

ORDER = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}
KINDS = st.sampled_from(["verbatim", "near-duplicate", "partial", "template", "face"])
SHARES = st.none() | st.floats(0, 1)
policies = st.builds(
    Policy,
    st.builds(
        AuditPolicy,
        max_findings=st.integers(0, 9),
        max_rate=st.floats(0, 1),
        confidence=st.floats(0.5, 0.999),
        min_coverage=st.floats(0, 1),
        min_controls=st.integers(0, 300),
        kinds=st.sets(st.sampled_from(ALL), min_size=1).map(tuple),
        max_verbatim=st.integers(0, 4),
        max_template=st.integers(0, 4),
        max_partial=st.none() | st.integers(0, 4),
        min_verified_coverage=st.floats(0, 1),
        max_blank=st.floats(0, 1),
        max_unpaired=st.floats(0, 1),
        min_face_p=SHARES,
    ),
    baseline=st.builds(BaselinePolicy, st.floats(0, 0.2), st.floats(0.5, 0.999)),
)
copies = st.builds(lambda kind, verified: {"kind": kind, "verified": verified}, KINDS, st.booleans())


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of an audit's report."""
    total = draw(st.integers(20, 3000))
    looked = draw(st.integers(0, 50))
    verified = draw(st.none() | st.integers(0, looked))
    return {
        "n": draw(st.integers(10, total)),
        "total": total,
        "found": draw(st.lists(copies, max_size=8)),
        "verified": None if verified is None else Coverage(verified, looked).as_dict(),
        "faces": draw(st.none() | st.builds(faces, st.integers(0, 9), st.floats(0, 9), SHARES, st.integers(9, 1000))),
        "controls": draw(st.none() | st.integers(0, 300)),
        "references": (draw(st.integers(0, 100)), 100),
    }


def report_of(run: dict[str, Any]) -> Report:
    found = [finding(number, **copy) for number, copy in enumerate(run["found"])]
    looked = {} if run["faces"] is None else {"faces": run["faces"]}
    return audit(**{key: value for key, value in run.items() if key not in ("found", "faces")}, found=found, **looked)


def verdict(run: dict[str, Any], policy: Policy, baseline: Report | None) -> Verdict:
    return held([("report.json", report_of(run))], policy, baseline=baseline).verdict


baselines = st.none() | st.builds(lambda n, found: audit(n, range(found)), st.integers(10, 3000), st.integers(0, 8))


@settings(max_examples=150, deadline=None)
@given(runs(), policies, baselines, copies)
def test_a_finding_more_never_turns_fail_into_pass(
    run: dict[str, Any], policy: Policy, baseline: Report | None, more: dict[str, Any]
) -> None:
    """Nor inconclusive into pass, nor fail into inconclusive; of whatever kind, confirmed or not."""
    worse = {**run, "found": [*run["found"], more]}
    assert ORDER[verdict(worse, policy, baseline)] >= ORDER[verdict(run, policy, baseline)]


@settings(max_examples=200, deadline=None)
@given(runs(), policies, baselines, st.data())
def test_lower_coverage_never_turns_inconclusive_into_pass(
    run: dict[str, Any], policy: Policy, baseline: Report | None, data: st.DataObject
) -> None:
    """Of generations, training images, controls, candidates compared on pixels, or faces."""
    less = dict(run)
    what = data.draw(st.sampled_from(["n", "references", "controls", "verified", "faces", "no faces", "not verified"]))
    if what == "n":
        less["n"] = data.draw(st.integers(len(run["found"]), run["n"]))
    elif what == "references":
        less["references"] = (data.draw(st.integers(0, run["references"][0])), 100)
    elif what == "controls" and run["controls"]:
        less["controls"] = data.draw(st.none() | st.integers(0, run["controls"]))
    elif what == "verified" and run["verified"] and run["verified"]["measured"]:
        less["verified"] = {**run["verified"], "measured": run["verified"]["measured"] - 1}
    elif what == "faces" and run["faces"]:
        covered = run["faces"]["coverage"]
        less["faces"] = {**run["faces"], "coverage": {**covered, "measured": covered["measured"] // 2}}
    elif what.startswith("no"):
        less["faces" if what == "no faces" else "verified"] = None
    if verdict(run, policy, baseline) is not Verdict.PASS:
        assert verdict(less, policy, baseline) is not Verdict.PASS


@settings(max_examples=100, deadline=None)
@given(runs(), policies, baselines)
def test_a_rule_less_never_does_harm(run: dict[str, Any], policy: Policy, baseline: Report | None) -> None:
    """Leaving out the baseline, or an optional rule, makes no verdict worse."""
    strict = ORDER[verdict(run, policy, baseline)]
    rules = {
        **vars(policy.audit),
        "max_verbatim": 99,
        "max_template": 99,
        "min_verified_coverage": 0.0,
        "min_face_p": None,
    }
    assert ORDER[verdict(run, Policy(AuditPolicy(**rules)), None)] <= strict
