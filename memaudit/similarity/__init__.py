"""The only place where embeddings are multiplied. Similarity is cosine, tested with >= threshold.

Backends nominate (`nominate`), the exact similarity decides (`exact`): a result never depends on block sizes, threads
or the size of the set.
"""

from memaudit.similarity.exact import exact
from memaudit.similarity.join import pairs_across, pairs_within
from memaudit.similarity.pairs import Pairs
from memaudit.similarity.search import Neighbours, top_k

__all__ = ["Neighbours", "Pairs", "exact", "pairs_across", "pairs_within", "top_k"]
