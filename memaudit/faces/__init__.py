"""Faces: find, align and embed them into a store; forget them; calibrate when two are one person."""
