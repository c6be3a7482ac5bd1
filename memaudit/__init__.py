"""Memorization and regurgitation audit for image generators."""

__version__ = "0.2.0"
