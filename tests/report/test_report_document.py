"""report.json as it comes back: sound, or one line that names the place."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vectors import near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted
from memaudit.audit.run import AuditOptions, audit
from memaudit.dedup.run import dedup
from memaudit.errors import InputError
from memaudit.files import canonical, digest_of
from memaudit.gate import Policy, Verdict, judge, verdict_of
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.dedup import write_dedup
from memaudit.report.document import digests_of_parts, inconclusive_report, make_report, read_report, write_report
from memaudit.report.model import Unmeasured
from memaudit.report.parsing import SECOND_SCHEMA
from memaudit.report.schema import report_schema
from memaudit.types import Coverage

Report = dict[str, Any]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """A report of each kind as it was written, with pairs, a control and findings."""
    folder = tmp_path_factory.mktemp("reports")
    training = vector_store(folder / "t", random_vectors(0, 60), prefix="train")
    copies = near(1, random_vectors(0, 60)[:3], 0.3)
    generations = vector_store(folder / "g", np.concatenate([copies, random_vectors(2, 20)]), prefix="gen")
    control = vector_store(folder / "c", random_vectors(3, 110))
    pairing = {"gen-00000": Prompted("train-00000", "a prompt"), "gen-00005": Prompted("train-00009", "")}
    lax = AuditOptions(max_unmeasured=1.0)  # of most generations the pairing says nothing
    result = audit(generations, ExactSearch(training), pairing=pairing, control=control, options=lax)
    write_audit(result, generations, training, folder / "audit")
    doubled = vector_store(folder / "d", near(4, np.repeat(random_vectors(0, 20), 2, axis=0), 0.3))
    write_dedup(dedup(doubled), doubled, folder / "dedup")
    return {kind: read_report(folder / kind / "report.json").content for kind in ("audit", "dedup")}


def sealed(report: Report) -> Report:
    """The report with a digest that fits: a change that only the schema can find."""
    content = {key: value for key, value in report.items() if key != "digest"}
    return {**content, "digest": digest_of(content)}


def written(folder: Path, text: str | Report) -> Path:
    path = folder / "report.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_report(path)
    message = str(caught.value)
    assert "report.json" in message
    assert len(message) < 1000
    return message


def test_schema_is_a_schema() -> None:
    """What ships in the package is valid JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(report_schema())


@pytest.mark.parametrize("kind", ["audit", "dedup"])
def test_what_was_written_reads_back(reports: dict[str, Report], tmp_path: Path, kind: str) -> None:
    """Also after a tool has written the JSON again, with other spaces and another order of keys."""
    report = reports[kind]
    assert read_report(written(tmp_path, json.dumps(report, sort_keys=True, indent=7))).content == report


@pytest.mark.parametrize("kind", ["audit", "dedup"])
def test_the_report_of_a_failed_run_reads_back(tmp_path: Path, kind: str) -> None:
    """A run that could not measure writes a sound report that says so."""
    report = inconclusive_report(kind, "shard 3 is missing")
    write_report(tmp_path / "report.json", report)
    assert read_report(tmp_path / "report.json") == report


@pytest.mark.parametrize("kind", ["audit", "dedup"])
def test_a_changed_byte_is_found(reports: dict[str, Report], tmp_path: Path, kind: str) -> None:
    """Any figure, word or name that was edited by hand breaks the digest."""
    text = json.dumps(reports[kind], ensure_ascii=False)
    places = np.random.default_rng(0).integers(0, len(text), 150)
    changed = 0
    for place in places:
        new = "7" if text[place] != "7" else "8"
        if text[place].isspace():
            continue
        message = refused(written(tmp_path, text[:place] + new + text[place + 1 :]))
        changed += "digest does not fit" in message
    assert changed > 50  # the others are no JSON any more, or break the schema


@pytest.mark.parametrize("kind", ["audit", "dedup"])
def test_other_json_libraries_may_write_it_again(reports: dict[str, Report], kind: str, tmp_path: Path) -> None:
    """JavaScript writes 1.0 as 1, .NET a mark of the byte order, Go sorts the keys: it is the same report."""
    again = written(tmp_path, "\ufeff" + json.dumps(canonical(reports[kind]), sort_keys=True))
    assert read_report(again).content["digest"] == reports[kind]["digest"]


