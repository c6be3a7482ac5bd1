"""Whether a store has of an image what its source says of it by now: the caption, the columns, and opt-outs."""

from __future__ import annotations

import json
from typing import NamedTuple

from memaudit.images.image_ref import object_in
from memaudit.images.opt_outs import OWN, noted_otherwise, opt_outs_in, opt_outs_in_columns

_NOT_OF_THE_SOURCE = OWN | {"left_out"}  # keys of metadata that memaudit writes


class Said(NamedTuple):
    """What a source says of an image. in_file: what its file says by itself that reserves rights, see
    `opt_outs_in_file`."""

    caption: str
    metadata: str
    in_file: frozenset[str] = frozenset()


def is_otherwise(said: Said, caption: str, metadata: str, *, opt_outs: bool) -> bool:
    """Whether that is something else than a store has. What the store notes of the file is no difference, whichever
    version noted it. opt_outs: those in columns were looked for when the store was made."""
    if (said.caption, said.metadata) == (caption, metadata):
        return False
    if said.caption != caption or _of_the_source(said.metadata) != _of_the_source(metadata):
        return True
    return opt_outs and noted_otherwise(opt_outs_in(metadata), opt_outs_in_columns(said.metadata), said.in_file)


def _of_the_source(metadata: str) -> str:
    """As text: NaN is not equal to itself."""
    values = object_in(metadata)
    return json.dumps({name: value for name, value in values.items() if name not in _NOT_OF_THE_SOURCE}, sort_keys=True)
