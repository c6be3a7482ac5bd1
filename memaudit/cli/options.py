"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from memaudit.embedding.run import EmbedOptions
    from memaudit.embedding.views import ViewStore
    from memaudit.encoders import Encoder
    from memaudit.store import Store
    from memaudit.types import EncoderSpec, Progress

OutPath = Annotated[Path, typer.Option("--out", help="Folder to write. Run again, the command continues there.")]
EncoderName = Annotated[str | None, typer.Option("--encoder", help="See memaudit encoders list.", show_default="sscd")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Threads that decode, and encode on a CPU; 0: one per core.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images per forward pass.")]
ShardRows = Annotated[int, typer.Option("--shard-rows", min=1, help="Images per shard: what a kill can cost.")]
Unverified = Annotated[
    bool, typer.Option("--allow-unverified-weights", help="Load weights whose sha256 memaudit does not know.")
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", help="Cosine similarity, tested with >=.", show_default="the encoder's own"),
]
MaxUnreadable = Annotated[
    float,
    typer.Option("--max-unreadable", min=0, max=1, help="Share of images that may be unmeasured before exit code 3."),
]
DEFAULT_ENCODER = "sscd"
DEFAULT_VIEWS = "tiles"


def require_readable(store: Store, allowed: float) -> None:
    """Raise InconclusiveError when a larger share than `allowed` could not be read, or an archive ends early."""
    from memaudit.errors import InconclusiveError

    if store.cut:  # whatever the share: it would be one of what is there, not of what there was
        raise InconclusiveError(
            f"archives of {store.folder} end early ({store.cut:,} rows say so): an unknown number of images is "
            f"missing; restore them and embed again (memaudit info {store.folder} lists the causes)"
        )
    coverage = store.coverage
    if coverage.falls_short(allowed):
        raise InconclusiveError(
            f"{coverage.total - coverage.measured:,} of {coverage.total:,} images could not be read, more than "
            f"--max-unreadable {allowed:g}; the store is complete: memaudit info {store.folder} lists the causes"
        )


def is_store(path: str | Path) -> bool:
    """True if `path` is a folder that holds a store, finished or not."""
    return (Path(path) / "store.json").is_file()


@dataclass(frozen=True)
class Embedder:
    """How a command embeds the images it is given, with the encoder that a store was made with."""

    name: str | None
    device: str
    workers: int
    batch_size: int
    shard_rows: int
    allow_unverified_weights: bool

    def store_of(self, source: str, folder: Path, like: EncoderSpec, progress: Progress) -> Store:
        """Open `source` if it is a store; else embed it into `folder`, anew where files changed since.

        Raises InconclusiveError when the encoder at hand is not the one of `like`.
        """
        from memaudit.embedding.run import embed
        from memaudit.store import Store

        if is_store(source):
            return self._as_asked(Store.open(source))
        return embed([source], folder, self.load(like), self._options(), replace_changed=True, progress=progress)

    def with_views(
        self, source: str, choice: str | None, folder: Path, against: Store, progress: Progress
    ) -> tuple[Store, ViewStore | None]:
        """As `store_of`, and beside the folder, as FOLDER-views, the views of a choice but for the whole images
        themselves; None where there are no others. What is embedded is read once for both.

        choice None: DEFAULT_VIEWS, or none for embeddings that were imported from an encoder that memaudit has not.
        Raises InconclusiveError when `against` was made with another encoder.
        """
        from memaudit.embedding.run import embed_with_views
        from memaudit.embedding.views import embed_views
        from memaudit.encoders.catalog import is_known
        from memaudit.images.views import views_of
        from memaudit.store import require_same_encoder

        views, beside = views_of(choice or DEFAULT_VIEWS)[1:], folder.with_name(f"{folder.name}-views")
        if is_store(source):
            images = self.store_of(source, folder, against.encoder, progress)
            require_same_encoder(images, against)
            if not views or not images.comparable or (choice is None and not is_known(images.encoder.name)):
                return images, None
            return images, embed_views(images, beside, self.load(images.encoder), views, self._options(), progress)
        encoder, kinds = self.load(against.encoder), {beside: views} if views else {}
        images, made = embed_with_views(
            [source], folder, encoder, kinds, self._options(), replace_changed=True, progress=progress
        )
        return images, made[0] if made and images.comparable else None

    def _options(self) -> EmbedOptions:
        from memaudit.embedding.run import EmbedOptions

        return EmbedOptions(batch_size=self.batch_size, workers=self.workers, shard_rows=self.shard_rows)

    def _as_asked(self, store: Store) -> Store:
        from memaudit.errors import InconclusiveError

        asked = self.name and self.name.partition(":")[0]
        if asked and store.encoder.name.partition(":")[0] != asked:
            raise InconclusiveError(
                f"store {store.folder} was made with {store.encoder.identity}, not with --encoder {self.name}: leave "
                "--encoder away, or embed again"
            )
        return store

    def load(self, spec: EncoderSpec) -> Encoder:
        """The encoder that a store was made with. Raises InconclusiveError when the one at hand is another."""
        from memaudit.encoders import load_encoder
        from memaudit.errors import InconclusiveError

        encoder = load_encoder(
            self.name or spec.name, device=self.device, allow_unverified_weights=self.allow_unverified_weights
        )
        if not encoder.spec.same_as(spec):
            raise InconclusiveError(
                f"the training set was embedded with {spec.identity}, not with {encoder.spec.identity}: "
                "similarities between the two mean nothing; use the same encoder"
            )
        return encoder
