"""memaudit review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit import interrupts
from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag

if TYPE_CHECKING:
    from memaudit.api.review_page import ReviewPage, ReviewStatus

Target = Annotated[
    Path,
    typer.Argument(
        metavar="TARGET", help="An audit or a dedup (its folder or report.json), or what calibrate propose wrote."
    ),
]
Out = Annotated[Path, typer.Option("--out", help="The .jsonl file that decisions are added to, and read from.")]
Who = Annotated[str, typer.Option("--who", help="Whose name the page begins with.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Of 127.0.0.1; 0: any that is free.")]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the page in your browser.")]
Status = Annotated[bool, typer.Option("--status", help="Say how far people are, and end.")]


def review(
    target: Target,
    out: Out = Path("reviews.jsonl"),
    who: Who = "",
    port: Port = 0,
    open_: Open = False,
    status: Status = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Review pairs on a local page, the most doubtful first; each decision is in the file at once. Ctrl-C ends it."""
    from memaudit.api.review_page import open_review, review_status

    console = Console(as_json, quiet)
    if status:
        found = review_status(target, out)
        console.result(found.as_dict(), _told(found))
        return
    with open_review(target, out, who=who, port=port) as page:
        if page.mended:
            console.tell(f"{out}: {page.mended:,} bytes of a line that was not finished were taken away")
        for note in page.notes:
            console.tell(note)
        try:  # Ctrl-C is how a review ends, from the moment on when somebody knows that it has begun
            console.result({**page.status.as_dict(), "url": page.url}, _begun(page))
            if open_ and not page.open_browser():
                console.tell("no browser could be opened: open the address above")
            page.serve()
        except KeyboardInterrupt:
            interrupts.expected()
        console.tell(_ended(page.status))


def _begun(page: ReviewPage) -> str:
    return f"{_told(page.status)}\nOpen {page.url}\nThe address is good once, for one browser. Ctrl-C ends the review."


def _told(status: ReviewStatus) -> str:
    from memaudit.api.gating import plain
    from memaudit.words import plural

    each = (f"{name or 'nobody named'}: {count:,}" for name, count in status.people.items())
    people = "; ".join(each) or "nobody has decided yet"
    differ = f"; people disagree on {status.disagreeing:,}" if status.disagreeing else ""
    told = f"{plural(status.pairs, 'pair')} on {plural(status.sheets, 'sheet')}"
    return f"{told}. Decided in {status.out}: {plain(people)}{differ}."


def _ended(status: ReviewStatus) -> str:
    from memaudit.words import plural

    if not status.out.exists():
        return f"review ended: nothing was decided, and {status.out} not written"
    made = plural(status.decisions, "decision")
    return f"review ended: {made} of this page in {status.out}; the same command goes on"
