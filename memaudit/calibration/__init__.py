"""Labelled pairs → the similarity and the probability from which two pictures count as copies in a set of one's own."""
