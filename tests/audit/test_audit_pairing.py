"""The pairing file: read exactly, or refused with its line."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vectors import random_vectors, vector_store

from memaudit.audit.pairing import (
    Prompted,
    compiled_pattern,
    lines_of,
    paired_rows,
    pairer,
    read_pairing,
    stem_of,
    unknown_images,
)
from memaudit.errors import InputError, UsageError
from memaudit.store import Store


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "pairing.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("header", ["generation,image_id", "query_id,reference_id", "generation,training_id"])
def test_columns_by_any_of_their_names(tmp_path: Path, header: str) -> None:
    """Without a prompt column the prompt is empty."""
    assert read_pairing(write(tmp_path, f"{header}\ng1,t1\n")) == {"g1": Prompted("t1", "")}


def test_order_of_columns_quotes_and_byte_order_mark(tmp_path: Path) -> None:
    """As spreadsheets write it: a byte order mark, quoted commas and newlines, columns in any order."""
    text = '\ufeffprompt,image_id,generation,seed\r\n"a clock, at 1\no\'clock",t/1.png,g 1.png,7\r\n'
    assert read_pairing(write(tmp_path, text)) == {"g 1.png": Prompted("t/1.png", "a clock, at 1\no'clock", "7")}


def test_half_a_surrogate_pair_is_escaped(tmp_path: Path) -> None:
    """JSON can spell it, and no table can hold it."""
    path = tmp_path / "pairing.jsonl"
    path.write_text('{"generation": "g.png", "image_id": "t.png", "prompt": "a \\ud800 cat"}')
    prompt = read_pairing(path)["g.png"].prompt
    assert prompt.startswith("a ")
    assert prompt.encode()


def test_many_generations_may_share_a_training_image(tmp_path: Path) -> None:
    """Several seeds of one prompt are several lines."""
    assert len(read_pairing(write(tmp_path, "generation,image_id\na,t\nb,t\nc,t\n"))) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line"),
        (
            "image_id,prompt\nt,p\n",
            "and image_id or reference_id or training_id, found image_id, prompt",
        ),
        ("generation,prompt\ng,p\n", "found generation, prompt"),
        ("generation,image_id\n", "has no line"),
        ("generation,image_id\n\n\n", "has no line"),
        ("generation,image_id\n,t\n", "line 2: the generation or its training image_id is empty"),
        ("generation,image_id\ng,t\nh,\n", "line 3: the generation or its training image_id is empty"),
        ("generation,image_id\ng\n", "line 2: the generation or its training image_id is empty"),
        ("generation,image_id\ng,t\nh,t\ng,u\n", "line 4: generation 'g' occurs twice"),
        ("generation,image_id,prompt\ng,t,a red, round clock\n", "line 2: more fields than the header has names"),
        ('generation,image_id,prompt\ng,t,"two\nlines"\n,u,p\n', "line 4: the generation"),
        (b"generation,image_id\n\xff\xfe,t\n", "is not UTF-8 text"),
        ("generation,image_id\ng," + "x" * 200_000 + "\n", "not valid CSV: field larger"),
    ],
)
def test_what_cannot_be_a_pairing_is_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    """Trap "an empty input scored as perfect": also a file without a line is refused, and not taken for no pairing."""
    with pytest.raises(InputError) as caught:
        read_pairing(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    """What cannot be opened names the file."""
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_pairing(path)


def test_rows_are_found_by_id_and_not_by_position(tmp_path: Path) -> None:
    """Trap "results by position" (SemDeDup): ids in another order, with unknown and unnamed ones between."""
    training = vector_store(tmp_path / "t", random_vectors(0, 5), ids=list("edcba"), shard_rows=2)
    store = vector_store(tmp_path / "g", random_vectors(1, 4), ids=["g1", "g2", "g3", "g4"])
    pairing = {"g4": Prompted("e", ""), "g1": Prompted("a", ""), "g2": Prompted("zz", ""), "gone": Prompted("b", "")}
    rows = paired_rows(lines_of(store, pairing), training, pairing)
    assert rows.tolist() == [4, -1, -1, 0]
    assert rows.dtype == np.int64


def test_unknown_training_images_are_shown_beside_what_there_is(tmp_path: Path) -> None:
    """Three that the pairing names, and three of the store: a folder or an extension too much is seen at once."""
    training = vector_store(tmp_path / "t", random_vectors(0, 5), ids=[f"set/{n}.png" for n in range(5)])
    pairing = {f"g{n}": Prompted(f"{n}.png") for n in range(4)} | {"known": Prompted("set/0.png")}
    (reason,) = unknown_images(training, pairing, 0.01)
    assert reason.startswith("4 training images that the pairing names are not in ")
    assert "it names '0.png', '1.png', '2.png'; " in reason
    assert reason.endswith("image_ids of the store look like 'set/0.png', 'set/1.png', 'set/2.png'")
    assert unknown_images(training, pairing, 0.8) == ()
    assert unknown_images(training, {"known": Prompted("set/0.png")}, 0) == ()


# --- JSON lines ----------------------------------------------------------------------------------------------------


def lines_file(folder: Path, *lines: str) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_json_lines_are_read_like_a_table(tmp_path: Path) -> None:
    """What memaudit prompts writes: numbers are text, further keys are passed over, empty lines too."""
    path = lines_file(
        tmp_path, '{"generation": "000001", "image_id": "a.png", "prompt": "x, y", "seed": 7, "copies": 3}', ""
    )
    assert read_pairing(path) == {"000001": Prompted("a.png", "x, y", "7")}


def test_a_json_array_and_parquet_are_pairings(tmp_path: Path) -> None:
    """The same rows, in whatever form; of a list of prompts the first, and NaN is none."""
    rows = [{"Generation": "g1", "image_id": "t1", "prompt": ["a cat", "a pet"], "seed": 7}]
    rows += [{"Generation": "g2", "image_id": "t2", "prompt": None, "seed": None}]
    expected = {"g1": Prompted("t1", "a cat", "7"), "g2": Prompted("t2")}
    (tmp_path / "p.json").write_text(json.dumps(rows).replace("null", "NaN"))
    assert read_pairing(tmp_path / "p.json") == expected
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    assert read_pairing(tmp_path / "p.parquet") == expected
    (tmp_path / "p.json").write_text("{}")
    with pytest.raises(InputError, match=r"pairing .*p\.json holds a JSON object: expected an array of objects"):
        read_pairing(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line 1: expected an object, found list; a JSON array goes into a .json file"),
        ("{", "line 1: not valid JSON"),
        ('{"generation": "g"}', "line 1: the generation or its training image_id is empty"),
        ("", "no line"),
    ],
)
def test_what_are_no_json_lines_is_one_line(tmp_path: Path, line: str, message: str) -> None:
    """Half a line, a list, or nothing at all."""
    with pytest.raises(InputError, match=message):
        read_pairing(lines_file(tmp_path, line))


# --- names and metadata --------------------------------------------------------------------------------------------


@pytest.fixture
def training(tmp_path: Path) -> Store:
    ids = ["clock.png", "art/moon.jpg", "art/moon.v2.jpg", "flag_1.png"]
    return vector_store(tmp_path / "t", random_vectors(0, 4), ids=ids)


def made(folder: Path, *ids: str, **columns: object) -> Store:
    return vector_store(folder / "g", random_vectors(1, len(ids)), ids=ids, **columns)  # type: ignore[arg-type]


def paired(
    generations: Store, training: Store, file: Path | None = None, pattern: str | None = None
) -> dict[str, Prompted]:
    pair = pairer(file, pattern, False)
    assert pair is not None
    return dict(pair(generations, training))


@pytest.mark.parametrize(
    ("image_id", "stem"),
    [("a/b.png", "a/b"), ("a.v2.jpg", "a.v2"), ("plain", "plain"), ("a.b/c", "a.b/c"), ("x.", "x.")],
)
def test_a_stem_is_the_name_without_its_extension(image_id: str, stem: str) -> None:
    """Only the last part counts, and a folder with a dot has none."""
    assert stem_of(image_id) == stem


def test_a_file_may_leave_out_the_extension(tmp_path: Path, training: Store) -> None:
    """`000001` names 000001.png; an exact name comes first; what is not there stays, and counts as missing."""
    file = write(tmp_path, "generation,image_id\n000001,clock.png\nb.png,flag_1.png\ngone,clock.png\n")
    pairs = paired(made(tmp_path, "000001.png", "b.png"), training, file)
    assert pairs == {
        "000001.png": Prompted("clock.png"),
        "b.png": Prompted("flag_1.png"),
        "gone": Prompted("clock.png"),
    }


def test_a_name_that_may_be_either_of_two_is_refused(tmp_path: Path, training: Store) -> None:
    """x.png and x.jpg are both called x: which of them was meant cannot be known."""
    file = write(tmp_path, "generation,image_id\nx,clock.png\n")
    with pytest.raises(InputError, match=r"either of the generations 'x.png' and 'x.jpg'"):
        paired(made(tmp_path, "x.png", "x.jpg"), training, file)


def test_a_generation_named_with_and_without_its_extension_is_refused(tmp_path: Path, training: Store) -> None:
    """Two lines for one generation contradict each other."""
    file = write(tmp_path, "generation,image_id\nx,clock.png\nx.png,flag_1.png\n")
    with pytest.raises(InputError, match=r"names generation 'x.png' twice"):
        paired(made(tmp_path, "x.png"), training, file)


def test_a_template_reads_image_and_seed_from_the_name(tmp_path: Path, training: Store) -> None:
    """{image_id} with or without its extension, folders included; underscores within it stay."""
    store = made(tmp_path, "clock_7.png", "art/moon_12.png", "flag_1.png_3.png")
    pairs = paired(store, training, pattern="{image_id}_{seed}.png")
    assert pairs == {
        "clock_7.png": Prompted("clock.png", "", "7"),
        "art/moon_12.png": Prompted("art/moon.jpg", "", "12"),
        "flag_1.png_3.png": Prompted("flag_1.png", "", "3"),
    }
    assert paired_rows(lines_of(store, pairs), training, pairs).tolist() == [0, 1, 3]


def test_a_regular_expression_may_name_the_groups(tmp_path: Path, training: Store) -> None:
    """For whatever a template cannot say."""
    pattern = r"run-\d+/(?P<image_id>[^#]+)#(?P<prompt>.*)\.png"
    pairs = paired(made(tmp_path, "run-3/clock#at three.png"), training, pattern=pattern)
    assert pairs == {"run-3/clock#at three.png": Prompted("clock.png", "at three", "")}


def test_a_pattern_may_lead_to_the_lines_of_a_file(tmp_path: Path, training: Store) -> None:
    """Several seeds of a prompt: each generation gets its line's image; a line without any is missing."""
    file = lines_file(
        tmp_path,
        '{"generation": "000001", "image_id": "clock.png", "prompt": "p", "seed": 5}',
        '{"generation": "000002", "image_id": "flag_1.png", "prompt": "q"}',
    )
    store = made(tmp_path, "000001_0.png", "000001_1.png")
    pairs = paired(store, training, file, "{generation}_{seed}.png")
    assert pairs == {
        "000001_0.png": Prompted("clock.png", "p", "0"),
        "000001_1.png": Prompted("clock.png", "p", "1"),
        "000002": Prompted("flag_1.png", "q", ""),
    }


