"""Extraction: a prompt that gives one picture again and again is found, others are not, and what cannot be judged is
not called clean."""

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import draw, photograph
from PIL import Image

from memaudit.audit.pairing import PROMPT_KEYS, Prompted, compiled_pattern
from memaudit.encoders.catalog import load_encoder
from memaudit.encoders.weights import find_sscd
from memaudit.errors import EmptyInputError, InputError, MissingDependencyError, UsageError
from memaudit.extraction import run as extraction
from memaudit.extraction.results import Extraction
from memaudit.extraction.run import ExtractOptions, extract
from memaudit.images.image_ref import ImageRef
from memaudit.images.sources import iter_images
from memaudit.matching.kinds import Kind
from memaudit.matching.model import copy_model

PATTERN = compiled_pattern("{prompt}/{seed}.png", "--prompt-pattern", PROMPT_KEYS)
FEW = ExtractOptions(clique=4)


def noisy(image: Image.Image, seed: int, strength: float = 6) -> Image.Image:
    """The same picture as another seed would give it."""
    values = np.asarray(image, dtype=np.float64)
    added = np.random.default_rng(seed).normal(0, strength, values.shape)
    return Image.fromarray(np.clip(values + added, 0, 255).astype(np.uint8))


def write(folder: Path, prompt: str, images: list[Image.Image | bytes]) -> None:
    (folder / prompt).mkdir(parents=True)
    for seed, image in enumerate(images):
        path = folder / prompt / f"{seed}.png"
        if isinstance(image, bytes):
            path.write_bytes(image)
        else:
            image.save(path, compress_level=1)


def found_in(folder: Path, options: ExtractOptions = FEW) -> Extraction:
    return extract(iter_images([folder], contents=False), PATTERN, options=options)


def test_a_memorised_prompt_is_found_and_others_are_not(tmp_path: Path) -> None:
    """Five of seven generations are one picture; another prompt gives seven different ones."""
    write(tmp_path, "a clock", [noisy(draw(1), i) for i in range(5)] + [draw(2), draw(3)])
    write(tmp_path, "a moon", [draw(i) for i in range(10, 17)])
    result = found_in(tmp_path)
    assert [cluster.prompt for cluster in result.clusters] == ["a clock"]
    assert result.clusters[0].members == tuple(f"a clock/{i}.png" for i in range(5))
    assert result.clusters[0].files == 5
    assert result.clusters[0].mean_distance is not None
    assert 0.01 < result.clusters[0].mean_distance < 0.06
    assert (result.memorised.count, result.memorised.coverage.measured) == (1, 2)
    assert result.inconclusive == ()


def test_prompts_are_ranked_by_the_mean_distance_inside(tmp_path: Path) -> None:
    """The closest clique first, however the prompts are called."""
    for name, strength in (("a", 12.0), ("b", 2.0), ("c", 6.0)):
        write(tmp_path, name, [noisy(draw(1), i, strength) for i in range(4)])
    assert [cluster.prompt for cluster in found_in(tmp_path).clusters] == ["b", "c", "a"]


def test_pictures_that_only_form_a_chain_are_no_clique(tmp_path: Path) -> None:
    """Each close to the next, the ends far apart: a fade from one picture to another is not one picture."""
    fade = [Image.blend(draw(1), draw(2), step / 5) for step in range(6)]
    write(tmp_path, "fade", list(fade))
    assert found_in(tmp_path, ExtractOptions(threshold=0.15, clique=5)).clusters == ()


def test_blank_generations_are_no_clique(tmp_path: Path) -> None:
    """A safety filter that paints everything black memorised nothing; and with nothing else left nothing was judged."""
    write(tmp_path, "filtered", [Image.new("RGB", (64, 64))] * 8)
    result = found_in(tmp_path)
    assert (result.clusters, result.blank) == ((), 8)
    assert result.inconclusive
    assert result.memorised.value is None


