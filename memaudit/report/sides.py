"""Rows of a store as a page shows them: names, digests, thumbnails."""

from __future__ import annotations

from memaudit.report.model import Side, file_digest
from memaudit.report.pictures import Pictures
from memaudit.store import Store
from memaudit.types import Int64


def sides_of(store: Store, pictures: Pictures, rows: Int64) -> list[Side]:
    columns = store.columns(rows)
    return [
        Side(
            image_id=columns.image_id[i],
            sha256=file_digest(columns.sha256[i]),
            picture=pictures.add(f"image-{row}", columns.uri[i], columns.sha256[i]),
        )
        for i, row in enumerate(rows.tolist())
    ]
