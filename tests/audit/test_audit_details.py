"""Details of training images: found by windows of a sixth of the longer side, without crowding others out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import mosaic, photograph, round_detail
from PIL import Image

from memaudit.audit.results import AuditResult
from memaudit.audit.run import AuditOptions, audit
from memaudit.audit.shortfalls import Views
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.embedding.views import ViewStore, embed_views
from memaudit.encoders import load_encoder
from memaudit.images.views import details, tiles
from memaudit.images.windows import lie_apart
from memaudit.index import ExactSearch
from memaudit.matching import decide
from memaudit.matching.compare import Checks, check_pairs
from memaudit.matching.kinds import Kind
from memaudit.matching.results import ReferenceViews
from memaudit.matching.search import WINDOWS, Scope, Searched, StoredQueries, search
from memaudit.matching.windows import Windows
from memaudit.report.audit import write_audit
from memaudit.report.searched import searched_in
from memaudit.store import Store
from memaudit.types import silent

ENCODER = load_encoder("thumbnail")
EMBED = EmbedOptions(shard_rows=256, workers=2)
OPTIONS = AuditOptions(match_from=0.05)
PLACES = (433, 300), (656, 233)  # centres of details, about where windows have theirs


def stored(folder: Path, pictures: dict[str, Image.Image]) -> Store:
    images = folder / "images"
    images.mkdir(parents=True)
    for name, picture in pictures.items():
        picture.save(images / f"{name}.png", compress_level=1)
    return embed([images], folder / "store", ENCODER, EMBED)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return stored(tmp_path_factory.mktemp("train"), {str(seed): mosaic(seed) for seed in (1, 2, 3)})


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Details of two training images, and of a picture that is none."""
    return stored(
        tmp_path_factory.mktemp("gen"),
        {
            "a": round_detail(mosaic(1), PLACES[0], 78),
            "b": round_detail(mosaic(2), PLACES[1], 78),
            "c": round_detail(mosaic(9), PLACES[0], 78),
        },
    )


@pytest.fixture(scope="module")
def fine(references: Store) -> ViewStore:
    return embed_views(references, references.folder / "details", ENCODER, details(), EMBED)


def found(result: AuditResult) -> dict[int, tuple[int, Kind, bool]]:
    """Rows of the training images by generation; the best match of each."""
    matches = result.matches
    return {
        int(matches.query[i]): (int(matches.reference[i]), matches.kind[i], bool(matches.verified[i]))
        for i in np.flatnonzero(matches.rank == 1)
    }


def searched(queries: Store, scope: Scope) -> Searched:
    return search(StoredQueries(queries), scope, None, silent)


def test_round_details_are_found_by_fine_tiles_only(references: Store, generations: Store, fine: ViewStore) -> None:
    """Each in its own picture and as a part of it; the detail of another picture is in none."""
    coarse = embed_views(references, references.folder / "tiles", ENCODER, tiles(), EMBED)
    index = ExactSearch(references)
    assert not found(audit(generations, index, views=Views(windows=Windows(tiles=coarse)), options=OPTIONS))
    result = audit(generations, index, views=Views(windows=Windows(tiles=coarse, details=fine)), options=OPTIONS)
    assert found(result) == {0: (0, Kind.PARTIAL, True), 1: (1, Kind.PARTIAL, True)}
    assert all(view.startswith("reference detail ") for view in result.matches.view)
    assert result.misses is not None
    assert result.misses.query.tolist() == [2]


def test_the_similarity_of_a_match_is_that_of_the_window_it_was_seen_in(
    references: Store, generations: Store, fine: ViewStore
) -> None:
    matches = audit(
        generations, ExactSearch(references), views=Views(windows=Windows(details=fine)), options=OPTIONS
    ).matches
    names = [view.removeprefix("reference ") for view in matches.view]
    rows = [int(r) * len(fine.names) + fine.names.index(n) for r, n in zip(matches.reference, names, strict=True)]
    similarity = (fine.store.embeddings(np.array(rows)) * generations.embeddings(matches.query)).sum(axis=1)
    np.testing.assert_allclose(matches.similarity, similarity, atol=1e-5)
    assert (similarity < ENCODER.spec.threshold).all()


