"""Reports of real runs on small real pictures: valid, complete, harmless to open, and small."""

import base64
import hashlib
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from pictures import altered, draw
from PIL import Image
from vectors import families, near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted
from memaudit.audit.run import AuditOptions, audit
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.errors import UsageError
from memaudit.index import ExactSearch
from memaudit.report import tables
from memaudit.report.audit import PICTURED, write_audit
from memaudit.report.cards import STATIC
from memaudit.report.dedup import write_dedup
from memaudit.report.document import read_report
from memaudit.report.page import percent, percent_down, percent_up
from memaudit.report.run_folder import previous_runs, start_run
from memaudit.store import Store
from memaudit.types import Status

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "{{ 7 * 7 }}{% raw %}",
    "line one\nline two\rthree",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "‮gnp.exe </td></title></style><h1>",
    "& &lt;b&gt; 'quoted' \"double\"",
]


class Entry(NamedTuple):
    image_id: str
    picture: Image.Image | bytes
    caption: str = ""


def embedded(folder: Path, name: str, entries: list[Entry]) -> Store:
    """Write the pictures with a manifest of ids and captions, and embed them with the thumbnail encoder."""
    images = folder / name
    images.mkdir(parents=True)
    lines = []
    for number, entry in enumerate(entries):
        path = images / f"{number:03d}.png"
        if isinstance(entry.picture, bytes):
            path.write_bytes(entry.picture)
        else:
            entry.picture.save(path, compress_level=1)
        lines.append(json.dumps({"path": path.name, "id": entry.image_id, "caption": entry.caption}))
    manifest = images / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return embed([manifest], folder / f"{name}-store", load_encoder("thumbnail"), EmbedOptions(shard_rows=8))


BLANK, BROKEN = Image.new("RGB", (40, 30), "white"), b"no picture at all"


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """14 pictures with hostile names and captions, near and exact duplicates, a blank and an unreadable one."""
    entries = [Entry(f"{i} {HOSTILE[i % len(HOSTILE)]}", draw(i), HOSTILE[-i % len(HOSTILE)]) for i in range(14)]
    entries += [Entry(name, altered(draw(seed))) for name, seed in (("near-0", 0), ("near-0 again", 0), ("near-1", 1))]
    entries += [Entry("copy-2", draw(2)), Entry("blank", BLANK), Entry("broken", BROKEN), Entry("blank-2", BLANK)]
    return embedded(tmp_path_factory.mktemp("training"), "training", entries)


class Audited(NamedTuple):
    out: Path
    report: dict[str, Any]
    page: str


