"""Prompts whose generations are one picture again and again: what generations say without a training set."""