def test_a_digest_of_the_numbers_as_they_stood_is_read(reports: dict[str, Report], tmp_path: Path) -> None:
    """memaudit 0.2 wrote such."""
    written_then = {**reports["audit"], "schema": SECOND_SCHEMA}
    older = sealed({**written_then, "digests": digests_of_parts(written_then)})
    assert older["digest"] != sealed(canonical(older))["digest"]
    assert read_report(written(tmp_path, older)).kind == "audit"


@given(st.recursive(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(), st.lists))
def test_the_canonical_form_is_the_same_value(value: Any) -> None:
    """To every reader that has one kind of number."""
    assert canonical(value) == value
    assert digest_of(canonical(json.loads(json.dumps(canonical(value))))) == digest_of(canonical(value))


def test_a_finding_that_was_removed_is_found(reports: dict[str, Report], tmp_path: Path) -> None:
    """The plainest forgery: delete the finding and pass."""
    report = copy.deepcopy(reports["audit"])
    report["findings"].pop()
    report["results"]["searched"]["count"] -= 1
    assert "was changed after it was written" in refused(written(tmp_path, report))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("null", "expected an object"),
        ("[]", "expected an object"),
        ('"report"', "expected an object"),
        ("{}", "has schema 'None'"),
        ('{"schema": "urn:memaudit:report:4"}', "has schema 'urn:memaudit:report:4'"),
        ('{"schema": ' + "[" * 50 + "]" * 50 + "}", "has schema"),
        ("[" * 100_000 + "]" * 100_000, "not valid JSON"),
        ('{"a": ' * 50_000 + "1" + "}" * 50_000, "not valid JSON"),
        ('{"schema": "' + "x" * 100_000 + '"}', "has schema"),
        ('{"n": ' + "9" * 10_000 + "}", "not valid JSON"),
    ],
)
def test_what_is_no_report_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """Empty, cut, of another kind or version, absurdly nested or long: never a traceback."""
    assert message in refused(written(tmp_path, text))


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x00" * 100, b'{"schema": "\xe9"}'])
def test_bytes_that_are_no_text_are_one_line(tmp_path: Path, data: bytes) -> None:
    """Binary files and other encodings."""
    path = tmp_path / "report.json"
    path.write_bytes(data)
    refused(path)


def test_an_absent_report_and_a_folder_are_one_line(tmp_path: Path) -> None:
    """A gate that is pointed at nothing does not pass."""
    with pytest.raises(InputError, match="does not exist"):
        read_report(tmp_path / "no.json")
    with pytest.raises(InputError, match=r"is a folder: name the report in it, .*report\.json"):
        read_report(tmp_path)


