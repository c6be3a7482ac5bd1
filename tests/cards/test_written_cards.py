"""Cards: read by those who ask for them, with the reports' own figures; what is not known is left to the provider."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from pictures import altered, draw

import memaudit as ma
from memaudit.cards.escaping import escaped
from memaudit.cards.figures import figures_of
from memaudit.cards.given import TO_FILL, ExportFacts, Given
from memaudit.cards.rai import with_rai
from memaudit.cli.app import run
from memaudit.errors import EmptyInputError, InputError, UsageError
from memaudit.report.model import ShareRow

EXPORT = ExportFacts({"conformsTo": "http://mlcommons.org/croissant/1.0"}, {})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with addresses, a dedup run, an export, an audit with prompts, and a run of weights."""
    place = tmp_path_factory.mktemp("cards")
    lines, pairing = ["image_id,path,caption,url"], ["query_id,reference_id,prompt,seed"]
    for folder in ("training", "generations"):
        (place / folder).mkdir()
    for number in range(12):
        picture = draw(number) if number else altered(draw(1))
        picture.save(place / "training" / f"{number}.png")
        host = "www.a.example" if number < 8 else "b.example" if number < 10 else ""
        url = f"https://{host}/{number}.png" if host else ""
        lines.append(f"{number}.png,training/{number}.png,picture {number},{url}")
        draw(100 + number).save(place / "generations" / f"g{number}.png")
        pairing.append(f"g{number}.png,{number}.png,picture {number},1")
    (place / "training.csv").write_text("\n".join(lines))
    (place / "pairing.csv").write_text("\n".join(pairing))
    ma.embed(place / "training.csv", out=place / "store", encoder="thumbnail")
    ma.run_dedup(place / "store", out=place / "dedup")
    ma.export(place / "dedup", place / "kept", to="parquet")
    audit = {"pairing": place / "pairing.csv", "model": "our-model | 1", "planted": 4}
    ma.run_audit(place / "generations", place / "store", out=place / "audit", **audit)
    ma.run_reweight(place / "store", place / "dedup", out=place / "weights", clusters=0)
    return place


def written(made: Path, to: str, *names: str, **named: str) -> ma.Card:
    return ma.write_card([made / name for name in names], made / f"{to}.card", to=to, **named)


def test_hugging_face_reads_the_head_of_a_model_card(made: Path) -> None:
    """A round trip through its metadata: every figure of the reports, with interval and denominator."""
    hub = pytest.importorskip("huggingface_hub")
    data = pytest.importorskip("huggingface_hub.repocard_data")
    card = written(made, "model-index", "audit", "dedup", training_set="ours")
    head = yaml.safe_load(card.text.split("---\n")[1])
    name, results = data.model_index_to_eval_results(head["model-index"])
    assert name == "our-model | 1"
    assert data.eval_results_to_model_index(name, results) == head["model-index"]
    loaded = hub.ModelCard(card.text)
    assert len(loaded.data.eval_results) == len(results)
    reports = [ma.open_report(made / run).report for run in ("audit", "dedup")]
    figures = [figure for report in reports for figure in figures_of(report)]
    assert [(each.metric_type, each.metric_value) for each in results] == [(f.name, f.value) for f in figures]
    for each, figure in zip(results, figures, strict=True):
        assert each.metric_args.get("low") == figure.low
        assert each.metric_args.get("n") == figure.n
        assert each.dataset_name == "ours"
    assert {"prompt-regurgitation-rate", "regurgitation-rate", "dedup-recall-by-pair"} <= {f.name for f in figures}


def test_the_table_of_a_model_card_is_a_table(made: Path) -> None:
    text = written(made, "model-index", "dedup", model="a\n| b <script>").text
    rows = [line for line in text.partition("## ")[2].splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}
    assert "<script>" not in text.partition("## ")[2]
    assert escaped("a\n| b <script>") == "a \\| b \\<script\\>"


