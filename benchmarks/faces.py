"""Speed of faces; with --folder how well people are told apart (face_rates.py).

Finding: images/s of `memaudit.faces.embed.embed_faces`, from files to finished store, over images/s of the bare loop
of OpenCV's sample (imread, resize, FaceDetectorYN, alignCrop, FaceRecognizerSF) on the same files, with OpenCV's own
threads. Both in this process, in turns; both load their models each time. Without folders: what scripts/fetch_faces
brought, each picture also mirrored, and at four sizes, so that no file occurs twice.
Comparing: pairs/s of the join of N x N random 128-d faces at a calibrated threshold, over a FAISS IndexFlatIP range
search of the same faces (a part of the queries, for it takes long).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import faiss
import numpy as np
from PIL import Image, ImageOps

from benchmarks.face_rates import figures_of
from benchmarks.measure import timed
from benchmarks.record import Figure, of_rounds
from benchmarks.runner import Benchmark
from benchmarks.samples import face_photographs
from memaudit.encoders.sface import SFACE_FILE, YUNET_FILE, face_weights, import_cv2, resolve
from memaudit.faces.embed import FaceOptions, count_faces, embed_faces
from memaudit.faces.find import DETECTION_SIDE, SCORE
from memaudit.images.sources import iter_images
from memaudit.similarity.join import join
from memaudit.similarity.nominate import Side, fastest_lossless
from memaudit.types import Float32

THRESHOLD = 0.55
DIM = 128
ASKED_RATIO = ">= 1.0"


def default_folder(folder: Path) -> Path:
    """Each photograph, and mirrored, at four sizes."""
    folder.mkdir()
    for number, path in enumerate(face_photographs()):
        for side in (1024, 800, 640, 512):
            picture = ImageOps.contain(Image.open(path).convert("RGB"), (side, side))
            picture.save(folder / f"{number:02d}-{side}.jpg", quality=92)
            ImageOps.mirror(picture).save(folder / f"{number:02d}-{side}-mirrored.jpg", quality=92)
    return folder


def bare_loop(files: Sequence[str]) -> int:
    """Detector and encoder of OpenCV on each file; the number of faces."""
    cv2 = import_cv2()
    detector = cv2.FaceDetectorYN.create(str(face_weights(YUNET_FILE)), "", (112, 112), SCORE, 0.3, 5000)
    encoder = cv2.FaceRecognizerSF.create(str(face_weights(SFACE_FILE)), "")
    faces = 0
    for file in files:
        pixels = cv2.imread(file)
        scale = min(1.0, DETECTION_SIDE / max(pixels.shape[:2]))
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
        detector.setInputSize(small.shape[1::-1])
        found = detector.detect(small)[1]
        for row in [] if found is None else found:
            row[:14] /= scale
            encoder.feature(encoder.alignCrop(pixels, row))
            faces += 1
    return faces


def embed_all(folder: Path) -> int:
    with tempfile.TemporaryDirectory() as out:
        return count_faces(embed_faces([folder], Path(out, "faces"), resolve("sface", "cpu"), FaceOptions())).faces


def finding(folder: Path, rounds: int) -> list[Figure]:
    """Both in turns, after one round that is not counted."""
    files = [ref.uri for ref in iter_images([folder])]
    faces, ours = bare_loop(files), embed_all(folder)
    bare, whole = [], []
    for _ in range(rounds):
        bare.append(timed(partial(bare_loop, files)))
        whole.append(timed(partial(embed_all, folder)))
    name = f"photographs with {faces} faces ({ours} by memaudit)"
    count, both = len(files), list(zip(whole, bare, strict=True))
    by_processor = [theirs.cpu_seconds / mine.cpu_seconds for mine, theirs in both]
    return [
        of_rounds(name, count, "bare loop of OpenCV, images/s", [count / took.seconds for took in bare]),
        of_rounds(name, count, "memaudit faces, images/s", [count / took.seconds for took in whole]),
        of_rounds(name, count, "memaudit faces / bare loop", [b.seconds / m.seconds for m, b in both], ASKED_RATIO),
        of_rounds(name, count, "memaudit faces / bare loop, images a second of processor time", by_processor),
    ]


def drawn(seed: int, rows: int) -> Float32:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIM), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def joined(left: Float32, right: Float32) -> int:
    backend = fastest_lossless(float(len(left)) * len(right), THRESHOLD)
    return sum(len(part.left) for part in join(Side.of(left), Side.of(right), THRESHOLD, backend))


def ranged(left: Float32, right: Float32) -> int:
    index = faiss.IndexFlatIP(DIM)
    index.add(right)
    return int(index.range_search(left, THRESHOLD)[0][-1])


def comparing(rows: int, part: int, rounds: int) -> list[Figure]:
    """The join over all pairs, FAISS over a part of the queries."""
    left, right = drawn(1, rows), drawn(2, rows)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(rows * rows / timed(partial(joined, left, right)).seconds)
        theirs.append(part * rows / timed(partial(ranged, left[:part], right)).seconds)
    name = f"{rows:,} x {rows:,} random faces, {DIM}-d"
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return [
        of_rounds(name, rows, "join, pairs/s", ours),
        of_rounds(name, part, "FAISS IndexFlatIP range search, pairs/s", theirs),
        of_rounds(name, rows, "join / FAISS", ratios),
    ]


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    if options.folder:
        yield from figures_of(options.folder, options.encoders, options.groups)
        return
    for folder in options.folders or [default_folder(scratch / "photographs")]:
        yield from finding(folder, options.rounds)
    yield from comparing(options.rows, min(options.part, options.rows), options.rounds)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", metavar="FOLDER", nargs="*", type=Path)
    parser.add_argument("--folder", metavar="DIR", type=Path, help="pictures, in a sub-folder for each person")
    parser.add_argument("--groups", metavar="CSV", type=Path, help="of --folder: columns person, group")
    parser.add_argument("--encoders", metavar="NAME", nargs="*", default=["sface"], help="of --folder")
    parser.add_argument("--rounds", metavar="N", type=int, default=3)
    parser.add_argument("--rows", metavar="N", type=int, default=100_000, help="faces on each side of the comparison")
    parser.add_argument("--part", metavar="N", type=int, default=5000, help="queries of the FAISS range search")


PACKAGES = ("opencv-python-headless", "numpy", "torch", "faiss-cpu", "faiss-gpu-cuvs")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures)
