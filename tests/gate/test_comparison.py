"""Two audits held against each other: McNemar where the generations are the same, else Fisher, and what is new."""

from datetime import date
from typing import Any

import pytest
from gated import Gate
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import OTHER, Report, audit, dedup, face_audit, finding, held, sealed, typed

from memaudit.gate import Accepted, Audited, AuditPolicy, BaselinePolicy, Comparison, Policy, Verdict
from memaudit.gate import compare as compare_audits
from memaudit.gate.comparison import FISHER, MCNEMAR, caveat, of_other_versions
from memaudit.gate.comparison import obstacle as obstacle_between
from memaudit.report.inconclusive import inconclusive_report
from memaudit.statistics import mcnemar_p, rise_p

FAR = date(2999, 1, 1)
EASY = Policy(AuditPolicy(max_findings=10**6, max_rate=1.0))
ORDER = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}


def compare(old: Report, new: Report) -> Comparison:
    return compare_audits(Audited(typed(old)), Audited(typed(new)))


def obstacle(old: Report, new: Report) -> str:
    return obstacle_between(typed(old), typed(new))


def test_the_same_prompts_are_paired() -> None:
    """Only generations that match in one of the two tell anything."""
    found = compare(audit(500, [1, 2, 3]), audit(500, [2, 3, 4, 5, 6]))
    assert (found.test, found.n, found.gained, found.lost) == (MCNEMAR, 500, 3, 1)
    assert (found.p_rise, found.p_fall) == (mcnemar_p(3, 1), mcnemar_p(1, 3))
    assert [pair.query_id for pair in found.gained_matches] == [f"gen-{i:04d}.png" for i in (4, 5, 6)]
    assert [pair.query_id for pair in found.lost_matches] == ["gen-0001.png"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({"prompts": "others"}, {}, "the prompts, seeds or names of the generations differ"),
        ({}, {"prompts": None}, "not both audits know the prompts"),
        ({"outcomes": None}, {}, "not both reports hold the outcomes"),
        ({}, {"n": 600}, "the prompts, seeds or names of the generations differ"),
    ],
)
def test_other_generations_are_not_paired(old: dict[str, Any], new: dict[str, Any], why: str) -> None:
    """Fisher's test on the two rates, and the reason is given."""
    found = compare(audit(**{"n": 500, **old}), audit(**{"n": 500, "found": [1, 2], **new}))
    assert (found.test, found.n) == (FISHER, None)
    assert why in found.why
    assert found.p_rise == rise_p(2, new.get("n", 500), 0, 500)


def test_outcomes_that_do_not_add_up_are_not_used() -> None:
    """A report whose single outcomes say less than its rate does not get the more powerful test."""
    report = audit(500, [1, 2])
    report["results"]["outcomes"]["found"].pop()
    assert "do not add up" in compare(audit(500), report).why


def leave_out(report: Report, *numbers: int) -> None:
    outcomes = report["results"]["outcomes"]
    outcomes["left_out"] = [f"gen-{number:04d}.png" for number in numbers]
    outcomes["by_prompt"]["left_out"] = [*numbers]


def test_generations_left_out_on_either_side_count_on_neither() -> None:
    """One that could be measured in one run only is no change."""
    old, new = audit(500, [1, 2]), audit(500, [2, 3])
    leave_out(new, 1)
    leave_out(old, 3, 9)
    found = compare(old, new)
    assert (found.n, found.gained, found.lost) == (497, 0, 0)


def test_without_pairs_new_means_a_training_image_that_did_not_come_back_before() -> None:
    """Names of generations mean nothing across prompts; training images do."""
    old = audit(500, [finding("a", "clock"), finding("b", "map")], prompts="others")
    new = audit(500, [finding("x", "clock"), finding("y", "stamp")])
    found = compare(old, new)
    assert [tuple(pair) for pair in found.gained_matches] == [("y", "stamp")]
    assert [tuple(pair) for pair in found.lost_matches] == [("b", "map")]


def test_other_versions_are_told(gate: Gate) -> None:
    """Forty-six findings by 0.2 and 33 by 0.3, of the same pictures, stood side by side as if a model had improved."""
    new = audit()
    earlier = sealed({**audit(days_old=9), "memaudit": "0.3.0"})
    assert of_other_versions(typed(new), typed(new)) == ""
    assert "memaudit 0.3.0 made the earlier report" in of_other_versions(typed(earlier), typed(new))
    told = {rule["rule"]: rule for rule in gate(new, "--json", baseline=earlier).json["rules"]}
    assert told["max_rise"]["outcome"] == "pass"
    assert "what changed may be the tool" in told["max_rise"]["sentence"]


