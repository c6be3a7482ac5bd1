"""By what a stage knows that its inputs are what they were: all that an audit, or a pipeline, would read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import write_pictures

from memaudit.files import digest_of, sha256_of
from memaudit.release.diffusing import pipeline_digest
from memaudit.release.state import listing_digest


def test_other_images_behind_the_same_list_are_others(tmp_path: Path) -> None:
    """An audit of six clean images stood for that of six copies of the same names."""
    write_pictures(tmp_path / "made", range(2))
    (tmp_path / "list.csv").write_text("path\nmade/0000.png\nmade/0001.png\n")
    before = listing_digest(tmp_path / "list.csv")
    assert listing_digest(tmp_path / "list.csv") == before
    (tmp_path / "made" / "0001.png").write_bytes(b"another")
    assert listing_digest(tmp_path / "list.csv") != before


def test_a_file_url_is_a_file(tmp_path: Path) -> None:
    write_pictures(tmp_path / "made", range(1))
    (tmp_path / "list.csv").write_text(f"path\nfile://{tmp_path}/made/0000.png\n")
    before = listing_digest(tmp_path / "list.csv")
    assert listing_digest(tmp_path / "list.csv") == before
    (tmp_path / "made" / "0000.png").write_bytes(b"another")
    assert listing_digest(tmp_path / "list.csv") != before


@pytest.mark.parametrize("text", ["path\nhttps://host/a.png\n", "path\nmemory://a.png\n"])
def test_of_what_lies_at_a_url_nobody_knows_that_it_is_as_before(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    assert listing_digest(tmp_path / "list.csv") != listing_digest(tmp_path / "list.csv")


def test_other_images_behind_a_link_to_a_folder_are_others(tmp_path: Path) -> None:
    for name, numbers in (("one", range(2)), ("two", range(5, 7))):
        write_pictures(tmp_path / name, numbers)
    (tmp_path / "made").mkdir()
    link = tmp_path / "made" / "sub"
    link.symlink_to(tmp_path / "one")
    before = listing_digest(tmp_path / "made")
    assert listing_digest(tmp_path / "made") == before
    link.unlink()
    link.symlink_to(tmp_path / "two")
    assert listing_digest(tmp_path / "made") != before


def test_other_weights_behind_a_link_are_another_pipeline(tmp_path: Path) -> None:
    """Also where both lie in the pipeline itself; a link to a folder above ends nowhere."""
    pipeline = tmp_path / "pipeline"
    for name in ("v1", "v2", "vae"):
        (pipeline / name).mkdir(parents=True)
        (pipeline / name / "weights").write_text(name)
    (pipeline / "model_index.json").write_text("{}")
    files = ("model_index.json", "v1/weights", "v2/weights", "vae/weights")
    plain = digest_of([[name, sha256_of(pipeline / name)] for name in files])
    (pipeline / "vae" / "up").symlink_to(pipeline)
    assert pipeline_digest(pipeline) == plain, "the digest of what has no links is what it was"
    digests = {plain}
    for target in ("v1", "v2", tmp_path / "elsewhere"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (tmp_path / "elsewhere" / "weights").write_text("others")
        (pipeline / "unet").unlink(missing_ok=True)
        (pipeline / "unet").symlink_to(target)
        digests.add(pipeline_digest(pipeline))
    assert len(digests) == 4
