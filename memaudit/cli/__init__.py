"""The command line: parse, call one library function, print. Commands import what they need when they run."""

from memaudit.cli.app import main

__all__ = ["main"]
