"""What a run file may not say is one line with its place, and the likeliest meaning."""

import re

import pytest

from memaudit.api.starting import start_release
from memaudit.errors import InputError, UsageError
from memaudit.release.run_file import HttpGenerator, read_run_file
from memaudit.release.start_file import start_file

SOUND = """\
[training]
source = "training"
[generator]
kind = "folder"
path = "generations"
"""
COMMAND = '[training]\nsource = "t"\n[generator]\nkind = "command"\ncommand = "{}"\n'
HTTP = '[training]\nsource = "t"\n[generator]\nkind = "http"\nurl = "{}"\n'
SCORED = COMMAND.format("make {jobs} {out}") + '[prompts]\nstrategy = "likely"\nscore = "x \'y {jobs} {out}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOUND + "[prompt]\nn = 3\n", "unknown 'prompt': did you mean 'prompts'?"),
        (SOUND + "[prompts]\nseed = 3\nsteps = 2\n", "[prompts] unknown 'steps': did you mean 'seeds'?"),
        (SOUND + "[prompts]\nn = 0\n", "[prompts.n] Expected `int` >= 1"),
        (SOUND + '[prompts]\nn = "x"\n', "[prompts.n] Expected `int`, got `str`"),
        (SOUND.replace("path", "pth"), "[generator] unknown 'pth': did you mean 'path'?"),
        (SOUND.replace('"folder"', '"fodler"'), "[generator.kind] Invalid value 'fodler'"),
        (SOUND.replace("[training]\n", '[training]\nstore = "s"\n'), "[training] needs store, or source, and not both"),
        ('[training]\nsource = "t"\n', "'generator' is missing"),
        (COMMAND.format("make {prompt}"), "names prompt in braces: expected {jobs} and {out}"),
        (COMMAND.format("make {jobs} {seed} {out}"), "has {jobs} and {prompt} or {seed}: one or the other"),
        (COMMAND.format("make {jobs} {out} {x}"), "names jobs, out, x in braces"),
        (SOUND.replace('"folder"\npath = "generations"', '"http"\nurl = "ftp://x"'), "is no http or https URL"),
        *(
            (HTTP.format(url), "is no http or https URL")
            for url in ("http://[bad/x", "http://h:99999/", "http://h/a b")
        ),
        (HTTP.format("https://host/bild\u00fc"), "is no http or https URL"),
        (COMMAND.format("make 'a {jobs} {out}"), "is no command line: no closing quotation"),
        (COMMAND.format("make\\u0000 {jobs} {out}"), "is no command line: it holds NUL"),
        (SCORED, '[prompts] score = "x \'y {jobs} {out}" is no command line: no closing quotation'),
        (
            SOUND.replace('"folder"\npath = "generations"', '"http"\nurl = "http://x/"\nbody = {prompt = "x"}'),
            "body may not hold prompt or seed",
        ),
    ],
)
def test_what_it_may_not_say(tmp_path, text, words):
    path = tmp_path / "release.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        read_run_file(path)
    assert str(caught.value).startswith(f"run file {path}: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_run_file(tmp_path / "absent.toml")
    (tmp_path / "release.toml").write_text("= 3")
    with pytest.raises(InputError, match="not valid TOML"):
        read_run_file(tmp_path / "release.toml")


def test_an_endpoint(tmp_path):
    path = tmp_path / "release.toml"
    path.write_text(
        '[training]\nsource = ["a", "b.csv"]\n[generator]\nkind = "http"\nurl = "https://host/v1"\n'
        'body = {size = "64x64", steps = 4}\nper_minute = 30\n'
    )
    told = read_run_file(path)
    assert isinstance(told.generator, HttpGenerator)
    assert told.generator.body == {"size": "64x64", "steps": 4}
    assert told.training.source == ["a", "b.csv"]
    assert (told.prompts.n, told.out) == (400, "release")


def test_names_may_be_of_any_letters(tmp_path):
    """Beyond the first 65,536 they were half a letter each; bytes that are no text are said."""
    path = start_release(tmp_path / "check", model="m \U0001f680 \x7f", training="b\u00fccher \U0001f5bc")
    told = read_run_file(path)
    assert (told.model, told.training.source) == ("m \U0001f680 \x7f", "b\u00fccher \U0001f5bc")
    with pytest.raises(UsageError, match="which is no UTF-8 text") as caught:
        start_release(tmp_path / "other", control="held\udcff")
    assert "held" in str(caught.value)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("command", ["", 'python "a b.py" --jobs {jobs} --out {out}'])
@pytest.mark.parametrize("is_store", [True, False])
def test_the_file_to_begin_with_is_one_that_is_read(tmp_path, command, is_store):
    path = tmp_path / "release.toml"
    path.write_text(start_file("release.toml", "a\\b\n", is_store, "", command, 'held "out"', "m"))
    told = read_run_file(path)
    assert (told.training.store if is_store else told.training.source) == "a\\b\n"
    assert told.audit.control == 'held "out"'
    assert told.gate.policy == "memaudit.toml"
    assert 'model_digest = ""' in path.read_text(), "without one, images of other weights stay"
    assert (told.generator.command if command else told.generator.path) == (command or "generations")
