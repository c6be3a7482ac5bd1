"""How a command embeds the images that it is given, with the encoder that a store was made with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from memaudit.api.defaults import DEFAULT_VIEWS
from memaudit.embedding.parts import hidden_in
from memaudit.embedding.run import EmbedOptions, embed_with_views
from memaudit.embedding.views import ViewStore, embed_views
from memaudit.encoders import Encoder, load_encoder
from memaudit.encoders.catalog import is_known
from memaudit.errors import InconclusiveError
from memaudit.files import is_store
from memaudit.images.passed_over import PassedOver
from memaudit.images.views import views_of
from memaudit.store import Store, require_same_encoder
from memaudit.types import EncoderSpec, Progress


@dataclass(frozen=True)
class Encoding:
    """encoder: None for the one of the training set's store. device: auto, cpu, cuda or cuda:N. workers: threads, 0 for
    one a core. batch_size: images per forward pass; shard_rows: images per shard, what a kill can cost.

    >>> ma.Encoding(device="cpu", workers=2).batch_size
    16
    """

    encoder: str | None = None
    device: str = "auto"
    workers: int = 0
    batch_size: int = 16
    shard_rows: int = 1024
    allow_unverified_weights: bool = False

    def with_views(
        self,
        source: str | Path | Store,
        choice: str | None,
        folder: Path,
        against: Store,
        progress: Progress,
        passed: PassedOver | None = None,
    ) -> tuple[Store, ViewStore | None]:
        """Open `source` if it is a store; else embed it into `folder`, anew where files changed since.

        And beside the folder, as FOLDER-views, the views of a choice but for the whole images themselves; None where
        there are no others. What is embedded is read once for both.

        choice None: DEFAULT_VIEWS, or none for embeddings that were imported from an encoder that memaudit has not.
        passed: counts what a source that is no store holds beside images.
        Raises InconclusiveError when `against` was made with another encoder.
        """
        views, beside = views_of(choice or DEFAULT_VIEWS)[1:], folder.with_name(f"{folder.name}-views")
        if isinstance(source, Store) or is_store(source):
            images = self._as_asked(source if isinstance(source, Store) else Store.open(source))
            require_same_encoder(images, against)
            if not views or not images.comparable or (choice is None and not is_known(images.encoder.name)):
                return images, None
            return images, embed_views(images, beside, self.load(images.encoder), views, self._options(), progress)
        encoder, kinds = self.load(against.encoder), {beside: views} if views else {}
        images, made = embed_with_views(
            [str(source)],
            folder,
            encoder,
            kinds,
            replace(self._options(), parts=True, passed=passed),
            replace_changed=True,
            progress=progress,
        )
        return images, made[0] if made and images.comparable else None

    def hidden_in(self, store: Store) -> int:
        """How many files of a given store hold pictures, frames or those of a sheet, that it has no rows of."""
        return hidden_in(store, self._options())

    def load(self, spec: EncoderSpec) -> Encoder:
        """The encoder that a store was made with. Raises InconclusiveError when the one at hand is another."""
        encoder = load_encoder(
            self.encoder or spec.name, device=self.device, allow_unverified_weights=self.allow_unverified_weights
        )
        if not encoder.spec.same_as(spec):
            raise InconclusiveError(
                f"the training set was embedded with {spec.identity}, not with {encoder.spec.identity}: "
                "similarities between the two mean nothing; use the same encoder"
            )
        return encoder

    def _options(self) -> EmbedOptions:
        return EmbedOptions(batch_size=self.batch_size, workers=self.workers, shard_rows=self.shard_rows)

    def _as_asked(self, store: Store) -> Store:
        asked = self.encoder and self.encoder.partition(":")[0]
        if asked and store.encoder.name.partition(":")[0] != asked:
            raise InconclusiveError(
                f"store {store.folder} was made with {store.encoder.identity}, not with --encoder {self.encoder}: "
                "leave --encoder away, or embed again"
            )
        return store
