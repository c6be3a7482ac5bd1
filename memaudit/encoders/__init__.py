"""Encoders: what turns an image into an embedding, and where their weights come from.

Importing this package loads neither torch nor onnxruntime nor open_clip; `load_encoder` loads what it needs.
"""

from memaudit.encoders.catalog import EncoderRow, fetch_weights, list_encoders, load_encoder
from memaudit.encoders.encoder import Encoder

__all__ = ["Encoder", "EncoderRow", "fetch_weights", "list_encoders", "load_encoder"]