@pytest.mark.parametrize(
    ("names", "pattern", "message"),
    [
        (
            ["clock_7.png", "other.png"],
            "{image_id}_{seed}.png",
            "1 of 2 generations do not fit .* the first is 'other.png'",
        ),
        (["sun_7.png"], "{image_id}_{seed}.png", "leads to no training image: .* called 'sun'"),
        (["art/moon_7.png", "moon_7.png"], "{image_id}_{seed}.png", None),
    ],
)
def test_names_that_cannot_be_meant_are_one_line(
    tmp_path: Path, training: Store, names: list[str], pattern: str, message: str | None
) -> None:
    """A slip in a pattern must not pass for a pairing of nothing; one unknown image only lowers the coverage."""
    store = made(tmp_path, *names)
    if message is None:
        pairs = paired(store, training, pattern=pattern)
        assert paired_rows(lines_of(store, pairs), training, pairs).tolist() == [1, -1]
        return
    with pytest.raises(InputError, match=message) as caught:
        paired(store, training, pattern=pattern)
    assert "\n" not in str(caught.value)


def test_a_training_name_without_extension_may_be_ambiguous(tmp_path: Path) -> None:
    """Two training images a.png and a.jpg: the pattern's `a` is refused, with both names."""
    training = vector_store(tmp_path / "t", random_vectors(0, 2), ids=["a.png", "a.jpg"])
    with pytest.raises(InputError, match=r"either of the training images 'a.png' and 'a.jpg'"):
        paired(made(tmp_path, "a_1.png"), training, pattern="{image_id}_{seed}.png")


