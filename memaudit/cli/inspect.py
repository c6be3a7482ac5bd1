"""memaudit info, verify and doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

if TYPE_CHECKING:
    from memaudit.api.inspecting import Description

_WHAT = "A store, an index, evidence, a bundle, a report.json, or the folder of a run."
AnyPath = Annotated[Path, typer.Argument(metavar="PATH", help=_WHAT)]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="PUB", help="Public key, or its id, that must have signed a bundle; again for more."),
]
Against = Annotated[Path | None, typer.Option("--against", help="The other edition of the bundle: full, or public.")]
TimestampCa = Annotated[
    Path | None, typer.Option("--timestamp-ca", help="Certificates, in PEM, of who may have made its time stamp.")
]


def info(path: AnyPath, as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False) -> None:
    """Say what a store, an index or a report holds."""
    from memaudit.api.inspecting import describe

    _show(describe(path), Console(as_json, quiet))


def verify(
    path: AnyPath,
    key: Keys = None,
    against: Against = None,
    timestamp_ca: TimestampCa = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Re-compute every digest of a store, an index, the evidence of a look-up, a bundle, or a report, the files beside
    it and the stores that it names. Exit code 3: it was changed, is damaged, is not signed by --key, or could not be
    checked whole."""
    from memaudit.api.inspecting import verify as run

    console = Console(as_json, quiet)
    found = run(path, keys=key or (), against=against, timestamp_ca=timestamp_ca)
    lists = {"faults": [*found.faults], "unchecked": [*found.unchecked], "notes": [*found.notes]}
    said = [f"{path} is {found.outcome}"] if not found.faults else []
    text = "\n".join([*said, *found.faults, *(f"Not checked: {each}" for each in found.unchecked), *found.notes])
    value = {"path": str(path), "outcome": found.outcome, "sound": found.sound, **lists}
    console.result(value, text)
    console.end(conclusive=found.sound)


def doctor(as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False) -> None:
    """Show versions, devices, weights, the FAISS build and disk space: what a bug report needs."""
    from memaudit.api.encoders import doctor as run

    _show(run(), Console(as_json, quiet))


def _show(found: Description, console: Console) -> None:
    from memaudit.api.inspecting import shown

    console.result(dict(found.values), table([(name, shown(value)) for name, value in found.values.items()]))