CHANGES: list[tuple[str, Callable[[Report], Any], str]] = [
    ("unknown kind", lambda r: r.update(kind="clean"), "kind"),
    ("no kind", lambda r: r.pop("kind"), "kind: expected a text, found nothing"),
    ("no coverage", lambda r: r.pop("coverage"), "coverage: expected an object, found nothing"),
    ("no findings", lambda r: r.pop("findings"), "findings: expected a list, found nothing"),
    ("findings as a number", lambda r: r.update(findings=0), "findings"),
    ("a finding that is none", lambda r: r["findings"].append("x"), "findings"),
    ("negative coverage", lambda r: r["coverage"].update(measured=-1), "coverage.measured"),
    ("huge coverage", lambda r: r["coverage"].update(measured=10**30), "coverage.measured"),
    ("fractional coverage", lambda r: r["coverage"].update(measured=1.5), "coverage.measured"),
    ("coverage as text", lambda r: r["coverage"].update(total="100"), "coverage.total"),
    ("share above one", lambda r: r["coverage"].update(share=1.01), "coverage.share"),
    ("threshold of zero", lambda r: r.update(threshold=0), "threshold"),
    ("conclusive as text", lambda r: r["results"].update(conclusive="yes"), "results.conclusive"),
    ("no reasons", lambda r: r["results"].pop("reasons"), "results.reasons: expected a list, found nothing"),
    ("encoder as text", lambda r: r.update(encoder="sscd"), "encoder"),
    ("inputs as numbers", lambda r: r["inputs"].update(store=5), "inputs"),
]
AUDIT_CHANGES: list[tuple[str, Callable[[Report], Any], str]] = [
    ("no rate", lambda r: r["results"].pop("searched"), "results.searched: expected an object, found nothing"),
    ("no control", lambda r: r["results"].pop("control"), "results.control: expected an object or null, found nothing"),
    ("count as text", lambda r: r["results"]["searched"].update(count="0"), "results.searched.count"),
    ("upper bound absent", lambda r: r["results"]["searched"].pop("upper"), "results.searched"),
    ("rate above one", lambda r: r["results"]["searched"].update(high=2), "results.searched.high"),
    ("p above one", lambda r: r["results"]["control"].update(relabelling_p=1.5), "results.control"),
    ("similarity of seven", lambda r: r["findings"][0].update(similarity=7), "findings[0].similarity"),
    ("finding without id", lambda r: r["findings"][0].pop("query_id"), "findings[0]"),
]
DEDUP_CHANGES: list[tuple[str, Callable[[Report], Any], str]] = [
    ("no recall", lambda r: r["results"].pop("recall"), "results.recall: expected an object, found nothing"),
    ("recall above one", lambda r: r["results"]["recall"]["by_pair"].update(low=1.1), "results.recall.by_pair.low"),
    ("kept as text", lambda r: r["results"].update(kept="all"), "results.kept"),
]
ALL_CHANGES = (
    [pytest.param(kind, *change[1:], id=f"{kind}: {change[0]}") for kind in ("audit", "dedup") for change in CHANGES]
    + [pytest.param("audit", *change[1:], id=f"audit: {change[0]}") for change in AUDIT_CHANGES]
    + [pytest.param("dedup", *change[1:], id=f"dedup: {change[0]}") for change in DEDUP_CHANGES]
)


@pytest.mark.parametrize(("kind", "change", "place"), ALL_CHANGES)
def test_a_wrong_value_is_named_with_its_place(
    reports: dict[str, Report], tmp_path: Path, kind: str, change: Callable[[Report], Any], place: str
) -> None:
    """Even with a digest that fits, what the gate would read has the right type and range, or is refused."""
    report = copy.deepcopy(reports[kind])
    change(report)
    assert place in refused(written(tmp_path, sealed(report)))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have(reports: dict[str, Report], tmp_path: Path, number: str) -> None:
    """A NaN would be below no limit and above none."""
    text = json.dumps(reports["audit"])
    for old in ('"threshold": 0.8', '"headline": "', '"near_duplicates": 1'):
        assert old in text
    refused(written(tmp_path, text.replace('"threshold": 0.8', f'"threshold": {number}')))
    refused(written(tmp_path, text.replace('"near_duplicates": 1', f'"near_duplicates": {number}')))
    refused(written(tmp_path, text.replace('"headline": "', f'"other": {number}, "headline": "')))


def test_no_report_with_nan_is_written() -> None:
    """Nor does memaudit write one."""
    with pytest.raises(ValueError, match="JSON"):
        make_report(
            "audit",
            inputs={},
            encoder=None,
            threshold=float("nan"),
            coverage=Coverage(0, 0),
            results=Unmeasured(conclusive=False, reasons=[], headline=""),
            findings=[],
        )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["audit", "dedup"]), value=json_values, data=st.data())
def test_any_value_anywhere_is_an_input_error_or_judged(
    reports: dict[str, Report], tmp_path: Path, kind: str, value: Any, data: st.DataObject
) -> None:
    """Whatever stands at whatever place: refused in one line, or read and judged without a traceback."""
    report = copy.deepcopy(reports[kind])
    node: Any = report
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = data.draw(st.sampled_from(list(keys)))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = value
    try:
        path = written(tmp_path, sealed(report))
    except (ValueError, OverflowError):  # NaN has no digest: as it was, with the old one
        path = written(tmp_path, report)
    message = "report.json"
    try:
        assert verdict_of(judge("report.json", read_report(path), Policy())) in set(Verdict)
    except InputError as error:
        message = str(error)
    assert "report.json" in message