def test_the_card_of_a_filter_is_no_memorised_picture(tmp_path: Path) -> None:
    """Several prompts give it, the same to the last pixel: they are not judged. Pictures that differ by seed are,
    though two spellings of a prompt share them; and so is what a single prompt gives."""
    memorised = [noisy(draw(1), seed) for seed in range(4)]
    for name, images in (("blocked", [draw(9)] * 4), ("as well", [draw(9)] * 4), ("once", [draw(3)] * 4)):
        write(tmp_path, name, [*images])
    write(tmp_path, "A clock", [*memorised])
    write(tmp_path, "a clock.", [*memorised])
    result = found_in(tmp_path)
    assert {cluster.prompt for cluster in result.clusters} == {"once", "A clock", "a clock."}
    assert (result.memorised.count, result.memorised.coverage.measured, result.memorised.coverage.total) == (3, 3, 5)
    assert result.not_read[-1].startswith("2 prompts give a picture that others give as well, the same to the last")
    assert "(of 2 more too few are left beside the card of a filter)" in result.inconclusive[0]


def test_a_card_hides_nothing_of_the_other_generations(tmp_path: Path) -> None:
    """Most of what two prompts give is one card: what else they give is judged, and where too little is left it is
    called so. Cards of two kinds hide nothing either."""
    clock, others = [noisy(draw(1), seed) for seed in range(4)], [draw(seed) for seed in range(20, 24)]
    write(tmp_path, "a clock", [*[draw(9)] * 6, *clock, *others])
    write(tmp_path, "a moon", [*[draw(9)] * 6, *others])
    write(tmp_path, "a star", [*[draw(9)] * 6, draw(30)])
    write(tmp_path, "two cards", [*[draw(8)] * 7, *[draw(9)] * 6, *clock])
    write(tmp_path, "the other", [*[draw(8)] * 5])
    result = found_in(tmp_path)
    assert {cluster.prompt for cluster in result.clusters} == {"a clock", "two cards"}
    assert [(len(cluster.members), cluster.compared) for cluster in result.clusters] == [(4, 8), (4, 4)]
    assert (result.memorised.count, result.memorised.coverage.measured, result.memorised.coverage.total) == (2, 3, 5)
    assert result.not_read[-1].endswith("judged by their other generations, but for 2 that have too few")


def test_a_file_that_stands_there_often_is_said(tmp_path: Path) -> None:
    """Trap "a false clean": equal files are a clique, and the report says how many files they are."""
    write(tmp_path, "one seed", [draw(1)] * 6)
    cluster = found_in(tmp_path).clusters[0]
    assert (len(cluster.members), cluster.files, cluster.mean_distance) == (6, 1, 0)


def test_unreadable_generations_lower_the_coverage(tmp_path: Path) -> None:
    """One of eleven broken: above 1 % it is inconclusive; allowed, it is not."""
    write(tmp_path, "a", [*(draw(i) for i in range(10)), b"broken"])
    result = found_in(tmp_path)
    assert (result.coverage.measured, result.coverage.total) == (10, 11)
    assert "10 of 11 generations" in result.inconclusive[0]
    assert found_in(tmp_path, ExtractOptions(clique=4, max_unmeasured=0.1)).inconclusive == ()


@pytest.mark.parametrize("pattern", [r"(?P<prompt>[a-z]+)\.tar.*", r"(?P<prompt>[a-z]+)\.tar/\d+\.png"])
@pytest.mark.parametrize("within", [False, True])
def test_an_archive_that_ends_early_is_not_clean(tmp_path: Path, pattern: str, within: bool) -> None:
    """Whatever share may be unreadable: nobody knows how many are lost, also where the end is between two images. The
    row that stands for them is of no prompt, and need not be called as the others are."""
    path = tmp_path / "made.tar"
    with tarfile.open(path, "w") as archive:
        for seed in range(6):
            draw(seed).save(tmp_path / "x.png", compress_level=1)
            archive.add(tmp_path / "x.png", f"{seed}.png")
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    path.write_bytes(path.read_bytes()[: last.offset_data + 100 if within else last.offset])
    named = compiled_pattern(pattern, "--prompt-pattern", PROMPT_KEYS)
    options = ExtractOptions(clique=4, max_unmeasured=1)
    result = extract(iter_images([path], contents=False), named, options=options)
    assert len(result.inconclusive) == 1
    assert "archives of the generations end early" in result.inconclusive[0]
    assert (result.coverage.measured, result.coverage.total) == (5, 6 if within else 5)


def test_a_prompt_with_too_few_generations_is_not_clean(tmp_path: Path) -> None:
    """Three cannot show a clique of four: not judged, and inconclusive."""
    write(tmp_path, "enough", [draw(i) for i in range(5)])
    write(tmp_path, "too few", [draw(1)] * 3)
    result = found_in(tmp_path)
    assert (result.memorised.coverage.measured, result.memorised.coverage.total) == (1, 2)
    assert "1 of 2 prompts have 4 generations" in result.inconclusive[0]


