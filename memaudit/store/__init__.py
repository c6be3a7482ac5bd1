"""The embedding store: a folder of HDF5 shards and `store.json`, written last.

A shard appears whole; the manifest lists a shard only after it is on the disk. Reading is by blocks, and a store
that misses a shard or was never finished refuses to be opened: it would answer "clean" for what it lacks.
"""

from memaudit.store.columns import ANOTHER_FILE, NO_FILE, Columns, Row, content_digest, is_one_file, is_same_file
from memaudit.store.distinct import Listing, Tally, counted
from memaudit.store.manifest import FACES, IMAGES, MANIFEST, Manifest, NotRead, ViewsOf, encoder_spec
from memaudit.store.merging import merge, merge_by_links, require_whole_set
from memaudit.store.reader import (
    BLOCK_ROWS,
    Block,
    NamedBlock,
    Store,
    StoredBlock,
    require_current,
    require_same_encoder,
)
from memaudit.store.rows import as_float32, require_lengths, unit_rows
from memaudit.store.verify import verify_store
from memaudit.store.writer import SetOf, StoreWriter, writing_store

__all__ = [
    "ANOTHER_FILE",
    "BLOCK_ROWS",
    "FACES",
    "IMAGES",
    "MANIFEST",
    "NO_FILE",
    "Block",
    "Columns",
    "Manifest",
    "NamedBlock",
    "NotRead",
    "Row",
    "Store",
    "Listing",
    "SetOf",
    "Tally",
    "StoreWriter",
    "StoredBlock",
    "ViewsOf",
    "as_float32",
    "content_digest",
    "counted",
    "encoder_spec",
    "is_one_file",
    "is_same_file",
    "merge",
    "merge_by_links",
    "require_current",
    "require_lengths",
    "require_same_encoder",
    "require_whole_set",
    "unit_rows",
    "verify_store",
    "writing_store",
]
