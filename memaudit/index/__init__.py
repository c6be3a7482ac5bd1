"""FAISS indexes of a store: build, update, open, search, verify.

Candidates come from the index, similarities from the store.
"""

from memaudit.index.build import build_index
from memaudit.index.faiss_library import import_faiss
from memaudit.index.manifest import MANIFEST, SCHEMA, read_manifest
from memaudit.index.opened import Index, open_searcher
from memaudit.index.recall import drawn, sample_rows
from memaudit.index.recipes import read_recipe
from memaudit.index.search import ExactSearch, Searcher
from memaudit.index.update import update_index
from memaudit.index.verify import index_unchecked, verify_index

__all__ = [
    "MANIFEST",
    "SCHEMA",
    "ExactSearch",
    "Index",
    "Searcher",
    "build_index",
    "import_faiss",
    "index_unchecked",
    "open_searcher",
    "read_manifest",
    "read_recipe",
    "drawn",
    "sample_rows",
    "update_index",
    "verify_index",
]
