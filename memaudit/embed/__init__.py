"""Images + encoder → store."""

from memaudit.embed.engine import EmbedOptions, embed
from memaudit.embed.standing import require_distinct

__all__ = ["EmbedOptions", "embed", "require_distinct"]
