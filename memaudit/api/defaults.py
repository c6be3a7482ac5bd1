"""What is taken where nothing is asked for. Imports next to nothing: the help of the commands shows them."""

from memaudit.images.view_names import DEFAULT_VIEWS as DEFAULT_VIEWS

DEFAULT_ENCODER = "sscd"
