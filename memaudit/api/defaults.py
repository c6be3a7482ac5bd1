"""What is taken where nothing is asked for. Imports nothing: the help of the commands shows them."""

DEFAULT_ENCODER = "sscd"
DEFAULT_VIEWS = "tiles"
