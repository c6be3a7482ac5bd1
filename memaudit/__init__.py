"""Memorization and regurgitation audit for image generators."""

__version__ = "0.1.0"