def test_files_that_are_gone_make_it_inconclusive(tmp_path: Path, generations: Store) -> None:
    references = stored(tmp_path, {"1": mosaic(1)})
    (tmp_path / "images").rename(tmp_path / "gone")
    fine = embed_views(references, references.folder / "details", ENCODER, details(), EMBED)
    result = audit(generations, ExactSearch(references), views=Views(windows=Windows(details=fine)), options=OPTIONS)
    assert any("details of the training images" in reason for reason in result.inconclusive)


def test_a_window_that_is_gone_by_then_counts_as_not_compared(
    tmp_path: Path, generations: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole was compared, and was not alike; then the file went."""
    references = stored(tmp_path, {"1": mosaic(1)})
    fine = embed_views(references, references.folder / "details", ENCODER, details(), EMBED)

    def vanishing(*arguments: Any) -> Checks:
        if arguments[5] is not None:
            (tmp_path / "images").rename(tmp_path / "gone")
        return check_pairs(*arguments)

    monkeypatch.setattr(decide, "check_pairs", vanishing)
    result = audit(generations, ExactSearch(references), views=Views(windows=Windows(details=fine)), options=OPTIONS)
    assert not result.searched.count
    assert any("could be compared on pixels" in reason for reason in result.inconclusive)


@pytest.mark.parametrize("name", ["tiles", "details"])
def test_the_advice_for_lost_windows_is_one_that_helps(tmp_path: Path, generations: Store, name: str) -> None:
    """They are searched whatever --views is, so that another --views would help nobody."""
    references = stored(tmp_path, {"1": mosaic(1)})
    (tmp_path / "images").rename(tmp_path / "gone")
    kind, option = {"tiles": (tiles(), "--tiles"), "details": (details(), "--fine-tiles")}[name]
    lost = embed_views(references, references.folder / name, ENCODER, kind, EMBED)
    reasons = audit(
        generations, ExactSearch(references), views=Views(windows=Windows(**{name: lost})), options=OPTIONS
    ).inconclusive
    (reason,) = [reason for reason in reasons if f"{name} of the training images" in reason]
    assert f"with {option}, or delete {references.folder / name}" in reason
    assert "--views none" not in reason


def test_without_pixels_details_are_not_used_and_the_report_says_so(
    tmp_path: Path, references: Store, generations: Store, fine: ViewStore
) -> None:
    index, views = ExactSearch(references), Views(windows=Windows(details=fine))
    told = audit(generations, index, views=views, options=OPTIONS).reference_views
    assert told == ReferenceViews(references.digest, None, fine.store.digest)
    result = audit(generations, index, views=views, options=AuditOptions(match="none"))
    assert result.reference_views == ReferenceViews(references.digest, None, None, ("details",))
    report = write_audit(result, generations, references, tmp_path)
    results = report.content["results"]
    assert results["reference_views"] == {"whole": references.digest, "details": None}
    assert "; their details were not used: without pixels" in searched_in(report)
    assert searched_in(report) in (tmp_path / "report.html").read_text()


def test_lost_details_that_are_not_used_are_not_missed(tmp_path: Path, generations: Store) -> None:
    references = stored(tmp_path, {"1": mosaic(1)})
    (tmp_path / "images").rename(tmp_path / "gone")
    lost = embed_views(references, references.folder / "details", ENCODER, details(), EMBED)
    options = AuditOptions(match="none")
    assert (
        audit(
            generations, ExactSearch(references), views=Views(windows=Windows(details=lost)), options=options
        ).inconclusive
        == ()
    )


def test_misses_go_by_the_most_similar_window(tmp_path: Path, references: Store, fine: ViewStore) -> None:
    """Below the threshold a pair that a whole picture led to as well has the higher similarity, its detail's."""
    queries = stored(tmp_path, {"c": round_detail(mosaic(9), PLACES[0], 78)})
    alone, both = (
        searched(queries, Scope(ExactSearch(references), 0.99, -1.0, 10, windows))
        for windows in (Windows(), Windows(details=fine))
    )
    every = fine.store.embeddings(np.arange(len(fine.store))) @ queries.embeddings(np.arange(1))[0]
    best = every.reshape(-1, len(fine.names)).max(axis=1)
    assert (best[alone.candidates.reference] > alone.candidates.similarity).all()
    assert both.candidates.reference.tolist() == np.argsort(-best).tolist()
    np.testing.assert_allclose(both.candidates.similarity, np.sort(best)[::-1], atol=1e-5)
    assert all(view.startswith("reference detail ") for view in both.candidates.views)


def test_windows_of_one_image_crowd_no_other_out(tmp_path: Path) -> None:
    """A picture that looks alike all over has a hundred windows that are more similar than any of the others'."""
    stripes = photograph(5, (100, 1)).resize((100, 800))
    crowd = Image.new("RGB", (1200, 800))
    for x in range(0, 1200, 100):
        crowd.paste(stripes, (x, 0))
    references = stored(tmp_path / "train", {"a": crowd, **{f"b{seed}": mosaic(seed) for seed in range(4)}})
    fine = embed_views(references, references.folder / "details", ENCODER, details(), EMBED)
    queries = stored(tmp_path / "gen", {"stripes": crowd.crop((0, 0, 200, 200))})
    looked = searched(queries, Scope(ExactSearch(references), 0.99, -1.0, 3, Windows(details=fine)))
    every = fine.store.embeddings(np.arange(len(fine.store))) @ queries.embeddings(np.arange(1))[0]
    best = every.reshape(-1, len(fine.names))
    assert (best[0] > best[1:].max()).sum() > 12  # more than are asked for at first
    wanted = np.argsort(-best.max(axis=1))[:3]
    assert set(wanted) <= set(looked.candidates.reference)
    for reference in wanted:
        own = looked.windows.reference == reference
        closest = np.argsort(-best[reference], kind="stable")
        similarity = looked.windows.similarity[own]
        np.testing.assert_allclose(similarity[:WINDOWS], best[reference][closest][:WINDOWS], atol=1e-5)
        names = looked.windows.window[own]
        apart = [all(lie_apart(name, other) for other in names[:WINDOWS]) for name in fine.names]
        np.testing.assert_allclose(similarity[WINDOWS:], [best[reference][apart].max()], atol=1e-5)
        assert all(lie_apart(names[WINDOWS], other) for other in names[:WINDOWS])


def test_a_detail_decides_nothing_by_its_similarity(tmp_path: Path) -> None:
    """A corner of plain colours is the same in every drawing: at the threshold, and no copy."""
    corner = Image.new("RGB", (200, 200), "navy")
    corner.paste("orange", (100, 100, 200, 200))
    drawing = mosaic(1)
    drawing.paste(corner, (444, 200))
    references = stored(tmp_path / "train", {"drawing": drawing})
    fine = embed_views(references, references.folder / "details", ENCODER, details(), EMBED)
    queries = stored(tmp_path / "gen", {"corner": corner})
    scope = Scope(ExactSearch(references), ENCODER.spec.threshold, 0.5, 10, Windows(details=fine))
    looked = searched(queries, scope)
    assert looked.candidates.similarity.max() > ENCODER.spec.threshold
    assert looked.candidates.views.tolist() == ["reference detail 4,5"]
    for verify in ("auto", "none"):
        options = AuditOptions(match=verify)
        assert not audit(
            queries, ExactSearch(references), views=Views(windows=Windows(details=fine)), options=options
        ).searched.count


def test_what_the_whole_picture_says_goes_before_what_a_detail_says(tmp_path: Path) -> None:
    """A pair at the threshold stays one, though a detail of the training image is even more similar."""
    shades = np.broadcast_to(np.linspace(0, 255, 1200).astype(np.uint8)[None, :, None], (800, 1200, 3))
    gradient = Image.fromarray(np.ascontiguousarray(shades))
    marked = gradient.copy()
    marked.paste("red", (600, 100, 760, 260))
    references = stored(tmp_path / "train", {"marked": marked})
    fine = embed_views(references, references.folder / "details", ENCODER, details(), EMBED)
    queries = stored(tmp_path / "gen", {"gradient": gradient})
    alone, both = (
        searched(queries, Scope(ExactSearch(references), 0.9, 0.5, 10, windows))
        for windows in (Windows(), Windows(details=fine))
    )
    assert both.windows.similarity.max() > alone.candidates.similarity.max() > 0.9
    for column, expected in zip(both.candidates, alone.candidates, strict=True):
        np.testing.assert_array_equal(column, expected)
