"""The audit's page: every finding is in it, it can be filtered and sorted, and it runs no script but its own."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from msgspec import convert
from pictures import altered, draw
from vectors import near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted
from memaudit.audit.results import AuditResult
from memaudit.audit.run import AuditOptions, audit
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.cards import card
from memaudit.report.document import read_report
from memaudit.report.model import ImageMatch, WhyBand, rate_of
from memaudit.report.page import highest
from memaudit.types import Coverage, Rate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = [
    "<script>document.title='taken'</script>",
    "</script><img src=x onerror=\"document.title='taken'\">",
    "</template><h1>taken</h1>",
    "<!-- <script>",
    "{{ 7 * 7 }} \u2028 & 'quoted'",
]


class Written(NamedTuple):
    out: Path
    report: dict[str, Any]
    page: str
    result: AuditResult


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """250 findings with hostile ids, prompts and captions, a pairing, a control, metrics."""
    folder = tmp_path_factory.mktemp("page")
    for seed in range(5):
        draw(seed).save(folder / f"{seed}.png")
        altered(draw(seed)).save(folder / f"a{seed}.png")
    training = random_vectors(0, 125)
    references = vector_store(
        folder / "t",
        training,
        ids=[f"{HOSTILE[i % 5]} {i}" for i in range(125)],
        captions=[HOSTILE[-i % 5] for i in range(125)],
        uris=["https://u:c0@example.org/first.png?sig=c0", *(str(folder / f"{i % 5}.png") for i in range(1, 125))],
        simplicity=[i / 125 for i in range(125)],
        shard_rows=512,
    )
    vectors = np.concatenate([near(1, np.tile(training, (2, 1)), 0.3), random_vectors(3, 50)])
    generations = vector_store(
        folder / "g", vectors, prefix="gen", uris=[str(folder / f"a{i % 5}.png") for i in range(300)], shard_rows=512
    )
    control = vector_store(folder / "c", random_vectors(4, 150), shard_rows=512)
    pairing = {
        f"gen-{i:05d}": Prompted(f"{HOSTILE[i % 5]} {i % 125}", f"{HOSTILE[i % 5]} number {i}", str(i))
        for i in range(0, 300, 2)
    }
    options = AuditOptions(metrics=True)
    result = audit(generations, ExactSearch(references), pairing=pairing, control=control, options=options)
    report = write_audit(result, generations, references, folder / "out").content
    return Written(folder / "out", report, (folder / "out" / "report.html").read_text(encoding="utf-8"), result)


def data_of(page: str) -> list[dict[str, Any]]:
    text = re.findall(r'<script type="application/json" id="findings-data">(.*?)</script>', page, re.DOTALL)
    assert len(text) == 1
    data = json.loads(text[0])
    empty = ["", False]  # as the script does
    rows = [[*row, *empty[len(row) - len(data["fields"]) :][: len(data["fields"]) - len(row)]] for row in data["rows"]]
    cards = [dict(zip(data["fields"], row, strict=True)) for row in rows]
    for number, each in enumerate(cards):
        each["group"] = each["group"] or each["reference_id"]
        each["together"] = cards[number - 1]["together"] if each["together"] == "=" else each["together"]
    return cards


def test_every_finding_is_in_the_page(written: Written) -> None:
    """All 250, in the words that the page shows, hostile strings as they were given; those of a training image, each
    of which came back twice, stand together, the most similar first."""
    cards = data_of(written.page)
    findings = {finding["query_id"]: finding for finding in written.report["findings"]}
    assert len(cards) == len(findings) == 250
    for shown in cards:
        finding = findings[shown["query_id"]]
        together = f"2 of them repeat the training image {finding['reference_id']}:"
        assert shown == {**card(convert(finding, ImageMatch))._asdict(), "together": together}
        assert shown["reference_id"] == finding["reference_id"]
    images = [shown["reference_id"] for shown in cards]
    assert images[::2] == images[1::2]
    assert [shown["similarity"] for shown in cards[::2]] == sorted(
        (shown["similarity"] for shown in cards[::2]), reverse=True
    )
    prompts = {shown["prompt"] for shown in cards}
    assert "Prompt “</template><h1>taken</h1> number 2”, seed 2." in prompts
    assert "" in prompts  # those without a pairing


def test_the_only_script_that_may_run_is_ours(written: Written) -> None:
    """The policy names it by its digest, and nothing may be loaded: pictures are in the page."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', written.page)
    assert policy
    scripts = re.findall(r"<script>(.*?)</script>", written.page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy[1].replace("&#39;", "'")
    assert policy[1].replace("&#39;", "'").startswith("default-src 'none'; img-src data:; style-src")
    assert "innerHTML" not in scripts[0]
    assert not re.search(
        r"\son\w+=", re.sub(r"<script.*?</script>", "", written.page, flags=re.DOTALL).split("<main>")[0]
    )


def test_findings_carry_what_an_auditor_asks_for(written: Written) -> None:
    """Ratio, simplicity, p and q, seed; the address of a training image only where it is a URL."""
    finding = next(f for f in written.report["findings"] if f["query_id"] == "gen-00002")
    assert finding["seed"] == "2"
    assert 0 < finding["neighbour_ratio"] < 1
    assert finding["simplicity"] == pytest.approx(2 / 125, abs=1e-3)
    assert finding["p"] == round(1 / 151, 6)
    assert 0 < finding["q"] <= 0.05
    addresses = {f["reference_url"] for f in written.report["findings"]}
    assert addresses == {None, "https://example.org/first.png"}
    assert str(written.out.parent) not in json.dumps(written.report["findings"])


def test_the_report_says_why_and_by_which_statistics(written: Written) -> None:
    """Rates by band with intervals, single matches, groups, metrics: all in report.json, and it is sound."""
    results = read_report(written.out / "report.json").content["results"]
    assert results["why"]["paired"]
    assert {band["feature"] for band in results["why"]["bands"]} == {
        "near-duplicates",
        "simplicity",
        "images of its caption",
        "words of its caption",
    }
    assert results["control"]["groups"] == 125
    found = results["control"]["discoveries"]
    assert (found["tested"], found["controls"], found["needed"]) == (175, 150, 24)
    assert 125 <= found["found"] <= 130  # each came back twice; and a stranger or two: a false discovery rate of 5 %
    assert results["metrics"]["c_t"] < 0
    for words in ("Why: what kind", "stand out one by one", "Metrics of the literature", "AuthPct"):
        assert words in written.page


@pytest.mark.parametrize("copies", [1, 2])
def test_the_page_says_where_held_out_families_are_left_out(tmp_path: Path, copies: int) -> None:
    """Of those that repeat their motifs no more are ranked among than there are generations."""
    references = vector_store(tmp_path / "t", random_vectors(0, 60))
    held_out = near(2, np.repeat(random_vectors(1, 110), copies, axis=0), 0.1)
    generations = vector_store(tmp_path / "g", random_vectors(3, 40))
    control = vector_store(tmp_path / "c", held_out)
    report = write_audit(
        audit(generations, ExactSearch(references), control=control, options=AuditOptions(match="none")),
        generations,
        references,
        tmp_path / "out",
    )
    found = report.content["results"]["control"]["discoveries"]
    assert found["controls"] == (110 if copies == 1 else 40)
    said = "of 110 held-out families no more than there are such generations"
    assert (said in (tmp_path / "out" / "report.html").read_text()) == (copies == 2)


def test_a_plot_ends_where_its_rates_do() -> None:
    """The top is round by quarters, above the largest rate, and at most 100 %."""

    def band(value: float, high: float) -> WhyBand:
        rate = Rate(round(1000 * value), Coverage(1000, 1000), 0.0, high, high)
        return WhyBand(feature="simplicity", low=0.0, high=1.0, came_back=rate_of(rate), training=None)

    assert highest([band(0.1, 0.13), band(0.02, 0.9)]) == pytest.approx(0.2)
    assert highest([band(0.001, 0.5)]) == pytest.approx(0.01)
    assert highest([band(0.0, 0.5)]) == pytest.approx(0.8)  # no bar: the whisker is all there is to see
    assert highest([band(0.9, 0.95)]) == 1
    assert highest([band(1.0, 1.0)]) == 1


def in_browser(written: Written, folder: Path, script: str) -> str:
    """What the page logs after `script` ran in it, under the page's policy with this script's digest added."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = written.page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    path = written.out / "driven.html"
    path.write_text(page.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}/profile"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
    command = [str(CHROMIUM), *flags, *quiet, "--dump-dom", path.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
    found = re.search(r"LOG(.*?)GOL", done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:]
    return found[1]


@pytest.mark.slow
@pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: install it (Debian: apt-get install chromium), then ./scripts/test --all"
)
def test_the_page_filters_and_sorts_in_a_browser(written: Written, tmp_path: Path) -> None:
    """Text, similarity and order; pages of a hundred; hostile strings stay text, under the policy."""
    script = """
    const log = [], q = id => document.getElementById(id), shown = () => q("f-shown").textContent;
    const first = () => document.querySelector("#findings [data-f=query_id]").textContent;
    const set = (id, value, event) => { q(id).value = value; q(id).dispatchEvent(new Event(event)); };
    log.push(shown(), document.querySelectorAll("#findings article").length);
    document.querySelector(".pager .on").click(); log.push(shown());
    set("f-order", "generation", "change"); log.push(first(), shown());
    set("f-text", "taken</h1> NUMBER 2", "input"); log.push(shown(), first());
    set("f-text", "nothing has this", "input"); log.push(shown());
    set("f-text", "", "input"); set("f-least", "0.99", "input"); log.push(shown());
    set("f-least", "", "input"); set("f-relation", "the prompt's own image", "change"); log.push(shown());
    const count = what => document.querySelectorAll(what).length;
    log.push(document.title, count("h1"), count("#findings script"));
    document.body.textContent = "LOG" + JSON.stringify(log) + "GOL";
    """
    log = json.loads(
        in_browser(written, tmp_path, script).replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
    )
    findings = written.report["findings"]
    fives = sorted(f["query_id"] for f in findings if "taken</h1> number 2" in f["prompt"].lower())
    own = sum(f["is_prompts_image"] for f in findings)
    strong = sum(f["similarity"] >= 0.99 for f in findings)
    assert log[:5] == ["1 to 100 of 250", 100, "101 to 200 of 250", "gen-00000", "1 to 100 of 250"]
    assert log[5:8] == [
        f"1 to {len(fives)} of {len(fives)} (of 250)",
        fives[0],
        "no finding passes the filter (of 250)",
    ]
    assert log[8] == (f"1 to {strong} of {strong} (of 250)" if strong else "no finding passes the filter (of 250)")
    assert log[9].endswith(f" of {own} (of 250)")
    assert log[10:] == ["Regurgitation audit", 1, 0]
