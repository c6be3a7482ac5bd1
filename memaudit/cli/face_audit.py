"""The options of an audit that are about faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from PIL import Image

    from memaudit.faces.audit import FaceAuditOptions

Faces = Annotated[bool, typer.Option("--faces", help="Compare the faces, too: does the model give people back?")]
FaceStore = Annotated[
    Path | None,
    typer.Option("--face-store", help="The training set's store of faces, or an index of it; else it is made."),
]
ControlFaces = Annotated[
    str | None,
    typer.Option("--control-faces", help="Pictures, or a store of faces, of people who are not in the training set."),
]
FaceEncoder = Annotated[
    str | None, typer.Option("--face-encoder", help="As memaudit faces --encoder.", show_default="the face store's")
]
FalseMatches = Annotated[
    float, typer.Option("--face-false-matches", help="How many false matches of faces may be expected in all.")
]
Identity = Annotated[str, typer.Option("--identity", help="The metadata column that names the person on a picture.")]
FacesBy = Annotated[
    list[str] | None, typer.Option("--faces-by", metavar="COLUMN", help="Split match rates by this metadata column.")
]
SaveCrops = Annotated[bool, typer.Option("--save-crops", help="Write the matched faces as pictures of their own.")]
BlurFaces = Annotated[bool, typer.Option("--blur-faces", help="Make faces unrecognisable in the report's pictures.")]


def blurring(*, wanted: bool) -> Callable[[Image.Image], Image.Image] | None:
    """What pictures go through before they are shown."""
    if not wanted:
        return None
    from memaudit.faces.blurring import face_blurrer

    return face_blurrer()


def kept_templates(out: Path) -> str:
    """A line that names the stores of faces that an audit left in its --out; empty if there are none."""
    from memaudit.faces.stores import template_folders

    kept = ", ".join(map(str, template_folders(out)))
    return f"\nBiometric templates of people, to be deleted when done: {kept}" if kept else ""


def own_stores() -> tuple[str, ...]:
    """The stores that an audit keeps in its --out."""
    from memaudit.faces.stores import CONTROL, GALLERY, GENERATIONS

    return ("generations", "control", GENERATIONS, GALLERY, CONTROL)


@dataclass(frozen=True)
class FaceChoices:
    """What the command line says about faces."""

    wanted: bool = False
    store: Path | None = None
    control: str | None = None
    encoder: str | None = None
    false_matches: float = 1.0
    identity: str = ""
    by: tuple[str, ...] = ()
    save_crops: bool = False
    blur: bool = False
    picture_threshold: float | None = None
    device: str = "auto"
    workers: int = 0
    max_unreadable: float = 0.01
    allow_unverified_weights: bool = False

    def options(self) -> FaceAuditOptions:
        """Raises UsageError for options that contradict each other, before hours of embedding."""
        from memaudit.errors import UsageError
        from memaudit.faces.audit import FaceAuditOptions
        from memaudit.faces.compare import CompareOptions
        from memaudit.faces.stores import FaceEmbedder, require_face_store

        if self.save_crops and self.blur:
            raise UsageError("--save-crops writes faces and --blur-faces hides them: choose one")
        compare = CompareOptions(self.false_matches, self.by, self.identity, self.max_unreadable)
        require_face_store(self.store)
        embedder = FaceEmbedder(self.encoder, self.device, self.workers, self.allow_unverified_weights)
        return FaceAuditOptions(self.store, self.control, embedder, compare, self.picture_threshold)

    def require_wanted(self) -> None:
        """Raise UsageError for options about faces where nobody asked to compare them."""
        from memaudit.errors import UsageError

        given = (self.store, self.control, self.encoder, self.identity, self.by, self.save_crops)
        if not self.wanted and any(given):
            raise UsageError(
                "--face-store, --control-faces, --face-encoder, --identity, --faces-by and --save-crops need --faces, "
                "or --against a store of faces"
            )
