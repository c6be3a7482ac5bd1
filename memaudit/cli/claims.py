"""memaudit claims receive, answer, list, show, delete, verify, exclude."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import (
    Calibration,
    Device,
    EncoderName,
    Match,
    MatchFrom,
    MaxUnreadable,
    Threshold,
    Unverified,
)

if TYPE_CHECKING:
    from memaudit.api.claim_ledger import ClaimState
    from memaudit.api.claims import ClaimRun

app = typer.Typer(help="Claims of right holders: answered, kept in a ledger, shown, deleted, excluded from training.")
Pictures = Annotated[
    list[str], typer.Argument(metavar="PICTURES...", help="The right holder's pictures: a folder, a CSV, an archive.")
]
LedgerFolder = Annotated[Path, typer.Option("--ledger", help="Folder of the ledger of claims, and of its vault.")]
ClaimantName = Annotated[str, typer.Option("--claimant", help="Who asks.")]
Contact = Annotated[str, typer.Option("--contact", help="Where an answer reaches him.")]
ReceivedOn = Annotated[str | None, typer.Option("--received", help="Day when it came in, as 2026-11-28; else today.")]
Days = Annotated[int, typer.Option("--days", help="Days until the answer is due.")]
Against = Annotated[Path, typer.Option("--against", help="The training set: an index of it, or its store.")]
DedupFolder = Annotated[
    Path | None, typer.Option("--dedup", help="A dedup run of the same store: near-duplicates, and what it dropped.")
]
Audits = Annotated[
    list[Path] | None,
    typer.Option("--audit", help="An audit of a model trained on it: what it gave back; again for several."),
]
ViewsChoice = Annotated[
    str, typer.Option("--views", help="none, flips or all: turned, mirrored and parts of pictures.")
]
Answerer = Annotated[str, typer.Option("--who", help="Who answers, for the letter.")]
SetName = Annotated[str, typer.Option("--training-set", help="How the training set is called, for the letter.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="CLAIM...", help="Numbers of claims.")]
Person = Annotated[str | None, typer.Option("--claimant", help="All claims of this person, by the name as given.")]
Line = Annotated[str | None, typer.Option("--line", help="The digest that a letter has: is that line still there?")]
ListFile = Annotated[Path, typer.Option("--out", help="The list: what it names already stays.")]
How = Annotated[
    list[str] | None, typer.Option("--how", help="exact, altered, part, re-drawn; by default the first three.")
]


@app.command("receive")
def receive(
    pictures: Pictures,
    ledger: LedgerFolder,
    claimant: ClaimantName,
    contact: Contact = "",
    received: ReceivedOn = None,
    days: Days = 28,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Put a claim into the ledger, to be answered later: its days run."""
    from memaudit.api.claims import receive_claim

    number = receive_claim(pictures, ledger, claimant=claimant, contact=contact, received=received, days=days)
    Console(as_json, quiet).result(
        {"claim": number}, f"claim {number} is in {ledger}: memaudit claims list has its day"
    )


