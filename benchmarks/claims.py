"""What `memaudit claims` finds of planted pictures, what it costs, and whether its ledger survives kills and changes.

`--originals` real pictures stand in a training set among `--among` other real ones and `--rows` synthetic embeddings
(no files: rows that are searched and are near no picture). Claimed are 21 alterations of each original, the originals
themselves, and `--strangers` real pictures that are not in the set. found: the original is among the training images
that the answer names; wrong: it names another real one, or any for a stranger. Then a ledger of `--lines` lines is
killed within a write, and changed at each of its lines in four ways: named by its line, or not.

Where others use the machine seconds are of theirs as well; processor seconds less so.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import memaudit as ma
from benchmarks.alterations import SETTINGS, Beside, write_copies
from benchmarks.audit.commands import embedded
from benchmarks.measure import timed
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.samples import COLOUR_MASK, pictures_of, sample_emoji, sample_photographs, sized
from benchmarks.synthetic import make_store
from memaudit.api.claims import PictureAnswer
from memaudit.claims import ledger as ledgers
from memaudit.files import chain
from memaudit.store import Store
from scripts.alterations import read_rgb, write_picture

ENCODER = "sscd"
SAME, STRANGER = "the same file", "not in the set"
CHANGES = ("edited", "removed", "moved", "cut")


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    claimed, store = _made(options, work)
    told = timed(lambda: ma.answer_claim(claimed, store, work / "claims", claimant="R. Holder", views=options.views))
    yield from _found(told.result.pictures)
    count = len(told.result.pictures)
    yield Figure(f"claim of {count:,} pictures", len(store), "seconds a picture", told.seconds / count)
    yield Figure(f"claim of {count:,} pictures", len(store), "processor seconds a picture", told.cpu_seconds / count)
    again = timed(lambda: ma.answer_claim(claimed, store, work / "claims", claimant="R. Holder", views=options.views))
    yield Figure("the same claim again", count, "seconds in all", again.seconds, note="answered before: it stands")
    yield from _ledger(options.lines, work / "ledger")


def _made(options: argparse.Namespace, work: Path) -> tuple[Path, Store]:
    """The claimed pictures, and the store."""
    pictures, claimed = work / "pictures", work / "claimed"
    pictures.mkdir()
    claimed.mkdir()
    folder = sample_photographs()[0].parents[1]
    wanted = options.originals + options.among + options.strangers
    files = dict[str, Path]()
    chosen = pictures_of(folder)[:wanted]
    for number, (_, path) in enumerate(chosen):
        name = f"{number:05d}.png"
        write_picture(sized(read_rgb(path)), pictures / name)
        files[name] = pictures / name
    names = list(files)
    originals, strangers = names[: options.originals], names[options.originals + options.among :]
    taken = {path for _, path in chosen}  # a copy that is pasted onto one of these shows two training images
    grounds = [path for path in sample_photographs() if path not in taken and not path.stem.endswith(COLOUR_MASK)]
    beside = Beside(sorted(sample_emoji().rglob("*.png")), grounds)
    for name in originals:
        os.link(files[name], claimed / f"{name[:-4]}-{SAME}.png")
        copies = write_copies(files[name], name, beside, work / "copies" / name)
        for setting, path in copies.items():
            os.link(path, claimed / f"{name[:-4]}-{setting}{path.suffix}")
    for name in strangers:
        os.link(files[name], claimed / f"{name[:-4]}-{STRANGER}.png")
    training = {name: files[name] for name in names if name not in strangers}
    real = Store.open(embedded(training, work / "real", ENCODER))
    if not options.rows:
        return claimed, real
    synthetic = make_store(work / "synthetic", options.rows, real.encoder)
    return claimed, Store.open(ma.merge_stores([real, synthetic], work / "store").folder)


def _found(pictures: Sequence[PictureAnswer]) -> Iterator[Figure]:
    """By setting: found, missed, and what else was named."""
    sets: dict[str, list[tuple[str, PictureAnswer]]] = {}
    for picture in pictures:
        original, _, setting = Path(picture.name).stem.partition("-")
        sets.setdefault(setting, []).append((f"{original}.png", picture))
    for setting in (SAME, *SETTINGS, STRANGER):
        answers = sets.get(setting, [])
        named = [(name, {image.image_id for image in picture.found}) for name, picture in answers]
        found = sum(name in images for name, images in named)
        wrong = sum(bool(images - {name}) for name, images in named)
        how = Counter(picture.outcome for _, picture in answers)
        note = ", ".join(f"{outcome} {count}" for outcome, count in how.most_common())
        if setting != STRANGER:
            yield Figure(setting, len(answers), "found", found, note=note)
            yield Figure(setting, len(answers), "missed", len(answers) - found)
        yield Figure(setting, len(answers), "wrong", wrong, note=note if setting == STRANGER else "")
    copies = [pair for setting, part in sets.items() if setting in SETTINGS for pair in part]
    found = sum(name in {image.image_id for image in picture.found} for name, picture in copies)
    yield Figure("all 21 alterations", len(copies), "found", found, note=f"{found / max(1, len(copies)):.1%}")


def _ledger(lines: int, folder: Path) -> Iterator[Figure]:
    """After a kill within a write, and after changes."""
    for number in range(1, lines // 2 + 1):
        with ledgers.writing(folder) as ledger:
            ledgers.add(ledger, _received(number))
    yield Figure("ledger, killed within a write", 1, "known as unfinished", _killed(folder))
    with ledgers.writing(folder) as ledger:
        ledgers.add(ledger, _received(lines))
    path = folder / ledgers.LEDGER
    data = path.read_bytes()
    whole = data.splitlines(keepends=True)
    for change in CHANGES:
        named = 0
        for place in range(len(whole)):
            changed = _changed(whole, place, change)
            path.write_bytes(b"".join(changed))
            line = next((n for n, both in enumerate(zip_longest(whole, changed), 1) if both[0] != both[1]), 0)
            named += any(f"line {line}," in fault for fault in ma.verify_claims(folder).faults)
        path.write_bytes(data)
        yield Figure(f"ledger, a line {change}", len(whole), "named by its line", named)


def _changed(lines: list[bytes], place: int, change: str) -> list[bytes]:
    before, line, after = lines[:place], lines[place], lines[place + 1 :]
    if change == "edited":
        return [*before, line.replace(b"2026", b"2025", 1), *after]
    if change == "removed":
        return [*before, *after]
    if change == "moved":
        return [*after[:1], *before, line, *after[1:]] if after else [line, *before]
    return [*before, line[: len(line) // 2], *([b"\n", *after] if after else [])]


def _received(number: int) -> ledgers.Received:
    digest = f"{number:064x}"
    days = {"received": "2026-01-01", "due": "2026-01-29"}
    return ledgers.Received(
        claim=number, at=ledgers.now(), pictures=1, claimant_digest=digest, asked_digest=digest, **days
    )


def _killed(folder: Path) -> bool:
    """Whether half of a line that a killed process left is known, and all before it still stands."""
    before = len(ledgers.read_ledger(folder).chain.lines)
    if not (process := os.fork()):
        add = chain.add_to_chain

        def half(path: Path, data: bytes, *, new: bool, cut: int = 0) -> None:
            add(path, data[: len(data) // 2], new=new, cut=cut)
            os.kill(os.getpid(), signal.SIGKILL)

        vars(ledgers)["add_to_chain"] = half
        with ledgers.writing(folder) as ledger:
            ledgers.add(ledger, _received(10**6))
        os._exit(1)
    os.waitpid(process, 0)
    chained = ledgers.read_ledger(folder).chain
    return chained.cut > 0 and len(chained.lines) == before


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--originals", metavar="N", type=int, default=30)
    add("--among", metavar="N", type=int, default=60, help="other real pictures in the training set")
    add("--strangers", metavar="N", type=int, default=30, help="claimed pictures that are not in it")
    add("--rows", metavar="N", type=int, default=100_000, help="synthetic embeddings in it")
    add("--views", default="all", help="of the claimed pictures: none, flips or all")
    add("--lines", metavar="N", type=int, default=20, help="of the ledger that is changed")


PACKAGES = ("numpy", "onnxruntime", "pillow", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures)
