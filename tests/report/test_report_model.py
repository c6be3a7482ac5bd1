"""The model of a report: newer fields are kept, earlier schemas upgraded; schema and docs say what the model says."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from vectors import near, random_vectors, vector_store

from memaudit.audit.run import audit
from memaudit.dedup.run import dedup
from memaudit.errors import InputError
from memaudit.files import digest_of
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.dedup import write_dedup
from memaudit.report.document import digests_of_parts, inconclusive_report, read_report, write_report
from memaudit.report.model import AuditResults, FaceAuditResults, ImageMatch, Report, Unmeasured
from memaudit.report.parsing import report_of, saying_what_it_is_about, without_digests_of_parts
from memaudit.report.schema import report_reference, report_schema

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "report.md"
Content = dict[str, Any]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Content]:
    """report.json of each kind, as the files hold it."""
    folder = tmp_path_factory.mktemp("model")
    training = vector_store(folder / "t", random_vectors(0, 40), prefix="train")
    generations = vector_store(folder / "g", near(1, random_vectors(0, 40)[:6], 0.3), prefix="gen")
    control = vector_store(folder / "c", random_vectors(3, 110))
    write_audit(audit(generations, ExactSearch(training), control=control), generations, training, folder / "audit")
    doubled = vector_store(folder / "d", near(4, np.repeat(random_vectors(0, 20), 2, axis=0), 0.3))
    write_dedup(dedup(doubled), doubled, folder / "dedup")
    write_report(folder / "nothing" / "report.json", inconclusive_report("audit", "a shard is missing"))
    return {kind: json.loads((folder / kind / "report.json").read_text()) for kind in ("audit", "dedup", "nothing")}


def sealed(content: Content) -> Content:
    """With digests that fit."""
    content = {key: value for key, value in content.items() if key not in ("digest", "digests")}
    content["digests"] = digests_of_parts(content)
    return {**content, "digest": digest_of(content)}


def read(folder: Path, content: Content) -> Report:
    path = folder / "report.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_report(path)


NEWER: list[Callable[[Content], Any]] = [
    lambda r: r.update(claims={"of": ["a newer version"]}),
    lambda r: r["encoder"].update(trained_on="everything"),
    lambda r: r["coverage"].update(skipped=3),
    lambda r: r["results"].update(rights={"count": 0}),
    lambda r: r["results"]["control"]["matched"].update(bayes=[0.1, 0.2]),
    lambda r: r["findings"][0].update(box=[0, 0, 1, 1]),
]


@pytest.mark.parametrize("change", NEWER)
def test_what_a_newer_version_added_is_kept(
    contents: dict[str, Content], tmp_path: Path, change: Callable[[Content], Any]
) -> None:
    """It is read, is part of the digest, and is there again when the report is written."""
    newer = copy.deepcopy(contents["audit"])
    change(newer)
    newer = sealed(newer)
    report = read(tmp_path, newer)
    write_report(tmp_path / "again.json", report)
    assert json.loads((tmp_path / "again.json").read_text()) == newer
    change(newer)
    newer["results"]["headline"] += "."
    with pytest.raises(InputError, match=r"was changed after it was written, at results\.headline"):
        read(tmp_path, newer)


def test_a_view_of_training_images_that_is_not_known_is_no_mere_addition(contents: dict[str, Content]) -> None:
    """Audits that searched different views are not compared, and what is not known cannot be told apart."""
    newer = copy.deepcopy(contents["audit"])
    newer["results"]["reference_views"] = {"whole": "a" * 64, "quarters": "b" * 64}
    with pytest.raises(InputError, match=r"results\.reference_views\.quarters: expected no such field"):
        report_of(newer, "r.json")


def test_what_is_written_is_what_the_model_says(contents: dict[str, Content]) -> None:
    """The typed results and findings become the very JSON that they were read from, key by key."""
    for content in contents.values():
        report = report_of(content, "r.json")
        assert msgspec.to_builtins(report.results) == content["results"]
        assert list(msgspec.to_builtins(report.results)) == list(content["results"])
        assert msgspec.to_builtins(report.findings) == content["findings"]
    assert isinstance(report_of(contents["nothing"], "r.json").results, Unmeasured)


def test_the_first_schema_has_no_digests_of_parts(contents: dict[str, Content], tmp_path: Path) -> None:
    """It is read by its upgrade, and stays as it was written."""
    first = {key: value for key, value in contents["audit"].items() if key not in ("digest", "digests")}
    first = {**first, "schema": "urn:memaudit:report:1"}
    first["digest"] = digest_of(first)
    assert without_digests_of_parts(first)["digests"] == {}
    report = read(tmp_path, first)
    assert (report.content, report.head.digests) == (first, {})
    assert report.results == report_of(contents["audit"], "r.json").results


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(inputs={"generated faces": "a", "training faces": "b"}),
        lambda r: r["encoder"].update(name="sface"),
        lambda r: r["results"].update(about="faces"),
    ],
)
def test_earlier_audits_of_faces_alone_are_told_from_those_of_images(
    contents: dict[str, Content], change: Callable[[Content], Any]
) -> None:
    """By their inputs, or by their encoder, where they do not say so."""
    content = copy.deepcopy(contents["audit"])
    assert saying_what_it_is_about(content) == content
    content["results"].update(paired=None, control=None)
    change(content)
    assert isinstance(report_of(content, "r.json").results, FaceAuditResults)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["results"]["searched"].update(n=-3), "results.searched.n: expected a whole number >= 0, found -3"),
        (lambda r: r["results"]["searched"].pop("n"), "results.searched.n: expected a whole number, found nothing"),
        (lambda r: r["results"].update(control=[1]), "results.control: expected an object or null, found a list of 1"),
        (lambda r: r["findings"][2].update(similarity=7), "findings[2].similarity: expected a number <= 1, found 7"),
        (lambda r: r["inputs"].update({"a\nb": 3}), 'inputs["a\\nb"]: expected a text, found 3'),
        (lambda r: r["coverage"].update(total=True), "coverage.total: expected a whole number, found true"),
        (
            lambda r: r.update(kind="clean"),
            'kind: expected "audit" or "dedup" or "extraction" or "filter" or "reweight", found "clean"',
        ),
        (lambda r: r.update(digest="x"), "digest: expected a text like ^[0-9a-f]{64}$, found"),
        (lambda r: r["results"]["kinds"].update(x="y"), "results.kinds.x: expected a whole number, found"),
    ],
)
def test_a_fault_is_one_line_with_its_place(
    contents: dict[str, Content], change: Callable[[Content], Any], message: str
) -> None:
    """What was expected there, and what was found."""
    content = copy.deepcopy(contents["audit"])
    change(content)
    with pytest.raises(InputError) as caught:
        report_of(content, "r.json")
    assert str(caught.value).startswith(f"r.json is no valid report: {message}")
    assert "\n" not in str(caught.value)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from _places(part, (*path, key))


@pytest.mark.parametrize("kind", ["audit", "dedup", "nothing"])
def test_the_json_schema_and_the_model_refuse_the_same(contents: dict[str, Content], kind: str) -> None:
    """Every place with values of other types, and without: what one reads the other does."""
    schema = jsonschema.Draft202012Validator(report_schema())
    schema.check_schema(report_schema())
    rng = random.Random(0)
    refused = 0
    for path in rng.sample(places := list(_places(contents[kind])), min(250, len(places))):
        content = copy.deepcopy(contents[kind])
        node: Any = content
        for key in path[:-1]:
            node = node[key]
        value = rng.choice([None, -1, 0.5, 7, "x", True, [], {}, [0], {"a": 0}, "absent"])
        if value == "absent" and isinstance(node, dict):
            del node[path[-1]]
        else:
            node[path[-1]] = value
        if path == ("schema",) or saying_what_it_is_about(content) is not content:
            continue
        try:
            report_of(content, "r.json")
            read = True
        except InputError:
            read = False
        assert schema.is_valid(content) == read, (path, value)
        refused += not read
    assert refused >= min(100, len(places) // 3)


def test_the_docs_name_every_field() -> None:
    """docs/reference/report.md is what the model says: python -m memaudit.report.schema --reference > it."""
    assert DOCS.read_text(encoding="utf-8") == f"{report_reference()}\n"
    for part in (AuditResults, ImageMatch):
        assert all(f"| `{name}` |" in report_reference() for name in part.__struct_fields__)
    assert "|  |" not in report_reference()  # every field has a meaning
