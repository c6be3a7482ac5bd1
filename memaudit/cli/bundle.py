"""memaudit bundle."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from memaudit.api.bundles import Bundle

Runs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RUN...", help="Folders of runs that wrote a report; or one bundle that is there."),
]
Out = Annotated[Path | None, typer.Option("--out", help="The bundle, a zip archive.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="Limits of the verdict.", show_default="the limits of gate --init")
]
AcceptedFile = Annotated[Path | None, typer.Option("--accepted", help="Matches that a person has accepted, in TOML.")]
Reviews = Annotated[
    list[Path] | None,
    typer.Option("--reviews", metavar="FILE", help="What people decided on findings; again for several files."),
]
Baseline = Annotated[Path | None, typer.Option("--baseline", help="An earlier audit's report, as of the gate.")]
Pictures = Annotated[str, typer.Option("--pictures", help="Thumbnails: blurred, as-they-are or none.")]
Tables = Annotated[bool, typer.Option("--tables/--no-tables", help="Tables and lists of the runs.")]
Sign = Annotated[
    list[Path] | None, typer.Option("--sign", metavar="KEY", help="Private key to sign with; again for more.")
]
PasswordFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="Password of a key that has one; again for more.",
        show_default="the variable MEMAUDIT_KEY_PASSWORD",
    ),
]
Timestamp = Annotated[
    str | None, typer.Option("--timestamp", metavar="URL", help="Authority that stamps the manifest (RFC 3161).")
]
JudgedOn = Annotated[
    str | None,
    typer.Option(
        "--judged", metavar="DAY", help="Day that acceptances and ages are held against.", show_default="today"
    ),
]
Public = Annotated[bool, typer.Option("--public", help="Of a bundle: write its edition without what names or shows.")]
NewKey = Annotated[Path | None, typer.Option("--new-key", help="Make a key to sign with, and FILE.pub beside it.")]


def bundle(
    runs: Runs = None,
    out: Out = None,
    policy: PolicyFile = None,
    accepted: AcceptedFile = None,
    reviews: Reviews = None,
    baseline: Baseline = None,
    pictures: Pictures = "blurred",
    tables: Tables = True,
    sign: Sign = None,
    password_file: PasswordFiles = None,
    timestamp: Timestamp = None,
    judged: JudgedOn = None,
    public: Public = False,
    new_key: NewKey = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Put runs into one file that a stranger can verify; sign one, or write its public edition."""
    from memaudit.api import bundles

    console, given = Console(as_json, quiet), runs or []
    changed = any((policy, accepted, baseline, reviews, not tables, pictures != "blurred", judged))
    if new_key:
        if given or out or sign or public or timestamp or changed:
            raise UsageError("--new-key makes a key and bundles nothing: give it alone")
        _make_key(new_key, password_file or [], console)
        return
    if password_file and not sign:
        raise UsageError("--password-file without --sign: name the key that it opens")
    if out is None or not given:
        raise UsageError("a bundle needs the folders of its runs, and --out")
    if len(given) == 1 and given[0].is_file():
        if changed or public is bool(sign) or (public and timestamp):
            raise UsageError("a bundle that is there takes --public, or --sign: what it holds stays")
        signing = partial(bundles.sign_bundle, keys=sign or (), timestamp=timestamp, password_files=password_file or ())
        done = (bundles.publish_bundle if public else signing)(given[0], out)
    elif public:
        raise UsageError("--public takes one bundle: bundle the runs first")
    else:
        shown = partial(bundles.bundle, pictures=pictures, tables=tables, reviews=reviews or ())
        gated = partial(shown, policy=policy, accepted=accepted, baseline=baseline, judged=judged)
        done = gated(given, out, sign=sign or (), timestamp=timestamp, password_files=password_file or ())
    console.result(done.as_dict(), _said(done))


def _make_key(path: Path, password_files: list[Path], console: Console) -> None:
    from memaudit.api.bundles import make_key

    if len(password_files) > 1:
        raise UsageError("a key has one password: name one --password-file")
    made = make_key(path, password_file=password_files[0] if password_files else None)
    value = {"private": str(made.private), "public": str(made.public), "key_id": made.key_id}
    said = f"Private key: {made.private}, for its owner alone\nPublic key: {made.public}\nIts id: {made.key_id}"
    console.result(value, said)


def _said(done: Bundle) -> str:
    edition = "" if done.full else ", the public edition"
    lines = [f"{done.path} holds {done.files:,} files{edition}", f"Verdict: {done.verdict}"]
    signed = [f"Signed by key {key}" for key in done.signers] or ["Not signed: --sign KEY would say who vouches for it"]
    return "\n".join([*lines, *signed, *done.warnings])