@app.command("answer")
def answer(
    pictures: Pictures,
    against: Against,
    ledger: LedgerFolder,
    claimant: ClaimantName,
    contact: Contact = "",
    who: Answerer = "",
    training_set: SetName = "",
    received: ReceivedOn = None,
    days: Days = 28,
    dedup: DedupFolder = None,
    audit: Audits = None,
    views: ViewsChoice = "all",
    match: Match = "auto",
    match_from: MatchFrom = None,
    threshold: Threshold = None,
    calibration: Calibration = None,
    encoder: EncoderName = None,
    device: Device = "auto",
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Look a right holder's pictures up, and write the answer. Exit code 0: found nothing, 1: found, 3: could not
    decide, or more match than are listed."""
    from memaudit.api.claims import answer_claim
    from memaudit.api.encoding import Encoding

    console = Console(as_json, quiet)
    with console.progress(("looking up",)) as progress:
        run = answer_claim(
            pictures,
            against,
            ledger,
            claimant=claimant,
            contact=contact,
            who=who,
            training_set=training_set,
            received=received,
            days=days,
            dedup=dedup,
            audits=audit or [],
            views=views,
            match=match,
            match_from=match_from,
            threshold=threshold,
            calibration=calibration,
            max_unreadable=max_unreadable,
            encoding=Encoding(encoder, device, shard_rows=1, allow_unverified_weights=allow_unverified_weights),
            progress=progress,
        )
    console.result(run.as_dict(), "\n".join(_answered(run)))
    raise typer.Exit(3 if run.is_cut else {"nothing found": 0, "found": 1, "could not decide": 3}[run.outcome])


def _answered(run: ClaimRun) -> Iterator[str]:
    from memaudit.words import plural

    said = run.answer
    yield f"claim {run.number}{' was answered before, and that stands' if run.repeated else ''}: {run.summary}"
    yield from (f"not searched: {doubt}" for doubt in said.doubts)
    yield from (f"not all is listed: {line}" for line in run.warnings)
    if said.dedup:
        yield f"Found, and the dedup run kept nothing of it: {said.dropped:,}."
    if said.audits:
        anew = f", and drawn anew: {said.given_back_anew:,}" if said.given_back_anew else ""
        yield f"Given back, in {plural(len(said.audits), 'audit')}: {said.given_back:,}{anew}."
    yield from said.not_read
    yield f"Letter: {run.letter} ({said.seconds:.1f} s); the ledger's line: {run.line}"


@app.command("list")
def list_(
    ledger: LedgerFolder, as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False
) -> None:
    """List claims, those that are open first, by the day when they are due."""
    from memaudit.api.claim_ledger import list_claims

    claims = list_claims(ledger)
    states = [each.state for each in claims]
    counts = {name: states.count(name) for name in ("open", "overdue", "answered", "deleted")}
    Console(as_json, quiet).result(
        {**counts, "claims": [each.as_dict() for each in claims]}, "\n".join(map(_listed, claims))
    )


def _listed(claim: ClaimState) -> str:
    from memaudit.api.gating import plain
    from memaudit.words import plural

    who = plain(claim.claimant) or "somebody whose data are deleted"
    return f"{claim.number}  {claim.state:<8}  due {claim.due}  {plural(claim.pictures, 'picture')} of {who}"


@app.command("show")
def show(
    ledger: LedgerFolder,
    claims: Numbers = None,
    claimant: Person = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Show everything that is kept of claims, for who asked."""
    from memaudit.api.claim_ledger import show_claims

    found = show_claims(ledger, claims or [], claimant=claimant)
    Console(as_json, quiet).result({"claims": found}, "\n".join(map(_shown, found)))


def _shown(claim: dict[str, Any]) -> str:
    import json

    return json.dumps(claim, ensure_ascii=False, indent=2) if claim["kept"] else f"claim {claim['claim']}: deleted"


@app.command("delete")
def delete(
    ledger: LedgerFolder,
    claims: Numbers = None,
    claimant: Person = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Delete what is kept of claims: names, digests of pictures, answers, letters, salt. The ledger still verifies."""
    from memaudit.api.claim_ledger import delete_claims

    gone = delete_claims(ledger, claims or [], claimant=claimant)
    said = f"deleted: {_numbers(gone)}. Lists that claims exclude wrote before still name what they found."
    Console(as_json, quiet).result({"deleted": gone}, said)


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(f"claim {number}" for number in numbers)


@app.command("verify")
def verify(
    ledger: LedgerFolder,
    line: Line = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Check the ledger's chain, and what is kept against it. Exit code 3: something is not as it was written."""
    from memaudit.api.claim_ledger import verify_claims
    from memaudit.words import plural

    found = verify_claims(ledger, line=line)
    cut = f"; after it {plural(found.unfinished, 'byte')} of a line that was not finished" if found.unfinished else ""
    counts = f"{plural(found.lines, 'line')} about {plural(found.claims, 'claim')}"
    said = f"the ledger is as it was written: {counts}{cut}; the digest of the last is {found.head}"
    Console(as_json, quiet).result(found.as_dict(), "\n".join(found.faults) or said)
    raise typer.Exit(3 if found.faults else 0)


@app.command("exclude")
def exclude(
    ledger: LedgerFolder,
    out: ListFile,
    how: How = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Add the training images that claims found, with their near-duplicates, to a list for `export --drop`. Exit code
    3: of some pictures there may be more than claims list, or a claim is not answered yet."""
    from memaudit.api.claim_ledger import exclude_claimed

    made = exclude_claimed(ledger, out, **({"hows": how} if how else {}))
    lines = (f"{out}: {made.images:,} images, {made.added:,} of them new", *made.warnings)
    Console(as_json, quiet).result(made.as_dict(), "\n".join(lines), conclusive=not made.warnings)