def test_what_cannot_be_compared_is_named() -> None:
    """Another encoder or threshold measures something else."""
    assert "encoders differ: thumbnail" in obstacle(audit(encoder=OTHER), audit())
    assert "thresholds differ: 0.8 and 0.75" in obstacle(audit(threshold=0.8), audit())
    assert "the later report is one of dedup" in obstacle(audit(), dedup())
    assert obstacle(audit(), audit(store="s2")) == ""
    assert "different training sets, s1 and s2" in caveat(typed(audit()), typed(audit(store="s2")))
    assert caveat(typed(audit()), typed(audit(days_old=3))) == ""
    assert "decided on pixels" in obstacle(audit(), audit(verified=None))
    assert "different views" in obstacle(audit(views=["tiles"]), audit())
    counted = audit(counted_kinds=["partial", "re-drawn"])
    assert "kinds of matches, verbatim, template, near-duplicate, partial and partial" in obstacle(audit(), counted)
    assert obstacle(audit(), audit(counted_kinds=["near-duplicate", "partial", "template", "verbatim"])) == ""
    effort = audit()["results"]["effort"]
    assert "different similarities on, 0.3 and 0.6" in obstacle(audit(), audit(effort={**effort, "match_from": 0.6}))
    closer, closest = (audit(effort={**effort, "nearest_from": low}) for low in (0.2, 0.15))
    assert "compared the nearest training images below" in obstacle(closest, closer)
    assert "compared the nearest training images below" in obstacle(closest, audit())
    assert obstacle(audit(), closest) == obstacle(closer, closest) == obstacle(closest, closest) == ""
    silent = audit()
    silent["results"].pop("effort")
    assert "does not say from which similarity" in obstacle(silent, audit())
    assert obstacle(silent, silent) == ""
    same = {key: audit()[key] for key in ("encoder", "threshold")}
    assert "an audit of faces alone" in obstacle(audit(), {**face_audit(0, 1.0, 1.0), **same})
    assert obstacle(face_audit(0, 1.0, 1.0), face_audit(2, 1.0, 1.0)) == ""
    people = face_audit(2, 1.0, 1.0)
    people["results"]["faces"]["people"] = 900
    assert "one of them counted faces and the other people" in obstacle(face_audit(0, 1.0, 1.0), sealed(people))
    assert obstacle(audit(verified=None), audit(days_old=3, verified=None)) == ""


WHOLE = {"whole": "1" * 64}
TILES = {**WHOLE, "tiles": "2" * 64}
ALL = {**TILES, "details": "3" * 64}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (ALL, TILES, "different views of the training images, whole, tiles, details and whole, tiles"),
        (WHOLE, TILES, "different views of the training images"),
        (ALL, {**ALL, "details": None}, "different views of the training images"),
        (None, TILES, "does not say whether tiles and details"),
        (WHOLE, None, "does not say whether tiles and details"),
    ],
)
def test_what_was_searched_of_the_training_images_must_be_the_same(
    gate: Gate, old: dict[str, Any] | None, new: dict[str, Any] | None, why: str
) -> None:
    """Details that went missing make findings go away: that is no progress of the model."""
    before, after = (audit(5000, reference_views=views) if views else audit(5000) for views in (old, new))
    assert why in obstacle(before, after)
    after["created"] = before["created"]
    gated = gate(after, "--json", baseline=audit(5000, [1, 2], reference_views=old) if old else audit(5000, [1, 2]))
    assert gated.not_passed() == {"max_rise": "inconclusive"}


def test_the_same_views_of_training_images_are_comparable_whatever_their_digests() -> None:
    """Tiles embedded again are tiles; and reports of before say nothing on either side."""
    again = {**ALL, "details": "4" * 64}
    assert obstacle(audit(reference_views=ALL), audit(reference_views=again)) == ""
    assert obstacle(audit(reference_views=TILES), audit(reference_views={**TILES, "details": None})) == ""


def test_a_report_is_no_baseline_of_itself(gate: Gate) -> None:
    """A job that copies the report over the baseline would pass for ever."""
    report = audit(5000)
    gated = gate(report, "--json", baseline=report)
    assert gated.not_passed() == {"max_rise": "inconclusive"}


def test_new_matches_are_listed_by_id(gate: Gate) -> None:
    """In the text and in JSON, accepted ones not among them."""
    accepted = (
        '[[accepted]]\nquery_id = "gen-0003.png"\nreference_id = "train-gen-0003.png"\n'
        'who = "A"\nwhy = "b"\nuntil = 2999-01-01\n'
    )
    gated = gate(audit(5000, [1, 2, 3]), "--json", baseline=audit(5000, [1]), accepted=accepted)
    assert [match["query_id"] for match in gated.json["new_matches"]] == ["gen-0002.png"]
    (sentence,) = [rule["sentence"] for rule in gated.json["rules"] if rule["rule"] == "max_rise"]
    assert "1 match that did not, 0 no longer do (McNemar's exact p = 0.5)" in sentence
    assert "New since the baseline: 1\n  gen-0002.png -> " in gate(audit(5000, [1, 2]), baseline=audit(5000, [1])).out