def test_a_search_that_gave_up_is_not_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a clique, and without a proof that there is none, the run says so."""
    from memaudit.extraction.cliques import Clique

    monkeypatch.setattr(extraction, "largest_clique", lambda close, least: Clique((), False))
    write(tmp_path, "a", [draw(i) for i in range(5)])
    assert "gave up at 1 prompt:" in found_in(tmp_path).inconclusive[0]


def test_prompts_by_caption_by_file_and_by_its_lines(tmp_path: Path) -> None:
    """Three ways to say what belongs together give the same answer."""
    write(tmp_path, "x", [noisy(draw(1), i) for i in range(4)])
    refs = list(iter_images([tmp_path], contents=False))
    by_caption = extract([ImageRef(r.image_id, r.uri, "a clock") for r in refs], options=FEW)
    by_file = extract(refs, named={r.image_id: Prompted("t", "a clock") for r in refs}, options=FEW)
    lines = compiled_pattern("{generation}/{seed}.png", "--prompt-pattern", PROMPT_KEYS)
    by_line = extract(refs, lines, {"x": Prompted("t", "a clock")}, FEW)
    assert by_caption.clusters == by_file.clusters == by_line.clusters
    assert by_caption.clusters[0].prompt == "a clock"


def test_what_belongs_to_no_prompt_is_one_line(tmp_path: Path) -> None:
    """Neither caption nor pattern nor line: refused, with the ways to say it; so is a name that does not fit."""
    write(tmp_path, "x", [draw(1)])
    with pytest.raises(InputError, match="does not say which prompt"):
        extract(iter_images([tmp_path]))
    pattern = compiled_pattern("{prompt}-{seed}.png", "--prompt-pattern", PROMPT_KEYS)
    with pytest.raises(InputError, match=r"'x/0.png' does not fit"):
        extract(iter_images([tmp_path]), pattern)


def test_no_generation_is_not_clean() -> None:
    """Trap "an empty input scored as perfect"."""
    with pytest.raises(EmptyInputError):
        extract([])


def test_too_many_of_one_prompt_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pixels would fill the memory; none is silently left out."""
    monkeypatch.setattr(extraction, "MOST", 3)
    write(tmp_path, "x", [draw(i) for i in range(4)])
    with pytest.raises(UsageError, match="'x' has 4 generations, at most 3"):
        found_in(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        ExtractOptions(threshold=0),
        ExtractOptions(threshold=1.5),
        ExtractOptions(threshold=float("nan")),
        ExtractOptions(clique=1),
        ExtractOptions(max_unmeasured=2),
    ],
)
def test_impossible_options_are_one_line(options: ExtractOptions) -> None:
    """A distance of 0 or NaN, a clique of one."""
    with pytest.raises(UsageError, match="out of range"):
        extract([], options=options)


def with_motif(number: int) -> Image.Image:
    """One scene, with another motif in its middle and a number in a corner, as another seed would draw them."""
    image = photograph(7)
    image.paste(photograph(100 + number, (90, 70)), (120, 90))
    image.paste(draw(200 + number, (50, 40)), (270, 200))
    return image


def test_templates_are_found_where_no_tile_is_close(tmp_path: Path) -> None:
    """A motif and a box in the corner that differ from seed to seed hide the picture from the largest distance."""
    write(tmp_path, "a shirt", [with_motif(number) for number in range(4)])
    write(tmp_path, "a wood", [photograph(20 + number) for number in range(4)])
    result = found_in(tmp_path)
    assert [(cluster.prompt, cluster.kind) for cluster in result.clusters] == [("a shirt", Kind.TEMPLATE)]
    cluster = result.clusters[0]
    assert cluster.largest_distance is not None
    assert cluster.largest_distance > FEW.threshold
    assert cluster.probability is not None
    assert cluster.probability >= copy_model().cut
    assert [box == pytest.approx((0, 0, 1, 1), abs=0.05) for box in cluster.boxes] == [True] * 4
    assert (result.memorised.count, result.redrawn, result.no_redrawn) == (1, None, "no encoder is at hand")
    assert "pictures drawn anew: no encoder is at hand" in result.not_read


