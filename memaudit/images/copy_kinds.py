"""How an audit alters the training images that it plants, by name. Imports nothing: the gate reads them."""

PLANTED = ("re-encoded", "recoloured", "mirrored", "cropped", "captioned")
