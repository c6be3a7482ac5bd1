"""URLs: what is a name, what is a secret, and what stands beside a manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import draw

from memaudit.encoders import load_encoder
from memaudit.images.addresses import beside, unsigned, unsigned_word
from memaudit.images.sources import iter_images, read_image
from memaudit.images.views import views_of
from memaudit.index import ExactSearch
from memaudit.lookup.run import LookupOptions, look_up
from memaudit.store import NO_FILE, Row, Store, writing_store
from memaudit.types import Status

SIGNED = "https://bucket.s3.amazonaws.com/set/a.png?X-Amz-Algorithm=AWS4&X-Amz-Expires=60&X-Amz-Signature=c0ffee"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (SIGNED, "https://bucket.s3.amazonaws.com/set/a.png"),
        ("https://h/a.tar?X-Amz-Signature=c0#tar=512,9,x.png", "https://h/a.tar#tar=512,9,x.png"),
        ("https://h/i?id=7&AWSAccessKeyId=K&Expires=9&Signature=c0", "https://h/i?id=7"),
        ("https://h/a.png?sv=2024&se=2026&sp=r&sig=c0", "https://h/a.png"),
        ("https://h/a.png?ex=65&is=64&hm=c0", "https://h/a.png"),
        ("https://h/o/a.png?alt=media&token=c0", "https://h/o/a.png?alt=media"),
        ("https://user:secret@h/a.png", "https://h/a.png"),
        ("zip://a.png::https://h/z.zip?X-Goog-Signature=c0", "zip://a.png::https://h/z.zip"),
        ("https://h/i?id=7&sp=r&is=1", "https://h/i?id=7&sp=r&is=1"),
        ("https://h/a%20b.png", "https://h/a%20b.png"),
        ("https://h/i?", "https://h/i"),
        ("s3://bucket/a@b.png?x", "s3://bucket/a@b.png?x"),
        ("s3://bucket/a:b@c.png", "s3://bucket/a:b@c.png"),
        ("s3://AKIA:secret@bucket/a@b.png", "s3://bucket/a@b.png"),
        ("s3://AKIA:sec/ret+@bucket/a@b.png", "s3://bucket/a@b.png"),
        ("s3://AKIA:12/34@bucket/a@b.png", "s3://bucket/a@b.png"),
        ("gs://bob:p@ss@bucket/a.png", "gs://bucket/a.png"),
        ("alluxio://host:19998/a@b.png", "alluxio://host:19998/a@b.png"),
        ("abfs://pictures@account.dfs.core.windows.net/a.png", "abfs://pictures@account.dfs.core.windows.net/a.png"),
        ("github://org:repo@main/a.png", "github://org:repo@main/a.png"),
        ("memory://a:b@c.png", "memory://a:b@c.png"),
        ("/data/a.png?token=1", "/data/a.png?token=1"),
    ],
)
def test_what_is_shown_of_a_location(location: str, shown: str) -> None:
    """Signatures, tokens and passwords go; whatever else tells two images apart stays."""
    assert unsigned(location) == shown
    assert unsigned(shown) == shown


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (f"--control={SIGNED}", "--control=https://bucket.s3.amazonaws.com/set/a.png"),
        ("--control=https://bob:secret@h/y.csv?id=7&token=abc", "--control=https://h/y.csv?id=7"),
        ("--control=s3://AKIA:secret@bucket/a", "--control=s3://bucket/a"),
        ("--where=set=https://bob:secret@h/y.csv", "--where=set=https://h/y.csv"),
        (SIGNED, "https://bucket.s3.amazonaws.com/set/a.png"),
        ("--model=pear=1", "--model=pear=1"),
        ("--control=a=b/", "--control=a=b/"),
    ],
)
def test_what_is_shown_of_a_word_of_a_command(word: str, shown: str) -> None:
    """A location after the name of an option loses its secrets too; the rest of the word stays."""
    assert unsigned_word(word) == shown


def test_what_stands_beside_a_table(tmp_path: Path) -> None:
    """Relative to it; absolute from the root of its file system or host; a URL as it is."""
    assert beside("https://h/d/m.csv?X-Amz-Signature=a/b", "x/a.png") == "https://h/d/x/a.png"
    assert beside("https://h/d/m.csv", "/x/a.png") == "https://h/x/a.png"
    assert beside("s3://bucket/d/m.csv", "/x/a.png") == "s3://bucket/x/a.png"
    assert beside("file:///d/m.csv", "/abs/a.png") == "file:///abs/a.png"
    assert beside("file:///d/m.csv", "a.png") == "file:///d/a.png"
    assert beside("memory://m.csv", "a.png") == "memory://a.png"
    assert beside(str(tmp_path / "m.csv"), "x/../a.png") == str(tmp_path / "a.png")
    assert beside(str(tmp_path / "m.csv"), SIGNED) == SIGNED
    for odd in ("a\0.png", "https://h/\ud800.png"):
        with pytest.raises(ValueError, match=r"NUL|surrogates"):
            beside("/d/m.csv", odd)


def test_absolute_paths_in_a_manifest_at_a_file_url(tmp_path: Path) -> None:
    """The same images as by its path."""
    draw(1).save(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text(f"path\n{tmp_path / 'a.png'}\n")
    (ref,) = iter_images([f"file://{tmp_path}/m.csv"])
    assert read_image(ref.uri) == (tmp_path / "a.png").read_bytes()


def test_a_signature_is_no_part_of_an_image_id(tmp_path: Path) -> None:
    """The uri keeps it, because the image is read by it; the id is the same when the URL is signed again."""
    (tmp_path / "m.csv").write_text(f"URL,TEXT\n{SIGNED},a disc\n")
    (ref,) = iter_images([tmp_path / "m.csv"])
    assert (ref.image_id, ref.uri, ref.caption) == (unsigned(SIGNED), SIGNED, "a disc")


def test_no_signature_gets_into_a_manifest_or_an_answer(tmp_path: Path) -> None:
    """store.json and look-ups name the image, and not how to get at it; the store's rows do, to read it again."""
    draw(1).save(tmp_path / "a.png")
    encoder, source = load_encoder("thumbnail"), tmp_path / "t"
    vector = encoder.encode(np.stack([encoder.preprocess(draw(1))]))[0]
    with writing_store(source, encoder.spec, 8, [SIGNED]) as writer:
        writer.write_shard([Row("a", SIGNED, "", NO_FILE, 9, 9, Status.OK, "", vector)])
        writer.finish()
    store = Store.open(source)
    assert "c0ffee" not in (source / "store.json").read_text()
    assert store.all_columns().uri[0] == SIGNED
    options = LookupOptions(views_of("none"), match="none")
    found = look_up(iter_images([tmp_path / "a.png"]), ExactSearch(store), encoder, options)
    assert found.answers[0].matches[0].uri == unsigned(SIGNED)
