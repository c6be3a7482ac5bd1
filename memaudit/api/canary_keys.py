"""Canary keys: grey borders drawn by lot around training images, planted, and asked back by painting them anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from memaudit.api.notebook import grid
from memaudit.api.places import sources_of
from memaudit.audit.pairing import read_pairing
from memaudit.canaries.answered import LEAKED_FROM, Answers, KeyScore, KeyTally, answers_of, scored
from memaudit.canaries.keys import Key, KeyRegister, asked_of, make_keys, plant_keys, read_keys
from memaudit.canaries.keys import holds_keys as holds_keys
from memaudit.canaries.register import PROMPTS, require_planted, seed_of
from memaudit.files import is_store, sealed, write_json, write_text
from memaudit.folders import sole_writer
from memaudit.images.image_ref import ImageRef
from memaudit.images.sources import iter_images
from memaudit.report.keys import write_keys_page
from memaudit.store import Store
from memaudit.types import Coverage, Progress, Rate, Status, silent

CHECK, PAGE = "canary-check.json", "canary-check.html"
SCHEMA = "urn:memaudit:key-check:1"


@dataclass(frozen=True, repr=False)
class CanaryKeys:
    """A register of keys. asked: the file of what is to be painted.

    >>> keys = ma.make_canary_keys("training.csv", "keys", each=2, copies=(1, 4), side=64)
    >>> len(keys), sum(key.copies for key in keys.planted)
    (8, 10)
    """

    register: KeyRegister

    @property
    def planted(self) -> tuple[Key, ...]:
        """Those that go into training."""
        return self.register.planted

    @property
    def digest(self) -> str:
        """Of all that the register says: note it down before training."""
        return self.register.digest

    @property
    def asked(self) -> Path:
        return self.register.folder / PROMPTS

    def __len__(self) -> int:
        return len(self.register.keys)

    def __repr__(self) -> str:
        return f"<CanaryKeys: {len(self.planted):,} of {len(self):,} planted, in {self.register.folder}>"


@dataclass(frozen=True, repr=False)
class KeyCheck:
    """Which keys a model knows. answers: what came back; allowed: the share of keys that may go without an answer.

    >>> keys = ma.make_canary_keys("training.csv", "keys", each=2, copies=(1, 4), side=64)
    >>> check = ma.check_canary_keys(keys, "keys/images", out="check")  # as if a model had painted nothing
    >>> check.scores[0].grey, check.conclusive
    (128.0, True)
    """

    keys: CanaryKeys
    tally: KeyTally
    answers: Answers
    allowed: float
    folder: Path

    @property
    def planted(self) -> Rate:
        """Planted keys that are known, with 95 % bounds."""
        return self.tally.planted

    @property
    def p(self) -> float | None:
        """Of all planted keys together: that the answers have nothing to do with them; None without an answer."""
        return self.tally.p

    @property
    def scores(self) -> tuple[KeyScore, ...]:
        """One for each key, in the order of their names."""
        return self.tally.scores

    @property
    def coverage(self) -> Coverage:
        return self.tally.coverage

    @property
    def conclusive(self) -> bool:
        return not self._obstacles

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why it decides nothing, and what else a reader must know."""
        unnamed = self.answers.unnamed
        more = [f"{unnamed:,} pictures answer no line of the pairing and were left out"] if unnamed else []
        return (*self._obstacles, *more)

    @property
    def page(self) -> Path:
        return self.folder / PAGE

    @property
    def headline(self) -> str:
        n = self.planted.coverage.measured
        return f"{self.planted.count:,} of {n:,} planted keys are known"

    @property
    def _obstacles(self) -> tuple[str, ...]:
        return tuple(_obstacles(self.tally, self.allowed))

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {
            "schema": SCHEMA,
            "register": self.keys.digest,
            "conclusive": self.conclusive,
            "warnings": list(self.warnings),
            "coverage": self.coverage.as_dict(),
            "files": self.answers.coverage.as_dict(),
            "planted": self.planted.as_dict(),
            "p": self.p,
            "p_held_back": self.tally.p_held_back,
            "by_copies": [{"copies": each.copies, **each.rate.as_dict(), "p": each.p} for each in self.tally.by_copies],
            "keys": [{**asdict(each), "distance": each.distance, "known": each.known} for each in self.scores],
        }

    def __repr__(self) -> str:
        return f"<KeyCheck: {self.headline}>"

    def _repr_html_(self) -> str:
        rows = [
            (each.copies or "held back", each.rate.count, each.rate.coverage.measured) for each in self.tally.by_copies
        ]
        return grid(("copies", "known", "of"), rows, title="memaudit canary check", headline=self.headline)


