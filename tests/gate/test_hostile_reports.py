"""Reports that somebody made to break the gate, or to get past it: refused in one line, or harmless."""

import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gated import Gate
from reports import Report, audit, dedup, faces, finding, sealed, write

from memaudit.files import digest_of

ALL_RULES = (
    '[gate]\nmax_age_days = 30\nencoders = ["x"]\ntraining_sets = ["x"]\ncalibrations = ["x"]\n'
    "[audit]\nmax_verbatim = 0\nmax_miss_probability = 0.3\nmin_verified_coverage = 0.5\nmin_face_p = 0.01\n"
)


def refused(gate: Gate, path: Path, *words: str) -> None:
    gated = gate(path)
    assert (gated.code, gated.out) == (2, "")
    assert gated.err.startswith("memaudit: ")
    assert gated.err.count("\n") == 1
    assert len(gated.err) < 1000
    assert all(word in gated.err for word in words), gated.err


# --- size and form -------------------------------------------------------------------------------------------------


def test_a_hundred_megabytes_are_refused_unread(gate: Gate, tmp_path: Path) -> None:
    """Before any of it is parsed: at once, and whatever it holds."""
    path = tmp_path / "report.json"
    with path.open("wb") as handle:
        handle.truncate(100 * 2**20)
    start = time.perf_counter()
    refused(gate, path, "larger than 64 MiB")
    assert time.perf_counter() - start < 5


def test_a_device_that_never_ends_is_refused(gate: Gate) -> None:
    """Its size says 0."""
    refused(gate, Path("/dev/zero"), "not a regular file")


def test_a_pipe_that_says_nothing_is_refused(gate: Gate, tmp_path: Path) -> None:
    """Opening it would wait for ever."""
    os.mkfifo(tmp_path / "report.json")
    refused(gate, tmp_path / "report.json", "not a regular file")


LONG: list[tuple[str, Callable[[Report], Any], str]] = [
    ("zeros as findings", lambda r: r.update(findings=[0] * 2_000_000), "findings has 2,000,000 entries"),
    ("fewer zeros as findings", lambda r: r.update(findings=[0] * 190_000), "findings[0]: expected an object"),
    (
        "zeros as reasons",
        lambda r: r["results"].update(reasons=[0] * 900_000),
        "results.reasons[0]: expected a text",
    ),
    (
        "names",
        lambda r: r["results"]["outcomes"].update(found=[""] * 2_000_000),
        "results.outcomes.found has 2,000,000",
    ),
    ("inputs", lambda r: r.update(inputs=dict.fromkeys(map(str, range(1_100_000)), "")), "inputs has 1,100,000"),
]


@pytest.mark.parametrize(("change", "words"), [pytest.param(*each[1:], id=each[0]) for each in LONG])
def test_long_lists_are_refused_at_once(
    gate: Gate, tmp_path: Path, change: Callable[[Report], Any], words: str
) -> None:
    """A few megabytes must not keep a build server busy for minutes."""
    report = audit()
    change(report)
    path = write(tmp_path / "report.json", report)
    start = time.perf_counter()
    refused(gate, path, words)
    assert time.perf_counter() - start < 8


def test_a_key_that_stands_there_twice_is_refused(gate: Gate, tmp_path: Path) -> None:
    """The first value would be what a person reads, and the last what is judged."""
    path = tmp_path / "report.json"
    path.write_text(
        json.dumps(audit()).replace('"threshold": 0.75, "coverage"', '"threshold": 1.0, "threshold": 0.75, "coverage"')
    )
    refused(gate, path, "the key 'threshold' stands there twice")


def test_many_findings_are_read(gate: Gate) -> None:
    """Size alone is no fault: ten thousand findings are gated in seconds."""
    gated = gate(audit(50_000, range(10_000)), "--json")
    assert gated.code == 1
    assert len(gated.json["findings"]) == 10_000