@pytest.fixture(scope="module")
def audited(training: Store, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """20 generations: three copies, one not of its prompt's image; a blank and an unreadable one; a control."""
    folder = tmp_path_factory.mktemp("audit")
    pictures = [altered(draw(3)), altered(draw(4)), draw(0), *(draw(100 + i) for i in range(15)), BLANK, BROKEN]
    generations = embedded(folder, "generations", [Entry(f"gen {i}<u>", p) for i, p in enumerate(pictures)])
    control = embedded(folder, "control", [Entry(f"held {i}", draw(300 + i)) for i in range(6)])
    prompts = [HOSTILE[i % len(HOSTILE)] for i in range(20)]
    pairing = {f"gen {i}<u>": Prompted(f"{i % 7} {HOSTILE[i % 7]}", prompts[i]) for i in (0, 1, 2, 5, 18, 19)}
    pairing["gen 1<u>"] = Prompted(f"9 {HOSTILE[2]}", prompts[1])  # gen 1 copies picture 4, and not its prompt's
    pairing["never made"] = Prompted("blank", "")
    result = audit(generations, ExactSearch(training), pairing=pairing, control=control)
    out = folder / "out"
    start_run(out, "audit")
    report = write_audit(result, generations, training, out).content
    return Audited(out, report, (out / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def deduped(training: Store, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    out = tmp_path_factory.mktemp("dedup") / "out"
    start_run(out, "dedup")
    report = write_dedup(dedup(training), training, out).content
    return Audited(out, report, (out / "report.html").read_text(encoding="utf-8"))


def written_file_digest(picture: Image.Image) -> str:
    """The sha256 of a picture's file, as `embedded` writes it."""
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=1)
    return hashlib.sha256(data.getvalue()).hexdigest()


def table(out: Path, name: str) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pq.read_table(out / name).to_pydict()
    return columns


def as_read(report: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(report, allow_nan=False))
    return read


class Page(HTMLParser):
    """Tags, attributes and text of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("script", "style") and data.strip():  # what it holds is text to neither reader nor browser
            self.scripts += [data] if self.lasttag == "script" else []
        else:
            self.text += data


# --- both kinds ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["audited", "deduped"])
def written(request: pytest.FixtureRequest) -> Audited:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_report_is_valid_and_reads_back(written: Audited) -> None:
    """What was written satisfies the schema and its own digest, and is what the caller got."""
    assert read_report(written.out / "report.json").content == as_read(written.report)


def test_hostile_names_captions_and_prompts_are_only_text(written: Audited) -> None:
    """Markup in an id, a caption or a prompt is shown and not run; templates in them are not evaluated."""
    page = Page(written.page)
    assert not page.tags & {"iframe", "object", "embed", "link", "base", "form", "u"}
    name = "audit.js" if written.report["kind"] == "audit" else "dedup.js"
    folder = resources.files("memaudit.report").joinpath("templates")
    ours = "".join(folder.joinpath(each).read_text(encoding="utf-8") for each in ("viewer.js", "pairs.js", name))
    assert [script for script in page.scripts if not script.startswith(('{"beside"', '{"report"'))] == [ours]
    assert len(page.scripts) == written.page.count("<script") == written.page.count("</script")
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "49{%" not in page.text
    assert page.text.count("Regurgitation audit") + page.text.count("Near-duplicates of a training set") == 2


def test_page_holds_no_terminal_escapes(written: Audited) -> None:
    """Who prints the page in a terminal does not have it steered by a caption."""
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", written.page)


def test_page_loads_nothing_from_elsewhere(written: Audited) -> None:
    """One file, usable offline: every picture is in it, and small; links lead to words of the page."""
    page = Page(written.page)
    sources = [value for _, name, value in page.attributes if name in ("src", "srcset", "action")]
    assert sources
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        assert max(Image.open(io.BytesIO(base64.b64decode(data))).size) <= 480
    words = {value for _, name, value in page.attributes if name == "id"}
    links = [value for _, name, value in page.attributes if name == "href"]
    assert {link.removeprefix("#") for link in links} <= words
    assert "http://" not in written.page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in written.page
    assert "url(" not in written.page
    assert "@import" not in written.page


def test_nothing_but_the_files_of_a_run_is_left(written: Audited) -> None:
    """No temporary file stays, and no path of the user's becomes a file name."""
    names = {path.relative_to(written.out).as_posix() for path in written.out.rglob("*") if path.is_file()}
    tables = {"pairs.parquet", "groups.parquet", "decisions.parquet", "skew.parquet", "keep.txt", "drop.txt"}
    if written.report["kind"] == "audit":
        tables = {"matches.parquet", "scores.parquet"}
    thumbnails = {name for name in names if name.startswith("thumbnails/")}
    assert names - thumbnails == tables | {"report.json", "report.html", ".memaudit-run"}
    assert thumbnails


def test_report_json_survives_json(written: Audited) -> None:
    """Every figure is a plain JSON value: no NaN, no numpy number, also in what --json prints."""
    assert as_read(as_read(written.report)) == as_read(written.report)


# --- audit ---------------------------------------------------------------------------------------------------------


def test_audit_findings_are_worst_first_and_complete(audited: Audited) -> None:
    """Three copies: each generation once, with its training image, prompt, and whether it is the prompt's own."""
    findings = audited.report["findings"]
    assert [finding["similarity"] for finding in findings] == sorted((f["similarity"] for f in findings), reverse=True)
    found = {finding["query_id"]: finding for finding in findings}
    assert set(found) == {"gen 0<u>", "gen 1<u>", "gen 2<u>"}
    assert found["gen 1<u>"]["reference_id"].startswith("4 ")
    assert not found["gen 1<u>"]["is_prompts_image"]
    assert found["gen 2<u>"]["near_duplicates"] == 3
    assert found["gen 0<u>"]["prompt"] == HOSTILE[0]
    assert all(finding["query_picture"] and finding["reference_picture"] for finding in findings)
    copied = written_file_digest(draw(0))
    assert found["gen 2<u>"]["query_sha256"] == found["gen 2<u>"]["reference_sha256"] == copied
    assert found["gen 0<u>"]["query_sha256"] not in (found["gen 0<u>"]["reference_sha256"], copied)


def test_audit_figures_agree_with_each_other(audited: Audited) -> None:
    """Counts in the results, the tables, and the findings are the same; what was missing lowers the coverage."""
    report, results = audited.report, audited.report["results"]
    assert results["searched"]["count"] == len(report["findings"]) == 3
    assert (report["coverage"]["measured"], report["coverage"]["total"]) == (18, 20)
    assert results["missing"] == 1
    assert not results["conclusive"]
    assert results["headline"].startswith("Inconclusive:")
    assert "Found all the same: 3" in results["headline"]
    assert (results["references"]["measured"], results["references"]["total"]) == (18, 19)
    assert sum(band["findings"] for band in results["by_near_duplicates"]) == 3
    assert results["control"]["relabelling_p"] is None
    assert results["control"]["why_no_p"].startswith("6 usable")


def test_scores_have_every_generation_once(audited: Audited) -> None:
    """Found, unreadable, blank, and the one that was never made: each has a line with its status."""
    scores = table(audited.out, "scores.parquet")
    assert sorted(scores["query_id"]) == sorted([f"gen {i}<u>" for i in range(20)] + ["never made"])
    status = dict(zip(scores["query_id"], scores["status"], strict=True))
    assert status["gen 18<u>"] == "blank"
    assert status["gen 19<u>"] == "unreadable"
    assert status["never made"] == "missing"
    assert sum(count > 0 for count in scores["matches"]) == 3


def test_matches_name_both_sides_by_id(audited: Audited) -> None:
    """Trap "results by position": every match has the ids of the two images, and its rank."""
    matches = table(audited.out, "matches.parquet")
    by_query = [r for q, r in zip(matches["query_id"], matches["reference_id"], strict=True) if q == "gen 2<u>"]
    assert set(by_query) == {f"0 {HOSTILE[0]}", "near-0", "near-0 again"}
    assert {"view", "kind", "verified", "similarity", "rank"} <= set(matches)
    assert all(matches["verified"])  # these are copies of files that are there


def test_audit_without_findings(training: Store, tmp_path: Path) -> None:
    """A clean audit has an empty list, tables with their columns, and a page that says "None"."""
    generations = embedded(tmp_path, "g", [Entry(f"gen-{i}", draw(500 + i)) for i in range(12)])
    result = audit(generations, ExactSearch(training), options=AuditOptions(max_unmeasured=0.1))
    report = write_audit(result, generations, training, tmp_path / "out").content
    assert report["findings"] == []
    weak, _, found = report["results"]["headline"].partition(" None of 12 generations")
    assert weak == (
        "Weaker than a default audit: whole generations alone were searched, no parts of them; "
        "only 18 of 19 training images were measured."
    )
    assert "at most" in found
    assert read_report(tmp_path / "out" / "report.json").content == as_read(report)
    assert table(tmp_path / "out", "matches.parquet")["query_id"] == []
    assert pq.read_schema(tmp_path / "out" / "matches.parquet").field("query_id").type == "string"


def test_a_picture_is_of_the_file_that_was_embedded(tmp_path: Path) -> None:
    """Where that went away the page says that the run kept no picture; where another one, or what is none, is in its
    place a picture says that the file changed. The hash decides, and never another picture is shown."""
    training = embedded(tmp_path, "t", [Entry(f"t{i}", draw(i)) for i in range(6)])
    generations = embedded(tmp_path, "g", [Entry(f"g{i}", altered(draw(i))) for i in range(3)])
    (tmp_path / "t" / "001.png").unlink()
    (tmp_path / "t" / "002.png").write_bytes(BROKEN)
    draw(77).save(tmp_path / "t" / "000.png")
    report = write_audit(audit(generations, ExactSearch(training)), generations, training, tmp_path / "out").content
    pictures = {finding["query_id"]: finding["reference_picture"] for finding in report["findings"]}
    changed = "thumbnails/file-changed.png"
    assert pictures == {"g0": changed, "g1": None, "g2": changed}
    assert Image.open(tmp_path / "out" / changed).size == (160, 160)
    assert {finding["query_picture"] for finding in report["findings"]}.isdisjoint({None, changed})
    static, _, template = (tmp_path / "out" / "report.html").read_text().partition("<template")
    assert template
    assert Page(static).text.count("picture not available: the run kept none") == 1


def test_ten_thousand_findings_do_not_blow_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are in report.json and matches.parquet; only the first have thumbnails and are on the page."""
    from memaudit.report import audit as module

    monkeypatch.setattr(module, "PICTURED", 20)
    picture = tmp_path / "one.png"
    draw(0).save(picture)
    training = random_vectors(0, 500)
    references = vector_store(tmp_path / "t", training, uris=[str(picture)] * 500, shard_rows=1024)
    generated = near(1, np.tile(training, (20, 1)), 0.3)
    generations = vector_store(tmp_path / "g", generated, prefix="gen", uris=[str(picture)] * 10_000, shard_rows=10_000)
    report = write_audit(audit(generations, ExactSearch(references)), generations, references, tmp_path / "out").content
    assert len(report["findings"]) == 10_000
    assert len(list((tmp_path / "out" / "thumbnails").iterdir())) <= 40
    assert sum(finding["query_picture"] is not None for finding in report["findings"]) == 20
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('<article class="match') == STATIC + 1  # and the empty one that the script fills
    assert "10,000" in Page(page).text
    data = json.loads(Page(page).scripts[0])
    assert len(data["rows"]) == 10_000
    assert len(page) < 4_000_000
    assert (PICTURED, STATIC) == (1000, 60)
    assert len(table(tmp_path / "out", "matches.parquet")["query_id"]) >= 10_000


# --- dedup ---------------------------------------------------------------------------------------------------------


def test_decisions_have_every_image_once(deduped: Audited, training: Store) -> None:
    """keep + drop + unreadable = all, in the table, in the lists and in the report; names are whole."""
    decisions = table(deduped.out, "decisions.parquet")
    assert decisions["image_id"] == training.all_columns().image_id.tolist()
    count = {kind: decisions["decision"].count(kind) for kind in ("keep", "drop", "unreadable")}
    assert sum(count.values()) == len(training) == 21
    results = deduped.report["results"]
    assert (results["kept"], results["dropped"], results["unreadable"]) == tuple(count.values())
    assert results["images"] == 21
    assert (results["exact_duplicates"], results["near_duplicates"]) == (3, 2)
    assert results["exact_duplicates"] + results["near_duplicates"] == results["dropped"]


def test_it_is_said_why_an_image_stays_rather_than_another(deduped: Audited) -> None:
    """In the table for every image, in the report for the groups: how many were decided on pixels, and how not."""
    decisions, cleanness = table(deduped.out, "decisions.parquet"), deduped.report["results"]["cleanness"]
    assert deduped.report["results"]["keep_rule"] == "cleanest"
    assert cleanness["groups"] + cleanness["without_pixels"] == deduped.report["results"]["groups"]
    scores = dict(zip(decisions["image_id"], decisions["keep_score"], strict=True))
    assert sum(not math.isnan(score) for score in scores.values()) == cleanness["read"] > 0
    for decision, behind in zip(decisions["decision"], decisions["behind"], strict=True):
        assert decision == "drop" or behind == ""
    told = {member["image_id"]: member["behind"] for group in deduped.report["findings"] for member in group["members"]}
    said = dict(zip(decisions["image_id"], decisions["behind"], strict=True))
    assert told == {image_id: said[image_id] for image_id in told}


def test_every_dropped_image_names_a_kept_witness(deduped: Audited) -> None:
    """The table alone proves it: the witness is an image_id whose own decision is keep, at or above the threshold."""
    decisions = table(deduped.out, "decisions.parquet")
    outcome = dict(zip(decisions["image_id"], decisions["decision"], strict=True))
    columns = ("decision", "witness_id", "witness_similarity", "reason")
    for decision, witness, similarity, reason in zip(*(decisions[name] for name in columns), strict=True):
        if decision == "drop":
            assert outcome[witness] == "keep"
            assert similarity >= np.float32(deduped.report["threshold"])
            assert reason in ("exact duplicate", "near-duplicate")
        else:
            assert witness is None


def lines(path: Path) -> list[str]:
    """keep.txt and drop.txt: one entry a line; line breaks that an older store has in an image_id are escaped."""
    return path.read_bytes().decode().split("\n")[:-1]


def test_keep_and_drop_lists_hold_each_image_once(deduped: Audited) -> None:
    """A name with a newline is still one line, so that no other image is deleted for it."""
    decisions = table(deduped.out, "decisions.parquet")
    for name in ("keep", "drop"):
        expected = [i for i, d in zip(decisions["image_id"], decisions["decision"], strict=True) if d == name]
        assert lines(deduped.out / f"{name}.txt") == [i.replace("\r", r"\r").replace("\n", r"\n") for i in expected]


def test_groups_and_pairs_agree_with_the_decisions(deduped: Audited) -> None:
    """A group is a kept image and those dropped for it; each pair stands once with its similarity."""
    decisions, groups = table(deduped.out, "decisions.parquet"), table(deduped.out, "groups.parquet")
    members: dict[int, list[str]] = {}
    for number, image_id in zip(groups["group"], groups["image_id"], strict=True):
        members.setdefault(number, []).append(image_id)
    outcome = dict(zip(decisions["image_id"], decisions["decision"], strict=True))
    assert len(members) == deduped.report["results"]["groups"] == 4
    for ids in members.values():
        assert len(ids) > 1
        assert [outcome[i] for i in ids].count("keep") == 1
    pairs = table(deduped.out, "pairs.parquet")
    assert len({frozenset(pair) for pair in zip(pairs["left_id"], pairs["right_id"], strict=True)}) == len(
        pairs["exact"]
    )
    assert sum(pairs["exact"]) == deduped.report["results"]["exact_duplicates"]
    assert all(s >= np.float32(deduped.report["threshold"]) for s in pairs["similarity"])


def test_dedup_without_pairs(tmp_path: Path) -> None:
    """Nothing to drop: empty tables with their columns, no recall of nothing, and a headline that says so."""
    store = vector_store(tmp_path / "s", random_vectors(0, 30))
    report = write_dedup(dedup(store), store, tmp_path / "out").content
    assert report["results"]["headline"].startswith("No duplicates of similarity 0.8 and more among 30 images.")
    assert read_report(tmp_path / "out" / "report.json").content == as_read(report)
    assert table(tmp_path / "out", "pairs.parquet")["left_id"] == []
    assert pq.read_schema(tmp_path / "out" / "pairs.parquet").field("left_id").type == "string"
    assert (tmp_path / "out" / "drop.txt").read_text() == ""
    assert set(table(tmp_path / "out", "decisions.parquet")["witness_id"]) == {None}


@pytest.mark.parametrize("threshold", [1.0, 0.999999])
def test_a_threshold_of_one_can_be_reported(tmp_path: Path, threshold: float) -> None:
    """The histogram from the threshold to 1 has no width then, and the page must stand all the same."""
    store = vector_store(tmp_path / "s", np.repeat(random_vectors(0, 5), 2, axis=0), threshold=threshold)
    write_dedup(dedup(store), store, tmp_path / "out")
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()


def test_a_sampled_run_states_its_recall(tmp_path: Path) -> None:
    """The headline and the page carry the recall of this very run, and that it is a sample."""
    store = vector_store(tmp_path / "s", families(0, [1] * 200 + [3] * 40))
    result = dedup(store, DedupOptions(clusters=30, probes=1, recall_sample=150))
    report = write_dedup(result, store, tmp_path / "out").content
    assert not report["results"]["recall"]["census"]
    assert re.search(r"This run found [\d.]+\s%.*from 150 images checked against all", report["results"]["headline"])
    assert report["results"]["recall"]["by_pair"]["low"] < report["results"]["recall"]["by_pair"]["value"] <= 1
    page = Page((tmp_path / "out" / "report.html").read_text()).text
    assert "150 distinct images were compared exactly with all others" in " ".join(page.split())


def test_large_groups_are_cut_on_the_page_only(tmp_path: Path) -> None:
    """A family of 400 shows its kept image and a few others; groups.parquet has all."""
    store = vector_store(tmp_path / "s", families(0, [400, 1, 2], noise=0.15))
    report = write_dedup(dedup(store), store, tmp_path / "out").content
    assert report["findings"][0]["size"] == 400
    assert len(report["findings"][0]["members"]) == 12
    assert report["findings"][0]["members"][0]["decision"] == "keep"
    assert len(table(tmp_path / "out", "groups.parquet")["image_id"]) == 402


def test_pairs_near_the_threshold_are_drawn_from_the_band_by_the_seed(tmp_path: Path) -> None:
    """50 of the pairs just above the threshold, other ones with another seed, never an exact duplicate."""
    vectors = families(0, [40] * 4, noise=0.48)
    store = vector_store(tmp_path / "s", np.concatenate([vectors, vectors[:5]]))
    shown = []
    for seed in (0, 0, 1):
        report = write_dedup(dedup(store, DedupOptions(seed=seed)), store, tmp_path / "out").content
        near_pairs = report["results"]["near_threshold"]
        assert near_pairs["pairs_in_band"] > len(near_pairs["pairs"]) == 50
        values = [pair["similarity"] for pair in near_pairs["pairs"]]
        assert values == sorted(values)
        assert 0.8 <= values[0] <= values[-1] <= near_pairs["high"] == pytest.approx(0.82)
        shown.append([tuple(side["image_id"] for side in pair["sides"]) for pair in near_pairs["pairs"]])
    assert shown[0] == shown[1] != shown[2]


def test_few_pairs_near_the_threshold_are_all_shown(tmp_path: Path) -> None:
    """With fewer than 50 in the band the nearest above the threshold are shown, whatever their similarity."""
    store = vector_store(tmp_path / "s", families(0, [2] * 6, noise=0.1))
    near_pairs = write_dedup(dedup(store), store, tmp_path / "out").content["results"]["near_threshold"]
    assert (near_pairs["pairs_in_band"], len(near_pairs["pairs"])) == (0, 6)


def test_the_page_says_what_the_removal_does(tmp_path: Path) -> None:
    """Words in a table with their ratio and interval, hostile ones as text; and each clustering's pairs."""
    captions = ["<b>clock</b> 7*7" if i < 60 else "a cat" for i in range(160)]
    vectors = np.concatenate([families(0, [2] * 30, noise=0.1), random_vectors(5, 100)])
    store = vector_store(tmp_path / "s", vectors, captions=captions)
    result = dedup(store, DedupOptions(clusters=4, clusterings=3, probes=4))
    report = write_dedup(result, store, tmp_path / "out").content
    rows = {row["value"]: row for row in report["results"]["skew"]["rows"]}
    assert rows["clock"]["share_before"] == pytest.approx(60 / 160)
    assert rows["clock"]["share_after"] == pytest.approx(30 / 130)
    assert report["results"]["skew"]["note"] == "the store holds no metadata"
    page = Page((tmp_path / "out" / "report.html").read_text())
    text = " ".join(page.text.split())
    assert "clock" in text
    assert "Note: the store holds no metadata." in text
    assert "new pairs" in text
    assert "Union of 3 clusterings" in text
    assert table(tmp_path / "out", "skew.parquet")["value"] == result.removal.skew.value.tolist()


def test_the_largest_group_and_its_smallest_similarity(tmp_path: Path) -> None:
    """In the report as in groups.parquet and on the page."""
    store = vector_store(tmp_path / "s", families(0, [9, 3, 1], noise=0.3))
    report = write_dedup(dedup(store), store, tmp_path / "out").content
    results, groups = report["results"], table(tmp_path / "out", "groups.parquet")
    largest = report["findings"][0]
    assert results["largest_group"] == largest["size"]
    assert results["largest_group_smallest_similarity"] == largest["smallest_similarity"] >= 0.8
    own = [i for i, number in enumerate(groups["group"]) if number == largest["group"]]
    assert round(min(groups["similarity"][i] for i in own), 4) == largest["smallest_similarity"]
    assert {round(groups["group_smallest_similarity"][i], 4) for i in own} == {largest["smallest_similarity"]}
    assert f"{largest['smallest_similarity']:.3f}" in (tmp_path / "out" / "report.html").read_text()


def test_a_table_is_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long, with ids looked up part by part; empty ones keep their types."""
    monkeypatch.setattr(tables, "_GROUP_ROWS", 3)
    names, rows = tables.as_text(["a", "b"]), np.array([0, 1, 1, 0, 1, 0, 0])
    tables.write_table(tmp_path / "t.parquet", {"id": tables.Ids(names, rows), "n": np.arange(7), "s": list("tuvwxyz")})
    assert table(tmp_path, "t.parquet") == {"id": list("abbabaa"), "n": list(range(7)), "s": list("tuvwxyz")}
    tables.write_table(tmp_path / "e.parquet", {"id": tables.Ids(names, rows[:0]), "n": np.empty(0, np.float32)})
    assert [str(field.type) for field in pq.read_schema(tmp_path / "e.parquet")] == ["string", "float"]


Writer = Callable[[Path], dict[str, Any]]


def test_a_new_run_removes_the_old_report_first(tmp_path: Path) -> None:
    """Should it die in the middle, no stale report passes for the new run's; the old one is put aside."""
    store = vector_store(tmp_path / "s", families(0, [3, 1], noise=0.1))
    start_run(tmp_path / "out", "dedup")
    write_dedup(dedup(store), store, tmp_path / "out")
    (tmp_path / "out" / "thumbnails").mkdir(exist_ok=True)
    (tmp_path / "out" / "thumbnails" / "image-0.jpg").write_bytes(b"old")
    start_run(tmp_path / "out", "dedup")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".memaudit-run", "previous-runs"}
    assert [path.name for path in previous_runs(tmp_path / "out")[0].glob("report.*n")] == ["report.json"]


@pytest.mark.parametrize("name", ["keep.txt", "drop.txt", "report.json", "scores.parquet"])
def test_files_that_no_run_wrote_are_not_removed(tmp_path: Path, name: str) -> None:
    """Somebody's own keep.txt, or the files of a run of another kind: the run is refused and they stay."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"holds {name}, which no memaudit dedup wrote there: choose another --out"):
        start_run(tmp_path, "dedup")
    (tmp_path / ".memaudit-run").write_text("audit\n")
    with pytest.raises(UsageError):
        start_run(tmp_path, "dedup")
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("share", "plain", "up", "down"),
    [
        (0, "0", "0", "0"),
        (1, "100", "100", "100"),
        (0.009936, "0.99", "1.00", "0.99"),
        (0.98951, "99.0", "99.0", "98.9"),
        (0.12345, "12.3", "12.4", "12.3"),
        (0.9999999, "99.9999", "99.9999", "99.9999"),
        (5.99e-5, "0.0060", "0.0060", "0.0059"),
    ],
)
def test_printed_bounds_are_still_bounds(share: float, plain: str, up: str, down: str) -> None:
    """Upper bounds are rounded up and lower ones down; nothing but 0 prints as 0, nothing but 1 as 100."""
    printed = [text.removesuffix("\N{NO-BREAK SPACE}%") for text in map_percent(share)]
    assert printed == [plain, up, down]


def map_percent(share: float) -> tuple[str, str, str]:
    return percent(share), percent_up(share), percent_down(share)


def test_blank_and_unreadable_rows_reach_the_tables(tmp_path: Path) -> None:
    """Trap "a shard that is missing was skipped": nothing leaves the set without a line that says why."""
    statuses = [Status.OK, Status.BLANK, Status.UNREADABLE, Status.OK]
    store = vector_store(tmp_path / "s", random_vectors(0, 4), statuses=statuses)
    result = dedup(store)
    write_dedup(replace(result, keep_rule="first"), store, tmp_path / "out")
    decisions = table(tmp_path / "out", "decisions.parquet")
    assert decisions["reason"] == ["no near-duplicate", "blank: not compared", "unreadable", "no near-duplicate"]
    assert decisions["group"] == [0, 1, -1, 2]
