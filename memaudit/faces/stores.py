"""The stores of faces that an audit compares: opened, or made beside it where they are not there yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memaudit.encoders.sface import NAMES, SPEC, FaceModel, resolve
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.faces.embed import FaceOptions, embed_faces
from memaudit.files import is_store
from memaudit.images.passed_over import PassedOver
from memaudit.index import Searcher, open_searcher
from memaudit.store import FACES, IMAGES, Store
from memaudit.types import EncoderSpec, Progress

Source = str | Path | Store
"""A store of faces, a store of images, or images: a folder, a manifest, an archive … as embed_faces takes them."""
GENERATIONS, GALLERY, CONTROL = "generation-faces", "training-faces", "control-faces"


@dataclass(frozen=True)
class FaceEmbedder:
    """How stores of faces are made. encoder: its name; None: that of the training set's faces."""

    encoder: str | None = None
    device: str = "auto"
    workers: int = 0
    allow_unverified_weights: bool = False

    def store_of(
        self, source: Source, folder: Path, like: EncoderSpec, progress: Progress, passed: PassedOver | None = None
    ) -> Store:
        """The faces of a store of faces as it is, of a store of images by its sources, or of other images. passed:
        counts what these hold beside images."""
        store = opened(source)
        if store is None:
            return self.embed((str(source),), folder, like, progress, passed)
        if store.manifest.kind == FACES:
            return store
        return self.embed(store.sources, folder, like, progress, passed)

    def embed(
        self,
        sources: Sequence[str],
        folder: Path,
        like: EncoderSpec | None,
        progress: Progress,
        passed: PassedOver | None = None,
    ) -> Store:
        """The store of the sources' faces at `folder`, made or brought up to date with the encoder of `like`."""
        options = FaceOptions(self.workers, replace_changed=True, passed=passed)
        try:
            return embed_faces(sources, folder, self._model(like), options, progress)
        except InputError as error:
            raise InputError(
                f"faces of {', '.join(sources)}: {error} (a store of faces made before is taken as well)"
            ) from None

    def _model(self, like: EncoderSpec | None) -> FaceModel:
        name = self.encoder or (like.name if like else SPEC.name)
        if self.encoder is None and name not in NAMES:
            raise UsageError(
                f"the training faces were embedded with an encoder of your own, {name}: name its file and options "
                "again, with --face-encoder face-onnx:PATH?…"
            )
        model = resolve(name, self.device, allow_unverified_weights=self.allow_unverified_weights)
        if like is not None and not model.spec.same_as(like):
            way = "name the same with --face-encoder"
            if model.spec.is_prepared_otherwise(like):
                way = f"another version of memaudit made that store, or other options: make it anew, or {way}"
            raise InconclusiveError(
                f"the training faces were embedded with {like.identity}, not with {model.spec.identity}: similarities "
                f"between the two mean nothing; {way}"
            )
        return model


def opened(source: Source | None) -> Store | None:
    """The store that a source is, or None if it is other images. Raises as Store.open."""
    if source is None or isinstance(source, Store):
        return source
    return Store.open(source) if is_store(source) else None


def images_at(source: Source | None) -> Store | None:
    """The store of images that a source is, if it is one."""
    store = opened(source)
    return store if store is not None and store.manifest.kind == IMAGES else None


def gallery_at(path: str | Path) -> Searcher:
    """A searcher of a store of faces, or of an index of one. Raises UsageError for images."""
    gallery = open_searcher(Path(path))
    _require_faces(gallery.store)
    return gallery


def require_face_store(path: str | Path | None) -> None:
    """Raise UsageError where a store of images is given for one of faces: before hours of embedding."""
    if path is not None and is_store(path):
        _require_faces(Store.open(path))


def template_folders(out: Path) -> list[Path]:
    """The stores of faces that audits left in `out`: biometric templates of people."""
    return [out / name for name in (GENERATIONS, GALLERY, CONTROL) if is_store(out / name)]


def _require_faces(store: Store) -> None:
    if store.manifest.kind != FACES:
        raise UsageError(
            f"--face-store {store.folder} holds images, not faces: name what memaudit faces made, or leave it out"
        )