@pytest.mark.parametrize("depth", [100, 400, 900, 1100, 3000, 100_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_deep_nesting_is_refused_or_read(gate: Gate, tmp_path: Path, depth: int, brackets: str) -> None:
    """At whatever depth the parser, the schema or the digest gives up, it is one line."""
    opening = brackets[0] if brackets == "[]" else '{"a":'
    nested = opening * depth + ("1" if brackets == "{}" else "") + brackets[1] * depth
    text = json.dumps(audit()).replace('"headline": "headline"', f'"headline": "headline", "x": {nested}')
    path = tmp_path / "report.json"
    path.write_text(text)
    gc.collect()  # else what earlier tests left is collected where the stack is full, and Python says so
    refused(gate, path)


def test_a_number_with_many_digits_is_refused(gate: Gate, tmp_path: Path) -> None:
    """Python itself refuses to read 5,000 digits."""
    path = tmp_path / "report.json"
    path.write_text(json.dumps(audit()).replace('"measured": 1000', '"measured": ' + "9" * 5000))
    refused(gate, path, "not valid JSON")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["threshold", "similarity", "measured", "excess_p"])
def test_numbers_that_are_none_are_refused(gate: Gate, tmp_path: Path, key: str, number: str) -> None:
    """Wherever they stand: NaN is below no limit and above none."""
    report = audit(found=[1], faces={**faces(3, 1.0, 0.5)})
    text, old = json.dumps(report), f'"{key}": '
    start = text.index(old) + len(old)
    end = start + min(text[start:].index(","), text[start:].index("}"))
    path = tmp_path / "report.json"
    path.write_text(text[:start] + number + text[end:])
    refused(gate, path)


# --- figures -------------------------------------------------------------------------------------------------------

HUGE = 10**400
FIGURES: list[tuple[str, Callable[[Report], Any]]] = [
    ("verified total", lambda r: r["results"]["verified"].update(total=HUGE)),
    ("verified as text", lambda r: r["results"]["verified"].update(total="all")),
    ("verified as truth", lambda r: r["results"]["verified"].update(measured=True)),
    ("verified negative", lambda r: r["results"]["verified"].update(measured=-5)),
    ("verified fractional", lambda r: r["results"]["verified"].update(measured=9.5)),
    ("verified a list", lambda r: r["results"].update(verified=[1, 2])),
    ("verified without total", lambda r: r["results"]["verified"].pop("total")),
    ("faces a text", lambda r: r["results"].update(faces="none")),
    ("faces a list", lambda r: r["results"].update(faces=[])),
    ("faces without a count", lambda r: r["results"]["faces"].pop("matched")),
    ("faces' count huge", lambda r: r["results"]["faces"]["matched"].update(count=HUGE)),
    ("faces' count as text", lambda r: r["results"]["faces"]["matched"].update(count="0")),
    ("faces' p above one", lambda r: r["results"]["faces"].update(excess_p=1.5)),
    ("faces' p negative", lambda r: r["results"]["faces"].update(excess_p=-0.5)),
    ("faces' p as text", lambda r: r["results"]["faces"].update(excess_p="high")),
    ("expected huge", lambda r: r["results"]["faces"].update(expected_false_matches=HUGE)),
    ("expected negative", lambda r: r["results"]["faces"].update(expected_false_matches=-1)),
    ("expected absent", lambda r: r["results"]["faces"].pop("expected_false_matches")),
    ("faces without coverage", lambda r: r["results"]["faces"].pop("coverage")),
    ("searched count huge", lambda r: r["results"]["searched"].update(count=HUGE)),
    ("more found than measured", lambda r: r["results"]["searched"].update(count=5000)),
    ("outcomes a list", lambda r: r["results"].update(outcomes=["gen-0001.png"])),
    ("outcomes' ids as numbers", lambda r: r["results"]["outcomes"].update(found=[1, 2])),
    ("outcomes' total negative", lambda r: r["results"]["outcomes"].update(total=-3)),
    ("a finding without ids", lambda r: r["findings"][0].pop("reference_id")),
    ("a finding as a list", lambda r: r["findings"].append([1])),
    ("encoder without weights", lambda r: r["encoder"].pop("weights_sha256")),
    ("dim of zero", lambda r: r["encoder"].update(dim=0)),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in FIGURES])
def test_a_wrong_figure_is_refused_even_with_its_digest(
    gate: Gate, tmp_path: Path, change: Callable[[Report], Any]
) -> None:
    """Huge numbers, wrong types, missing keys, with all rules on: exit 2, one line, nothing on stdout."""
    whole = {"measured": 9, "total": 9, "share": 1.0}
    report = audit(found=[1], verified=whole, faces=faces(3, 1.0, 0.5))
    change(report)
    gated = gate(sealed(report), policy=ALL_RULES)
    assert (gated.code, gated.out) == (2, "")
    assert gated.err.count("\n") == 1
    assert "report-0.json" in gated.err
    assert len(gated.err) < 1000


