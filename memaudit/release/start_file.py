"""A release.toml to begin with."""

from __future__ import annotations

import json

DEFAULT_TRAINING, DEFAULT_GENERATIONS = "training", "generations"
_FILE = """\
# A pre-release check: `memaudit run {name}`. Paths are taken from the folder of this file.
out = "release"
model = {model}          # name and version of the model
model_digest = ""        # of its weights, such as their sha256; without it, images that are there stay
who = ""                 # who runs it, for the report

[training]
{training}
dedup = true             # find its near-duplicates as well

[generator]
{generator}
[audit]
control = {control}      # held-out images that were never trained on: what chance gives. "": none

[gate]
policy = "memaudit.toml" # the limits
"""
_FOLDER = """\
kind = "folder"
path = {path}
# pairing = "pairing.csv"  # which image each generation's prompt was taken from

# or what generates:
# kind = "command"
# command = "python generate.py --jobs {{jobs}} --out {{out}}"
# kind = "http"
# url = "https://host/v1/images/generations"
# key_env = "IMAGES_KEY"
"""
_COMMAND = """\
kind = "command"
command = {command}

[prompts]
n = 400                  # captions of the training set
seeds = 1                # images of each
"""


def start_file(
    name: str, training: str, is_store: bool, generations: str, command: str, control: str, model: str
) -> str:
    """The text of a release.toml."""
    source = f"{'store' if is_store else 'source'} = {_quoted(training or DEFAULT_TRAINING)}"
    if command:
        generator = _COMMAND.format(command=_quoted(command))
    else:
        generator = _FOLDER.format(path=_quoted(generations or DEFAULT_GENERATIONS))
    return _FILE.format(name=name, model=_quoted(model), training=source, generator=generator, control=_quoted(control))


def _quoted(text: str) -> str:
    """As JSON, but for what TOML takes otherwise: no halves of letters, and DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