def test_cyclonedx_is_valid_by_its_schema(made: Path) -> None:
    schema = pytest.importorskip("cyclonedx.schema")
    validation = pytest.importorskip("cyclonedx.validation.json")
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    for names in (("audit", "dedup", "store", "kept", "weights"), ("dedup",), ("store",)):
        card = written(made, "cyclonedx", *names)
        assert validator.validate_str(card.text) is None
        assert written(made, "cyclonedx", *names).text == card.text
    assert validator.validate_str(card.text.replace('"machine-learning-model"', '"model"')) is not None
    bom = json.loads(written(made, "cyclonedx", "audit", "store").text)
    model = bom["metadata"]["component"]
    assert model["name"] == "our-model | 1"
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": bom["components"][0]["bom-ref"]}]
    metrics = {each["type"]: each for each in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    rate = ma.open_report(made / "audit").report.results.searched
    assert float(metrics["regurgitation-rate"]["value"]) == rate.value
    assert float(metrics["regurgitation-rate"]["confidenceInterval"]["upperBound"]) == rate.stated.high


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_croissant_is_read_with_its_responsible_fields(made: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    out = made / "kept" / "croissant-rai.json"
    card = ma.write_card([made / name for name in ("kept", "dedup", "weights")], out, to="croissant")
    described = mlcroissant.Dataset(jsonld=str(out))
    assert described.metadata.ctx.issues.errors == set()
    assert len(list(described.records("samples"))) == 11
    dedup = ma.open_report(made / "dedup")
    assert any(dedup.headline in each for each in json.loads(card.text)["rai:dataPreprocessingProtocol"])
    assert "how the images were collected" in card.to_fill
    assert ma.verify(made / "kept").sound
    with pytest.raises(UsageError, match="describes an export, and 0 were given"):
        written(made, "croissant", "dedup")


def test_a_cluster_is_called_by_its_number(made: Path) -> None:
    """Where no image near its middle has a caption its name has an image_id, which may be that of a person."""
    shares = {"share_before": 0.2, "share_after": 0.1, "share_weighted": 0.2, "low": 0.1, "high": 0.3}
    ratios = {"ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.6, "difference": 0.1, "difference_weighted": 0.0}
    counts = {"before": 20, "after": 10, "families": 20, "restored": True, "q": 0.001}
    names = {"cluster": "7: people/jane-doe.png", "word": "violin"}
    rows = [ShareRow(feature=each, value=name, **shares, **ratios, **counts) for each, name in names.items()]
    report = ma.open_report(made / "weights").report
    report = msgspec.structs.replace(report, results=msgspec.structs.replace(report.results, rows=rows))
    (words, clusters) = sorted(with_rai(Given((report,), exports=(EXPORT,)))["rai:dataBiases"], reverse=True)
    assert "of word 'violin', before" in words
    assert "of cluster 7, before" in clusters


ART53 = ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.3"]


@pytest.mark.parametrize(("to", "numbers"), [("art53", ART53), ("ab2013", [f"({n})" for n in range(1, 13)])])
def test_a_disclosure_has_each_section_and_says_what_is_left(made: Path, to: str, numbers: list[str]) -> None:
    card = written(made, to, "store", "dedup", "audit")
    assert re.findall(r"^## (\S+) ", card.text, re.MULTILINE)[:-1] == numbers
    sections = card.text.split("\n## ")[1:-1]
    assert all(TO_FILL in section or section.startswith("3.3") for section in sections)
    assert "12 images, of which 0 could not be read" in card.text
    assert "names 2 hosts for 10 images, and none for 2" in card.text
    assert "\n- a.example: 8\n" in card.text
    assert ma.open_report(made / "dedup").report.digest in card.text


def test_what_nothing_says_is_left_to_the_provider(made: Path) -> None:
    card = written(made, "art53", "dedup")
    assert "Modality that was measured: image." in card.text
    assert card.to_fill[0] == "name and contact details, and those of an authorised representative"
    assert "name of the model" in written(made, "cyclonedx", "dedup").to_fill


def test_an_inconclusive_run_says_so_on_every_card(made: Path) -> None:
    """Weights of eleven images cannot be relied on."""
    for to in ("model-index", "cyclonedx", "art53", "ab2013"):
        card = written(made, to, "weights", "dedup")
        assert "inconclusive" in card.text
        assert any("inconclusive" in each for each in card.warnings)
        reasons = ma.open_report(made / "weights").report.results.reasons
        assert not any(reason in card.text for reason in reasons), "a reason may name places of whoever ran it"


@pytest.mark.parametrize(
    ("sources", "options", "kind", "message"),
    [
        (["audit"], {"to": "pdf"}, UsageError, "unknown --to 'pdf': expected one of model-index"),
        ([], {"to": "art53"}, EmptyInputError, "a card is made from something"),
        (["training.csv"], {"to": "art53"}, InputError, "training.csv"),
        (["nowhere"], {"to": "art53"}, InputError, "nowhere"),
        (
            ["audit"],
            {"to": "cyclonedx", "model": "our-model 2"},
            UsageError,
            "an audit among the sources is of 'our-model",
        ),
    ],
)
def test_what_is_no_source_is_one_line(
    made: Path, sources: list[str], options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        ma.write_card([made / name for name in sources], made / "x.card", **options)
    assert "\n" not in str(caught.value)


def test_a_card_is_not_written_over_what_it_is_made_from(made: Path) -> None:
    """The report of an audit was gone. A card in the folder of an export, which is one of its files, may be."""
    for source, name in (("audit", "report.json"), ("store", "store.json"), ("kept", "croissant.json")):
        place, other = made / source / name, [made / "audit", made / "store", made / "kept"]
        before = place.read_bytes()
        with pytest.raises(UsageError, match="is what the card is made from: name another file"):
            ma.write_card(other, place, to="art53")
        with pytest.raises(UsageError, match="is what the card is made from: name another file"):
            ma.write_card([made / "audit" / "report.json"], made / "audit" / "report.json", to="art53")
        assert place.read_bytes() == before


def test_the_command_says_what_is_left(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = made / "command.md"
    arguments = ["card", str(made / "store"), str(made / "dedup"), "--to", "ab2013", "--out", str(out), "--json"]
    assert run(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["out"] == str(out)
    assert "which of these" in said["to_fill"]