def test_a_line_that_the_file_lacks_is_refused(tmp_path: Path, training: Store) -> None:
    """A generation of a prompt that was never chosen does not belong here."""
    file = lines_file(tmp_path, '{"generation": "000001", "image_id": "clock.png"}')
    with pytest.raises(InputError, match=r"'000009_0.png' names '000009'"):
        paired(made(tmp_path, "000009_0.png"), training, file, "{generation}_{seed}.png")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{seed}.png", "names seed: expected one of"),
        ("plain.png", "names nothing: expected one of"),
        ("{image_id}{image_id}", "names {image_id} twice"),
        ("{image_id}{generation}", "names generation, image_id: expected one of"),
        ("(?P<image_id>", "no regular expression"),
        ("(?P<image_id>a)(?P<other>b)", "names image_id, other: expected"),
    ],
)
def test_what_is_no_pattern_is_one_line(pattern: str, message: str) -> None:
    """Said before anything is embedded."""
    with pytest.raises(UsageError, match=message):
        compiled_pattern(pattern)


def test_options_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """A file and a pattern of image_ids, a pattern of lines without a file, metadata beside either."""
    file = write(tmp_path, "generation,image_id\ng,t\n")
    for arguments in ((file, "{image_id}.png", False), (None, "{generation}.png", False), (file, None, True)):
        with pytest.raises(UsageError, match="--pairing"):
            pairer(*arguments)
    assert pairer(None, None, False) is None


