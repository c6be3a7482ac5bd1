"""The keep rule `cleanest`: the original stays, whatever was made of it, and the report says why."""

import hashlib
import io
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import photograph
from PIL import Image, ImageDraw, ImageOps
from vectors import families, unit, vector_store

from memaudit.dedup import cleanest
from memaudit.dedup.cleanest import PARTS, doubtful, judge
from memaudit.dedup.keep import keep_rank
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import DedupResult
from memaudit.dedup.run import dedup
from memaudit.images import hosts
from memaudit.similarity import Pairs
from memaudit.store import NO_FILE, Columns
from memaudit.types import silent
from scripts.alterations import text_strip

Make = Callable[[Image.Image], Image.Image]
ORIGINAL = photograph(5, (480, 360))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


COPIES: dict[str, Make] = {
    "border": lambda image: ImageOps.expand(image, 20, (200, 30, 60)),
    "enlarged": lambda image: image.resize((720, 540), Image.Resampling.LANCZOS),
    "compressed": lambda image: jpeg(image, 25),
    "cropped": lambda image: image.crop((30, 20, 450, 340)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "reduced": lambda image: image.resize((240, 180), Image.Resampling.LANCZOS),
    "turned": lambda image: image.rotate(25, Image.Resampling.BICUBIC, expand=True),
}
BEHIND = {
    "border": "plain border, strip or corners",
    "enlarged": "less detail for its size",
    "compressed": "compressed harder, saved again",
    "cropped": "fewer pixels",
    "grey": "no colour",
    "reduced": "fewer pixels",
    "turned": "plain border, strip or corners",
}


def deduped(folder: Path, pictures: list[Image.Image], **options: str) -> DedupResult:
    """A run on these, all of them near-duplicates."""
    folder.mkdir()
    uris = [str(folder / f"{i}.png") for i in range(len(pictures))]
    for uri, picture in zip(uris, pictures, strict=True):
        picture.save(uri)
    sizes = [picture.size for picture in pictures]
    hashes = [hashlib.sha256(Path(uri).read_bytes()).hexdigest() for uri in uris]
    vectors = families(0, [len(pictures)], noise=0.1)
    store = vector_store(folder / "s", vectors, uris=uris, sizes=sizes, hashes=hashes)
    return dedup(store, DedupOptions(**options))


@pytest.mark.parametrize("name", COPIES)
def test_the_original_stays_and_the_other_says_why(tmp_path: Path, name: str) -> None:
    """Alone with each copy, in either order."""
    for place in (0, 1):
        pictures = [COPIES[name](ORIGINAL)]
        pictures.insert(place, ORIGINAL)
        result = deduped(tmp_path / str(place), pictures)
        assert result.keep_rule == "cleanest"
        assert result.decisions.decision[place] == "keep"
        assert result.cleanness is not None
        assert result.cleanness.behind[place] == ""
        assert set(BEHIND[name].split(", ")) <= set(result.cleanness.behind[1 - place].split(", "))
        assert result.cleanness.score[place] > result.cleanness.score[1 - place]


def test_a_family_keeps_its_original(tmp_path: Path) -> None:
    """Among all of them at once; by the largest, an altered one stays."""
    pictures = [*(make(ORIGINAL) for make in COPIES.values()), ORIGINAL]
    found = deduped(tmp_path / "a", pictures)
    assert np.flatnonzero(found.decisions.decision == "keep").tolist() == [len(COPIES)]
    assert found.cleanness is not None
    assert (found.cleanness.read, found.cleanness.groups, found.cleanness.without_pixels) == (len(pictures), 1, 0)
    largest = deduped(tmp_path / "b", pictures, keep="largest")
    assert np.flatnonzero(largest.decisions.decision == "keep").tolist() == [1]
    assert largest.cleanness is None


def stuck_over(image: Image.Image) -> Image.Image:
    """A sticker and a line of writing, which have more detail than it."""
    altered = image.copy()
    pen, side = ImageDraw.Draw(altered), image.width // 4
    pen.ellipse((side, side, 2 * side, 2 * side), "yellow", "black")
    pen.ellipse((side * 5 // 4, side * 5 // 4, side * 3 // 2, side * 3 // 2), "black")
    pen.text((4, image.height * 5 // 6), "look at this", "white", stroke_width=2, stroke_fill="black")
    return altered


@pytest.mark.parametrize("drawn", [False, True])
def test_what_the_others_lack_is_over_it(tmp_path: Path, drawn: bool) -> None:
    """Two that agree are enough, of which one may be mirrored or reduced; of two images alone nothing is known."""
    picture = drawing() if drawn else ORIGINAL
    half = jpeg(picture.resize((picture.width // 2, picture.height // 2)), 30)
    for number, other in enumerate((half, jpeg(ImageOps.mirror(picture), 25))):
        result = deduped(tmp_path / f"{number}", [stuck_over(picture), other, picture])
        assert result.decisions.decision.tolist() == ["drop", "drop", "keep"]
        assert result.cleanness is not None
        assert "something over it" in result.cleanness.behind[0]
    judged = deduped(tmp_path / "alone", [stuck_over(picture), picture]).cleanness
    assert judged is not None
    assert not any("something over it" in behind for behind in judged.behind)


def drawing() -> Image.Image:
    """A face of a clock, 72 pixels wide, as emoji are: flat, with edges a pixel wide."""
    large = Image.new("RGB", (288, 288), "white")
    pen = ImageDraw.Draw(large)
    pen.ellipse((4, 4, 283, 283), fill="#99aab5")
    pen.ellipse((36, 36, 251, 251), fill="#e1e8ed")
    pen.line((144, 144, 144, 230), "#66757f", 16)
    pen.line((144, 144, 80, 108), "#66757f", 16)
    return large.resize((72, 72), Image.Resampling.LANCZOS)


def test_a_drawing_is_preferred_to_its_enlarged_copy_under_a_caption(tmp_path: Path) -> None:
    """Its stairs have sharp corners, as the caption has, so that its spectrum lacks nothing."""
    enlarged = drawing().resize((288, 288), Image.Resampling.BILINEAR)
    captioned = text_strip(enlarged, 0.12, np.random.default_rng(0))
    result = deduped(tmp_path / "a", [captioned, drawing(), enlarged])
    assert result.decisions.decision.tolist() == ["drop", "keep", "drop"]
    assert result.cleanness is not None
    assert "less detail for its size" in result.cleanness.behind[0]
    assert "less detail for its size" in result.cleanness.behind[2]


def test_who_agrees_with_the_others_is_preferred_to_the_mirrored_one(tmp_path: Path) -> None:
    """With a frame on frame look; neither is behind in anything of its own."""
    copies = [ORIGINAL.resize((400, 300)), jpeg(ORIGINAL, 40)]
    result = deduped(tmp_path / "a", [ImageOps.mirror(ORIGINAL), ORIGINAL, *copies])
    assert np.flatnonzero(result.decisions.decision == "keep").tolist() == [1]
    assert result.cleanness is not None
    assert result.cleanness.behind[0] == "unlike the others"


def test_the_order_is_total_and_independent_of_rows_and_pairs(tmp_path: Path) -> None:
    """Ranks are a permutation; ties go by the store's sizes, then by image_id."""
    rng, columns = np.random.default_rng(0), columns_at(tmp_path, [make(ORIGINAL) for make in COPIES.values()] * 2)
    n = len(columns.uri)
    left, right = np.triu_indices(n, 1)
    pairs = Pairs(left, right, np.ones(len(left), np.float32))
    first = judge(columns, pairs, keep_rank(columns, "cleanest"), silent)
    assert sorted(first.rank) == list(range(n))
    order, shuffled = rng.permutation(n), rng.permutation(len(left))
    place = order.argsort()
    moved = Pairs(place[right[shuffled]], place[left[shuffled]], pairs.similarity)
    again = judge(columns.at(order), moved, keep_rank(columns.at(order), "cleanest"), silent)
    assert again.rank.tolist() == first.rank[order].tolist()
    assert again.parts.tolist() == first.parts[order].tolist()


def test_thumbnails_are_held_of_a_few_families_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which images agree does not depend on it: of three families, interleaved, some of which agree in part."""
    pictures = [make(photograph(seed, (240, 180))) for make in COPIES.values() for seed in (1, 2, 3)]
    columns = columns_at(tmp_path, pictures)
    one, other = np.triu_indices(len(pictures), 1)
    same = (one - other) % 3 == 0
    pairs = Pairs(one[same], other[same], np.ones(int(same.sum()), np.float32))
    whole = judge(columns, pairs, np.arange(len(pictures)), silent)
    assert len(set(whole.parts[:, PARTS.index("unlike the others")])) > 1
    monkeypatch.setattr(cleanest, "_AT_ONCE", 1)
    assert judge(columns, pairs, np.arange(len(pictures)), silent).parts.tolist() == whole.parts.tolist()


def columns_at(folder: Path, pictures: list[Image.Image]) -> Columns:
    ids = np.array([f"{i:02d}" for i in range(len(pictures))], dtype=object)
    uris = np.array([str(folder / f"{i}.png") for i in ids], dtype=object)
    for uri, picture in zip(uris, pictures, strict=True):
        picture.save(uri)
    sizes = {"width": np.array([p.width for p in pictures]), "height": np.array([p.height for p in pictures])}
    hashes = np.full(len(ids), NO_FILE, dtype=object)
    return Columns(**(dict.fromkeys(Columns._fields, ids) | sizes | {"image_id": ids, "uri": uris, "sha256": hashes}))


def test_only_those_with_a_pair_are_read_and_of_large_families_those_with_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once; who is left out comes after those that were read."""
    monkeypatch.setattr(cleanest, "MOST_READ", 2)
    columns = columns_at(tmp_path, [ORIGINAL] * 5)
    pairs = Pairs(np.array([0, 1, 3, 2]), np.array([3, 3, 2, 1]), np.ones(4, np.float32))  # 3 has three, 1 and 2 two
    judged = judge(columns, pairs, np.arange(5), silent)
    assert np.flatnonzero(~np.isnan(judged.parts[:, 0])).tolist() == [1, 3]
    assert (judged.read, judged.left_out) == (2, 2)
    assert judged.rank.argsort().tolist()[:2] == [1, 3]


@pytest.mark.parametrize(
    ("options", "why"),
    [({"match": "none"}, "--match none"), ({}, "the store does not say where its images are")],
)
def test_without_pixels_the_largest_stays_and_that_is_said(tmp_path: Path, options: dict[str, str], why: str) -> None:
    """Imported embeddings, and pixels that nobody wants read."""
    uris = {"uris": ["", "", ""]} if not options else {}
    store = vector_store(tmp_path / "s", families(0, [3], noise=0.1), sizes=[(5, 5), (9, 9), (7, 7)], **uris)
    result = dedup(store, DedupOptions(**options))
    assert result.decisions.decision.tolist() == ["drop", "keep", "drop"]
    assert result.cleanness is not None
    assert (result.cleanness.groups, result.cleanness.without_pixels, result.cleanness.why) == (0, 1, (why,))


def test_whose_file_is_gone_comes_last(tmp_path: Path) -> None:
    """An absent file, and one that is another than was embedded, are counted with their reasons; nobody can train on
    them, however large they were."""
    columns = columns_at(tmp_path, [ORIGINAL.resize((96, 72)), ORIGINAL, ORIGINAL])
    Path(columns.uri[1]).unlink()
    columns.sha256[2] = "1" * 64
    pairs = Pairs(np.array([0, 1]), np.array([1, 2]), np.ones(2, np.float32))
    judged = judge(columns, pairs, np.array([2, 0, 1]), silent)
    assert judged.rank.tolist() == [0, 1, 2]
    assert (judged.read, judged.unread) == (1, 2)
    assert judged.why == (
        "cannot read file: No such file or directory: 1",
        "the file is another one than was embedded: 1",
    )
    assert judged.parts.shape == (3, len(PARTS))
    twins = judge(columns, pairs, np.array([2, 0, 1]), silent, in_doubt=np.array([False, True, False]))
    assert twins.rank.tolist() == [1, 0, 2]  # the second is perhaps there by another name
    assert (judged.in_doubt, twins.in_doubt, doubtful(judged, 0)) == (0, 1, "")
    assert doubtful(twins, 0.3).startswith("1 of 3 images with near-duplicates are gone, or others than were embedded")


def written_table(path: Path, pictures: list[Image.Image]) -> list[str]:
    """A Parquet or an Arrow file of these, and the uri of each."""
    table = pa.table({"image": [png(picture) for picture in pictures]})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return [f"{path}#row={row}" for row in range(len(pictures))]


def png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_rows_of_a_deleted_table_are_gone(tmp_path: Path, suffix: str) -> None:
    """As files that were deleted: the copies in the other table are all that is left. A table that is there and cannot
    be read is none of that, and what is perhaps the original stays."""
    large, small = [ORIGINAL, photograph(9)], [ORIGINAL.resize((240, 180)), photograph(9).resize((96, 72))]
    tables = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    uris = [uri for path, held in zip(tables, (large, small), strict=True) for uri in written_table(path, held)]
    vectors = np.repeat(families(0, [1, 1]), [2, 2], axis=0)[[0, 2, 1, 3]]
    vectors[2:] += 0.2 * families(1, [1])[0]
    store = vector_store(
        tmp_path / "s",
        unit(vectors),
        uris=uris,
        sizes=[picture.size for picture in (*large, *small)],
        hashes=[hashlib.sha256(png(picture)).hexdigest() for picture in (*large, *small)],
    )
    kept = list[list[int]]()
    for state in ("there", "damaged", "gone"):
        if state == "damaged":
            tables[0].write_bytes(b"no table")
        if state == "gone":
            tables[0].unlink()
        kept.append(np.flatnonzero(dedup(store).decisions.decision == "keep").tolist())
    assert kept == [[0, 1], [0, 1], [2, 3]]


class _Nothing(BaseHTTPRequestHandler):
    """Answers with the status that is the path."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_a_url_with_nothing_behind_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """404 and 410, of a table's row as well; who may not be asked for (403) is perhaps there, and stays."""
    columns = columns_at(tmp_path, [ORIGINAL.resize((96, 72)), ORIGINAL])
    pairs = Pairs(np.array([0]), np.array([1]), np.ones(1, np.float32))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Nothing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(hosts, "_named", {f"127.0.0.1:{server.server_port}"})
        ranks = dict[str, list[int]]()
        for name in ("404.png", "410.png", "404.parquet#row=1", "403.png"):
            columns.uri[1] = f"http://127.0.0.1:{server.server_port}/{name}"
            ranks[name] = judge(columns, pairs, np.array([1, 0]), silent).rank.tolist()
        server.shutdown()
    assert ranks.pop("403.png") == [1, 0]
    assert set(map(tuple, ranks.values())) == {(0, 1)}


def test_of_equal_files_one_that_is_there_stays(tmp_path: Path) -> None:
    """Whether or not they have a near-duplicate: whoever is gone stood for both."""
    names, other = ["a", "b", "c", "d", "e", "f", "g"], photograph(9, (240, 180))
    half = ORIGINAL.resize((240, 180))
    pictures = dict(zip(names, [ORIGINAL, ORIGINAL, half, other, other, photograph(7), photograph(7)], strict=True))
    uris = [str(tmp_path / f"{name}.png") for name in names]
    for uri, picture in zip(uris, pictures.values(), strict=True):
        picture.save(uri)
    vectors = np.repeat(families(0, [1, 1, 1]), [3, 2, 2], axis=0)
    vectors[2] = families(1, [1])[0] * 0.2 + vectors[2]
    hashes = [hashlib.sha256(Path(uri).read_bytes()).hexdigest() for uri in uris]
    store = vector_store(tmp_path / "s", unit(vectors), ids=names, uris=uris, hashes=hashes)
    before = dedup(store)
    for name in "adfg":  # of f and g, both
        (tmp_path / f"{name}.png").unlink()
    after = dedup(store)
    kept = [[names[row] for row in np.flatnonzero(run.decisions.decision == "keep")] for run in (before, after)]
    assert kept == [["a", "d", "f"], ["b", "e", "f"]]
    assert after.inconclusive == ()
    assert [names[row] for row in after.decisions.witness] == ["b", "b", "b", "e", "e", "f", "f"]
    assert after.cleanness is not None
    assert (after.cleanness.read, after.cleanness.unread) == (2, 0)


def test_where_equal_files_may_be_there_the_run_says_so(tmp_path: Path) -> None:
    """What stood for them is another picture by now, which a look at the folder does not tell."""
    for name in ("a", "b"):
        ORIGINAL.save(tmp_path / f"{name}.png")
    ORIGINAL.resize((240, 180)).save(tmp_path / "c.png")
    uris = [str(tmp_path / f"{name}.png") for name in "abc"]
    hashes = [hashlib.sha256(Path(uri).read_bytes()).hexdigest() for uri in uris]
    store = vector_store(tmp_path / "s", families(0, [3], noise=0.1), uris=uris, hashes=hashes)
    photograph(9).save(uris[0])
    assert any("stand for exact duplicates that may be there" in reason for reason in dedup(store).inconclusive)


def test_who_is_there_and_cannot_be_read_comes_last_but_for_the_largest(tmp_path: Path) -> None:
    """Nothing that was read takes the place of an unread one that is larger: it is perhaps the original."""
    columns = columns_at(tmp_path, [ORIGINAL.resize((96, 72)), ORIGINAL, ORIGINAL.resize((48, 36))])
    Path(columns.uri[1]).write_bytes(b"no image that this machine can decode")
    pairs = Pairs(np.array([0, 1]), np.array([1, 2]), np.ones(2, np.float32))
    small = judge(columns, pairs, np.array([0, 2, 1]), silent)
    assert small.rank.tolist() == [0, 2, 1]
    assert np.isnan(small.parts).any(axis=1).tolist() == [False, True, False]
    large = judge(columns, pairs, np.array([1, 0, 2]), silent)
    assert large.rank.tolist() == [1, 0, 2]
    assert np.isnan(large.parts).all()
    Path(columns.uri[0]).unlink()
    gone = judge(columns, pairs, np.array([0, 1, 2]), silent)
    assert gone.rank.tolist() == [2, 0, 1]


def test_whose_place_is_not_known_is_not_gone(tmp_path: Path) -> None:
    """Where it is the largest, it stays; else it comes before those that are gone."""
    columns = columns_at(tmp_path, [ORIGINAL.resize((96, 72)), ORIGINAL, ORIGINAL.resize((48, 36))])
    columns.uri[1] = ""
    pairs = Pairs(np.array([0, 1]), np.array([1, 2]), np.ones(2, np.float32))
    largest = judge(columns, pairs, np.array([1, 0, 2]), silent)
    assert largest.rank.tolist() == [1, 0, 2]
    assert largest.why == ("the store does not say where the image is: 1",)
    Path(columns.uri[0]).unlink()
    assert judge(columns, pairs, np.array([0, 2, 1]), silent).rank.tolist() == [2, 1, 0]


@pytest.mark.parametrize("name", ["border", "cropped", "sticker"])
def test_two_reposts_of_one_alteration_do_not_set_the_original_behind_all(tmp_path: Path, name: str) -> None:
    """They agree with each other and it with nobody; the worse of them is not preferred, and nothing lies over it."""
    altered = stuck_over(ORIGINAL) if name == "sticker" else COPIES[name](ORIGINAL)
    poor = jpeg(altered.resize((altered.width // 2, altered.height // 2)), 60)
    columns = columns_at(tmp_path, [poor, jpeg(altered, 80), ORIGINAL])
    judged = judge(
        columns, Pairs(np.array([0, 0, 1]), np.array([1, 2, 2]), np.ones(3, np.float32)), np.arange(3), silent
    )
    assert judged.rank[2] < judged.rank[0]
    assert judged.parts[2, PARTS.index("something over it")] == 0
