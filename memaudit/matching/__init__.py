"""Holding two images against each other, pixel by pixel: what a match of embeddings is worth."""