def test_metadata_say_what_belongs_together(tmp_path: Path, training: Store) -> None:
    """Columns of the generations' manifest: training_id, prompt or caption, seed; those without stay unpaired."""
    metadata = ['{"training_id": "clock.png", "seed": 3}', '{"reference_id": "flag_1.png", "prompt": "q"}', "", "[1]"]
    store = made(tmp_path, "a", "b", "c", "d", metadata=metadata, captions=["from the caption", "x", "y", "z"])
    pair = pairer(None, None, True)
    assert pair is not None
    assert pair(store, training) == {
        "a": Prompted("clock.png", "from the caption", "3"),
        "b": Prompted("flag_1.png", "q"),
    }


def test_metadata_without_a_training_image_are_refused(tmp_path: Path, training: Store) -> None:
    """Asked for, and not there: not a pairing of nothing."""
    pair = pairer(None, None, True)
    assert pair is not None
    with pytest.raises(InputError, match=r"no generation of .* has metadata"):
        pair(made(tmp_path, "a"), training)


def test_a_table_of_prompts_names_no_training_image(tmp_path: Path) -> None:
    """Where there is no training set; an audit's has to."""
    path = tmp_path / "prompts.csv"
    path.write_text("generation,prompt\na,a clock\n")
    assert read_pairing(path, prompts=True)["a"] == Prompted("", "a clock")
    with pytest.raises(InputError, match="training image_id is empty: expected columns"):
        read_pairing(path)
    path.write_text("generation,prompt\na,\n")
    with pytest.raises(InputError, match="the generation or its prompt is empty"):
        read_pairing(path, prompts=True)
