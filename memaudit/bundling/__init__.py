"""Runs as evidence in one file: a bundle, who vouches for it, its public edition, and whether it is whole."""
