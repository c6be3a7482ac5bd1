"""Pairs of images shown to people, the most doubtful first, on a page that this machine alone can ask for."""
