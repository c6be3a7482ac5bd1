"""A shard of whole samples as an uncompressed tar: payloads as they were, headers without times and owners."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from typing import IO

from memaudit.errors import InputError
from memaudit.exporting.names import Keys
from memaudit.exporting.records import Entry
from memaudit.exporting.samples import Sample, SampleFile
from memaudit.exporting.weighing import ENDING, as_file


def write_tar(file: IO[bytes], samples: Iterable[Sample]) -> list[Entry]:
    """Write samples as they come; the same samples give the same bytes. Raises InputError for one that has a file of
    its weight already."""
    entries, keys = list[Entry](), Keys()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for sample in samples:
            key = keys.of(sample)
            for each in _files(sample):
                header = tarfile.TarInfo(f"{key}{each.ending}")
                header.size = len(each.data)
                archive.addfile(header, io.BytesIO(each.data))
                image_id = sample.images[each.image].image_id if each.image >= 0 else ""
                entries.append(Entry.of(key, image_id, header.name, each.data))
    return entries


def _files(sample: Sample) -> Sequence[SampleFile]:
    if sample.weight is None:
        return sample.files
    if any(each.ending == ENDING for each in sample.files):
        raise InputError(f"{sample.images[0].image_id!r} has a {ENDING} already: export without --weights")
    return (*sample.files, SampleFile(ENDING, as_file(sample.weight)))