def make_canary_keys(
    training: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    each: int = 10,
    copies: Sequence[int] = (1, 4, 16),
    held_back: int | None = None,
    side: int = 512,
    asks: int = 4,
    seed: int | None = None,
) -> CanaryKeys:
    """Draw training images by lot, and for each a key: the grey of a border around it (SolidMark, arXiv 2503.00592).

    training: a source of images, or a store. out: folder of register, pictures, mask and prompts, to be kept apart from
    the training set. each: keys for every number of `copies`. held_back: keys that do not go into training, None: as
    many as do. side: pixels of a picture with its border, as the model is trained on. asks: how often each picture's
    border is asked for. seed: None: of the register that is there, else one that nobody knows. Raises UsageError for
    impossible numbers, or a folder with another register; InputError for too few readable pictures.

    >>> ma.make_canary_keys("training.csv", "keys", each=2, copies=(1, 4), side=64)
    <CanaryKeys: 4 of 8 planted, in keys>
    """
    folder = Path(out)
    with sole_writer(folder):
        seed = seed_of(folder) if seed is None else seed
        register = make_keys(
            folder, _images_of(training), each=each, copies=tuple(copies), held_back=held_back, side=side, seed=seed
        )
        write_text(folder / PROMPTS, asked_of(register, asks))
    return CanaryKeys(register)


def open_canary_keys(folder: str | Path) -> CanaryKeys:
    """The keys of a folder. Raises InputError for what is no register, or pictures that are not as they were made.

    >>> made = ma.make_canary_keys("training.csv", "keys", each=2, copies=(1, 4), side=64)
    >>> ma.open_canary_keys("keys").digest == made.digest
    True
    """
    return CanaryKeys(read_keys(Path(folder)))


def plant_canary_keys(keys: str | Path | CanaryKeys, out: str | Path) -> Path:
    """Write the pictures with their borders into a folder, with a manifest of their captions, and replaced.txt, the
    training images that they stand for; return the manifest's path.

    >>> keys = ma.make_canary_keys("training.csv", "keys", each=2, copies=(1, 4), side=64)
    >>> ma.plant_canary_keys(keys, "to-train-on").name
    'manifest.csv'
    """
    register = _opened(keys).register
    with sole_writer(Path(out)):
        return plant_keys(register, Path(out))


def check_canary_keys(
    keys: str | Path | CanaryKeys,
    painted: str | Path,
    out: str | Path,
    *,
    pairing: str | Path | None = None,
    max_unreadable: float = 0.01,
    progress: Progress = silent,
) -> KeyCheck:
    """Say which keys a model knows, by the borders that it painted.

    painted: a source of images, called as `generation` in the register's prompts.jsonl, or as the pictures themselves;
    with `pairing` as that file calls them.
    out: folder of canary-check.json and of its page. max_unreadable: share of keys that may go without an answer.
    Raises InconclusiveError where nothing was planted.

    >>> keys = ma.make_canary_keys("training.csv", "keys", each=2, copies=(1, 4), side=64)
    >>> ma.check_canary_keys(keys, "keys/images", out="check").planted.coverage.measured
    4
    """
    opened, folder = _opened(keys), Path(out)
    require_planted(len(opened.planted), opened.register.folder)
    named = {name: asked.reference_id for name, asked in read_pairing(pairing or opened.asked).items()}
    named |= {} if pairing else {key.image_id: key.image_id for key in opened.register.keys}
    with sole_writer(folder):
        answers = answers_of(_counted(iter_images(sources_of(painted)), progress), named)
        check = KeyCheck(opened, scored(opened.register.keys, answers.greys), answers, max_unreadable, folder)
        write_keys_page(check.page, check.tally, opened.digest, check.headline, check.warnings, check.conclusive)
        write_json(folder / CHECK, sealed(check.as_dict()))
    return check


def _images_of(training: str | Path | Sequence[str | Path]) -> Iterator[ImageRef]:
    if isinstance(training, str | Path) and is_store(training):
        return _stored(Store.open(training))
    return iter_images(sources_of(training))


def _stored(store: Store) -> Iterator[ImageRef]:
    for columns in store.iter_columns():
        for image_id, uri, caption, status in zip(
            columns.image_id, columns.uri, columns.caption, columns.status, strict=True
        ):
            if status == Status.OK:
                yield ImageRef(image_id, uri, caption)


def _counted(refs: Iterable[ImageRef], progress: Progress) -> Iterator[ImageRef]:
    for number, ref in enumerate(refs, start=1):
        yield ref
        progress("reading borders", number, 0)


def _obstacles(tally: KeyTally, allowed: float) -> Iterator[str]:
    coverage = tally.coverage
    if not coverage.measured or coverage.falls_short(allowed):
        yield f"{coverage.measured:,} of {coverage.total:,} keys have an answer that can be read"
    held = next((each.p for each in tally.by_copies if not each.copies), None)
    if held is not None and held <= LEAKED_FROM:
        yield (
            f"held-back keys are known as well (p = {held:.2g}), which training did not show: whoever painted has seen "
            "the register, or pictures with their borders"
        )


def _opened(keys: str | Path | CanaryKeys) -> CanaryKeys:
    return keys if isinstance(keys, CanaryKeys) else open_canary_keys(keys)
