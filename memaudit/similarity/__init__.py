"""The only place where embeddings are multiplied. Similarity is cosine, tested with >= threshold.

Products in float32 only nominate: whoever lies within rounding error of a decision is re-scored by `exact`, so a
result never depends on block sizes, threads or the size of the set.
"""

from memaudit.similarity.exact import exact
from memaudit.similarity.join import Pairs, pairs_across, pairs_within
from memaudit.similarity.search import Neighbours, top_k

__all__ = ["Neighbours", "Pairs", "exact", "pairs_across", "pairs_within", "top_k"]