def test_an_accepted_match_of_the_baseline_does_not_buy_a_new_one() -> None:
    """What was accepted counts on neither side."""
    policy = Policy(AuditPolicy(max_findings=10**6, max_rate=1.0), baseline=BaselinePolicy(0.01, 0.95))

    accepted = [Accepted(f"train-gen-{i:04d}.png", f"gen-{i:04d}.png", None, "A", "b", FAR) for i in range(60)]
    old, new = audit(2000, range(60)), audit(2000, range(60, 120))
    assert held([("a", new)], policy, baseline=old).verdict is not Verdict.FAIL
    assert held([("a", new)], policy, baseline=old, accepted=accepted).verdict is Verdict.FAIL


counts = st.integers(0, 12)


@settings(max_examples=150, deadline=None)
@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.integers(0, 30), st.booleans(), st.floats(0, 0.1))
def test_a_finding_more_never_improves_the_verdict(
    old: set[int], new: set[int], more: int, same: bool, margin: float
) -> None:
    """Against a baseline, paired or not, and whatever the margin."""
    policy = Policy(EASY.audit, baseline=BaselinePolicy(max_rise=margin))
    baseline = audit(200, sorted(old), prompts="same" if same else "others", days_old=1)
    before, after = (
        held([("a", audit(200, sorted(found)))], policy, baseline=baseline).verdict for found in (new, new | {more})
    )
    assert ORDER[after] >= ORDER[before]


@settings(max_examples=150, deadline=None)
@given(counts, counts, st.integers(20, 3000), st.integers(1, 2000), st.floats(0.001, 0.1))
def test_measuring_fewer_never_leads_to_a_pass(old: int, new: int, n: int, fewer: int, margin: float) -> None:
    """Fewer generations on the new side never make a rise that could not be excluded excluded."""
    policy = Policy(EASY.audit, baseline=BaselinePolicy(max_rise=margin))
    baseline = audit(3000, range(old), prompts="others")
    less = max(new, 1, n - fewer)
    before, after = (
        held([("a", audit(m, range(new)))], policy, baseline=baseline).verdict for m in (max(n, less), less)
    )
    if before is not Verdict.PASS:
        assert after is not Verdict.PASS


def test_audits_without_a_measure_or_a_training_set_are_not_compared() -> None:
    """Each says which of the two it is."""
    sound, unmeasured = typed(audit(1000)), inconclusive_report("audit", "there was nothing to read")
    assert obstacle_between(unmeasured, sound) == "the earlier audit measured nothing"
    assert obstacle_between(sound, unmeasured) == "the later audit measured nothing"
    with pytest.raises(ValueError, match="nothing was measured"):
        _ = Audited(unmeasured).results
    nameless = typed({**audit(1000), "inputs": {}})
    assert obstacle_between(sound, nameless) == "not both reports say which training set they are about"


def test_what_a_pair_is_by_now_is_told() -> None:
    """The same pair of another kind, or no longer confirmed; one that is as it was is not told."""
    before = [finding("g", "r"), finding("h", "r", kind="verbatim", verified=True), finding("i", "r")]
    after = [finding("g", "r", kind="verbatim", verified=True), finding("h", "r", kind="verbatim"), finding("i", "r")]
    for prompts in ("p", "q"):
        found = compare(audit(1000, before), audit(1000, after, prompts=prompts))
        assert {(each.query_id, each.before, each.after) for each in found.changed_matches} == {
            ("g", "near-duplicate, by embeddings", "verbatim"),
            ("h", "verbatim", "verbatim, by embeddings"),
        }


@pytest.mark.parametrize(
    ("allowed", "outcome", "words"),
    [
        (None, Verdict.INCONCLUSIVE, "or name that of the baseline in training_sets of [baseline]"),
        (("s1",), Verdict.INCONCLUSIVE, "different training sets, s0 and s1"),
        (("s0",), Verdict.PASS, "But they are about different training sets, s0 and s1"),
    ],
)
def test_a_baseline_of_another_training_set_is_allowed_by_name(
    allowed: tuple[str, ...] | None, outcome: Verdict, words: str
) -> None:
    policy = Policy(EASY.audit, baseline=BaselinePolicy(training_sets=allowed))
    result = held([("a", audit(3000))], policy, baseline=audit(3000, store="s0"))
    (rule,) = [rule for rule in result.rules if rule.rule == "max_rise"]
    assert (rule.outcome, words in rule.sentence) == (outcome, True), rule.sentence