@pytest.mark.parametrize("created", ["yesterday", "", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00-23:59", "١٢"])
def test_a_date_that_is_none_is_inconclusive(gate: Gate, created: str) -> None:
    """Neither fresh nor a traceback."""
    gated = gate(sealed({**audit(), "created": created}), "--json", policy="[gate]\nmax_age_days = 30\n")
    assert gated.not_passed() == {"max_age_days": "inconclusive"}


def test_any_part_may_be_of_another_type(gate: Gate) -> None:
    """Every value of a report replaced by each of these: refused, or judged and not passed by mistake."""
    report = audit(found=[1], faces=faces(3, 1.0, 0.5), verified={"measured": 9, "total": 9, "share": 1.0})
    for section in ("results", "encoder", "inputs", "coverage"):
        for key in report[section]:
            for value in (None, [], {}, "x", -1, True, 1e308):
                changed = json.loads(json.dumps(report))
                changed[section][key] = value
                gated = gate(sealed(changed), policy=ALL_RULES)
                assert gated.code in (1, 2, 3), (section, key, value)
                assert "Traceback" not in gated.err


# --- digests -------------------------------------------------------------------------------------------------------

PLACES: list[tuple[str, Callable[[Report], Any], str]] = [
    ("a rate", lambda r: r["results"]["searched"].update(count=0), "at results.searched:"),
    ("a finding", lambda r: r["findings"][1].update(similarity=0.1), "at findings[1]:"),
    ("a finding taken out", lambda r: r["findings"].pop(), "at findings[2]:"),
    ("a finding put in", lambda r: r["findings"].append(finding(9)), "at findings[3]:"),
    ("coverage", lambda r: r["coverage"].update(measured=999), "at coverage:"),
    ("the day", lambda r: r.update(created="2026-01-01T00:00:00+00:00"), "at created:"),
    ("the training set", lambda r: r["inputs"].update(references="s2"), "at inputs:"),
    ("two parts", lambda r: (r.update(threshold=0.5), r["coverage"].update(total=5)), "at threshold, at coverage:"),
    ("a digest of a part", lambda r: r["digests"].update(coverage="0" * 16), "at coverage:"),
    ("the digest", lambda r: r.update(digest="0" * 64), "at digest or digests:"),
    ("every finding", lambda r: r["findings"].reverse() or r["findings"].extend([finding(7)] * 3), "more places"),
]


@pytest.mark.parametrize(("change", "place"), [pytest.param(*each[1:], id=each[0]) for each in PLACES])
def test_a_changed_report_is_exit_2_with_the_place(
    gate: Gate, tmp_path: Path, change: Callable[[Report], Any], place: str
) -> None:
    """Who edited a figure by hand is told which."""
    report = audit(found=[1, 2, 3])
    change(report)
    refused(gate, write(tmp_path / "report.json", report), "was changed after it was written", place)


@pytest.mark.parametrize("kind", [audit, dedup])
def test_every_changed_byte_is_exit_2(gate: Gate, tmp_path: Path, kind: Callable[[], Report]) -> None:
    """One byte anywhere: no JSON, no report, or changed; at a value the place is named."""
    path = write(tmp_path / "report.json", kind())
    data = bytearray(path.read_bytes())
    for position in range(0, len(data), 37):
        if chr(data[position]).isspace():
            continue
        old, data[position] = data[position], ord("7") if data[position] != ord("7") else ord("8")
        path.write_bytes(data)
        refused(gate, path)
        data[position] = old


# --- versions ------------------------------------------------------------------------------------------------------


def first_schema(report: Report) -> Report:
    """As the first version wrote it."""
    content = {key: value for key, value in report.items() if key not in ("digest", "digests")}
    content = {**content, "schema": "urn:memaudit:report:1"}
    return {**content, "digest": digest_of(content)}


def test_reports_of_the_first_schema_are_read(gate: Gate, tmp_path: Path) -> None:
    """Without digests of the parts; a change is found all the same."""
    old = first_schema(audit())
    assert gate(old).code == 0
    old["coverage"]["measured"] = 999
    refused(gate, write(tmp_path / "report.json", old), "was changed after it was written: its digest")


@pytest.mark.parametrize("schema", ["urn:memaudit:report:4", "urn:memaudit:report:0", "report", None, 2, ["x"]])
def test_other_schemas_are_refused_by_name(gate: Gate, tmp_path: Path, schema: Any) -> None:
    """With what this version reads."""
    report = write(tmp_path / "report.json", {**audit(), "schema": schema})
    refused(gate, report, f"has schema {str(schema)!r}", "'urn:memaudit:report:2' and 'urn:memaudit:report:3'")


def test_digests_of_the_parts_may_not_be_left_out(gate: Gate, tmp_path: Path) -> None:
    """Leaving them out is no way to blur the place."""
    content = {key: value for key, value in audit().items() if key not in ("digest", "digests")}
    path = write(tmp_path / "report.json", {**content, "digest": digest_of(content)})
    refused(gate, path, "digests: expected an object, found nothing")


# --- words on stderr -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["\x1b[31m\n::error::x", "##[error]x", "##vso[task.complete]x"])
def test_an_error_message_is_no_command(gate: Gate, tmp_path: Path, text: str) -> None:
    """What is wrong with a report is said in its words, and these reach a build server's log."""
    gated = gate(sealed({**audit(), "kind": text}))
    assert gated.code == 2
    assert "\x1b" not in gated.err
    assert "##[" not in gated.err
    assert "##vso[" not in gated.err
    assert not any(line.startswith("::") for line in gated.err.splitlines())


def test_a_report_with_an_odd_name_is_gated(gate: Gate, tmp_path: Path) -> None:
    """Bytes that are no text, spaces, newlines."""
    path = write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff\n::error::b/report.json")), audit())
    gated = gate(path, "--junit", tmp_path / "j.xml", "--sarif", tmp_path / "s.json", "--markdown", tmp_path / "m.md")
    assert gated.code == 0
    assert not any(line.startswith("::") for line in gated.out.splitlines())