@pytest.mark.skipif(find_sscd() is None, reason="no sscd weights: memaudit encoders fetch sscd")
def test_pictures_drawn_anew_stand_beside_the_others(tmp_path: Path) -> None:
    """They are a finding, and in no rate of copies."""
    write(tmp_path, "a lake", [drawn_anew(photograph(3), number) for number in range(4)])
    write(tmp_path, "a wood", [photograph(20 + number) for number in range(4)])
    regions = load_encoder("sscd").regions
    assert regions is not None
    result = extract(iter_images([tmp_path], contents=False), PATTERN, options=FEW, regions=regions)
    assert [(cluster.prompt, cluster.kind) for cluster in result.clusters] == [("a lake", Kind.REDRAWN)]
    assert result.memorised.count == 0
    assert result.redrawn is not None
    assert result.redrawn.count == 1
    assert result.clusters[0].boxes == (None,) * 4


def drawn_anew(image: Image.Image, seed: int) -> Image.Image:
    """Softened, bent and recoloured by chance, under strokes of its own."""
    rng = np.random.default_rng(seed)
    pixels = cv2.GaussianBlur(np.asarray(image), (0, 0), 3)
    height, width = pixels.shape[:2]
    shift = [cv2.resize(rng.normal(size=(6, 6)), (width, height), interpolation=cv2.INTER_CUBIC) * 5 for _ in range(2)]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    bent = cv2.remap(pixels, (columns + shift[0]).astype(np.float32), (rows + shift[1]).astype(np.float32), 1)
    strokes = cv2.GaussianBlur(rng.normal(0, 60, pixels.shape), (0, 0), 1.5)
    return Image.fromarray(np.clip(bent * rng.uniform(0.8, 1.1, 3) + strokes, 0, 255).astype(np.uint8))


def test_beyond_the_first_generations_only_verbatim_ones_are_found_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "LOOKED_AT", 5)
    write(tmp_path, "late", [draw(30 + number) for number in range(4)] + [with_motif(number) for number in range(4)])
    result = found_in(tmp_path)
    assert result.clusters == ()
    assert any("beyond the first 5 generations: 1 prompt has more" in line for line in result.not_read)


def test_behind_the_card_of_a_filter_as_many_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards are the first that two prompts give: what comes behind them is looked at as if they were not there."""
    monkeypatch.setattr(extraction, "LOOKED_AT", 5)
    cards, shirts = [draw(9)] * 4, [with_motif(number) for number in range(4)]
    write(tmp_path, "a shirt", [*cards, *shirts])
    write(tmp_path, "a coat", [*cards, shirts[0], draw(30), *shirts[1:], draw(31)])
    result = found_in(tmp_path)
    assert [(cluster.prompt, cluster.kind) for cluster in result.clusters] == [
        ("a coat", Kind.TEMPLATE),
        ("a shirt", Kind.TEMPLATE),
    ]
    assert result.clusters[1].members == tuple(f"a shirt/{seed}.png" for seed in range(4, 8))
    assert any("beyond the first 5 generations: 1 prompt has more" in line for line in result.not_read)


def test_a_clique_larger_than_what_is_looked_at_is_verbatim_or_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No prompt is called clean of templates that nobody could find."""
    monkeypatch.setattr(extraction, "LOOKED_AT", 3)
    write(tmp_path, "a shirt", [with_motif(number) for number in range(4)])
    write(tmp_path, "a clock", [noisy(draw(1), seed) for seed in range(4)])
    result = found_in(tmp_path)
    assert [cluster.prompt for cluster in result.clusters] == ["a clock"]
    assert result.no_parts == "the first 3 generations alone are compared, and --clique is 4"
    assert result.redrawn is None
    assert result.not_read == (f"templates, parts and pictures drawn anew: {result.no_parts}",)


def test_without_opencv_nothing_but_verbatim_ones_is_looked_for_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object) -> None:
        raise MissingDependencyError("comparing pixels needs OpenCV")

    monkeypatch.setattr(extraction, "common_picture", missing)
    write(tmp_path, "a clock", [noisy(draw(1), i) for i in range(5)])
    write(tmp_path, "a shirt", [with_motif(number) for number in range(4)])
    result = found_in(tmp_path)
    assert [cluster.kind for cluster in result.clusters] == [Kind.VERBATIM]
    assert "templates, parts and pictures drawn anew: comparing pixels needs OpenCV" in result.not_read
    assert result.no_parts == "comparing pixels needs OpenCV"
