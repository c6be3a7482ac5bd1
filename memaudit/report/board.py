"""What a board reads of an audit: four plain sentences, built here and nowhere else.

What was tested, what was found, what chance gives, and what the audit cannot say. A claim has one bound, a share two
digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from memaudit.report.detected import detected_of, hardest_of, hidden_and_found, stated_rate
from memaudit.report.effort import how_hard
from memaudit.report.model import (
    AuditResults,
    ByPrompt,
    Control,
    FaceAuditResults,
    Faces,
    ImageMatch,
    Rate,
    Report,
    WeightedRate,
)
from memaudit.report.page import two_digits, two_digits_up
from memaudit.statistics import clopper_pearson_upper, least_drawn, melded_upper
from memaudit.words import plural

FEW = 0.01  # an upper bound above it, with nothing found: too few were asked for
_TESTED = 0.05  # a p-value up to which chance does not explain what was found


class Board(NamedTuple):
    """A sentence or two each."""

    tested: str
    found: str
    chance: str
    cannot: str


def board_of(report: Report, accepted: int = 0, no_copies: int = 0) -> Board:
    """accepted: how many findings people have cleared at the gate, and the day until which has not passed; no_copies:
    of them those that they call no copy."""
    results = report.results
    if isinstance(results, AuditResults):
        matches = [match for match in report.findings if isinstance(match, ImageMatch)]
        every = bool(matches) and accepted >= len(report.findings)
        return Board(
            _tested(report, results),
            _found(results, _cleared(accepted, no_copies) if every else "") + _drawn_anew(results),
            _by_chance(results) + _anew_by_chance(results),
            " ".join(_unsaid(report, results)),
        )
    if isinstance(results, FaceAuditResults) and results.faces:
        return board_of_faces(results.faces, model_of(report))
    reasons = _listed(results.reasons)
    return Board(
        "Nothing was measured.",
        f"No result: {reasons}.",
        "Nobody can say what chance gives: nothing was compared.",
        "It says neither that something was found nor that nothing was.",
    )


def model_of(report: Report) -> str:
    """The name of the model under audit, or the word for it."""
    about = report.head.about
    return (about.model if about else "") or "the model"


def _tested(report: Report, results: AuditResults) -> str:
    made, prompts = results.searched.n, results.by_prompt.returned.n if results.by_prompt else None
    asked = f" from {plural(prompts, 'prompt')}" if prompts is not None else ""
    how = "by embeddings alone" if results.verified is None else "by embeddings and on pixels"
    lost = results.searched.coverage.total - made
    rest = f" {lost:,} more could not be looked at." if lost else ""
    known = plural(results.references.measured, "training image")
    verb = "was" if made == 1 else "were"
    compared = f"{plural(made, 'picture')} that {model_of(report)} made{asked} {verb} compared with {known}, {how}."
    return f"{compared}{rest}{_hidden(results)}"


def _hidden(results: AuditResults) -> str:
    """How much the audit finds of what was hidden among the pictures; nothing where nothing was."""
    kinds = detected_of(results)
    if not kinds:
        return ""
    hardest = hardest_of(results)
    counted = ", which is counted below" if hardest and results.conclusive else ""
    return " " + hidden_and_found(kinds, hardest, "them", counted)


def _cleared(accepted: int, no_copies: int) -> str:
    """Where every finding is."""
    if not no_copies:
        return " A person has accepted every one of them, with a reason and until a day."
    if no_copies == accepted:
        return " People who looked at them call every one of these findings no copy."
    rest = accepted - no_copies
    return (
        f" People have cleared all {accepted:,} findings: {no_copies:,} as no copy, {rest:,} accepted, with a reason "
        "and until a day."
    )


def _found(results: AuditResults, cleared: str) -> str:
    if not results.conclusive:
        count = results.searched.count
        found = f" {plural(count, 'picture')} repeated a training image all the same." if count else ""
        return f"No result: {_listed(results.reasons)}.{found}"
    found = _of_prompts(results.by_prompt) if results.by_prompt else _of_pictures(results.searched)
    return found + cleared


def _drawn_anew(results: AuditResults) -> str:
    """Beside the copies; nothing where it was not looked for, which stands under what the audit cannot say."""
    found = results.redrawn
    if not found or not found.searched or not found.searched.n:
        return ""
    rate, noun = found.searched, "picture"
    did = "is a training image drawn anew" if rate.count == 1 else "are training images drawn anew"
    if found.by_prompt:
        rate, noun, did = found.by_prompt.returned, "prompt", "gave a training image drawn anew"
    which = "which is no copy" if rate.count == 1 else "which are no copies"
    count = f"{rate.count:,}" if rate.count else "none"
    return f" Beside copies, {count} of {plural(rate.n, noun)} {did}{_share(rate)}, {which}: {_at_most(rate)}."


def _anew_by_chance(results: AuditResults) -> str:
    found = results.redrawn
    if not found or not found.searched or not found.searched.count or results.control is None:
        return ""
    control = found.control
    if control is None or not control.matched.n:
        return " How many are called drawn anew by chance is unknown."
    matched, p = control.matched, control.greater_rate_p
    few = f"{matched.count:,}" if matched.count else "none"
    test = f"not tested: {control.why_no_p}" if p is None else _p(p)
    verb = "is" if matched.count == 1 else "are"
    return f" Of {plural(matched.n, 'picture')} that it never saw {few} {verb} called drawn anew ({test})."


def _of_prompts(prompts: ByPrompt) -> str:
    rate = prompts.returned
    said = _counted(rate, "prompt", "gave a training image back")
    if "most-duplicated" in prompts.strategies:
        return f"{said}. They are of the most duplicated images, so no rate of the model follows."
    if prompts.weighted:
        return f"{said}: of all captions, {_at_most(prompts.weighted)} do."
    return f"{said}{_share(rate)}: {_at_most(rate)} of such prompts do."


def _of_pictures(rate: Rate) -> str:
    said = _counted(rate, "picture", "repeats a training image" if rate.count == 1 else "repeat a training image")
    return f"{said}{_share(rate)}: {_at_most(rate)} of such pictures do, if each was made independently of the others."


def _counted(rate: Rate, noun: str, did: str) -> str:
    count = f"{rate.count:,}" if rate.count else "None"
    return f"{count} of {plural(rate.n, noun)} {did}"


def _share(rate: Rate) -> str:
    return f" ({two_digits(rate.value)})" if rate.count else ""


def _at_most(rate: Rate | WeightedRate) -> str:
    return f"with {100 * rate.confidence:.0f} % confidence at most {two_digits_up(rate.stated.upper)}"


def _by_chance(results: AuditResults) -> str:
    control = results.control
    if control is None:
        return "Nobody can say what chance gives: no pictures were given that the model never saw."
    matched = control.matched
    few = f"{matched.count:,}" if matched.count else "none"
    share = f"({two_digits(matched.value)})" if matched.count else f"(at most {two_digits_up(matched.upper)} would)"
    verb = "resembles" if matched.count in (0, 1) else "resemble"
    first = f"Of {plural(matched.n, 'picture')} that the model never saw, {few} {verb} a training image as much {share}"
    return f"{first}{_explained(results, control)}."


def _explained(results: AuditResults, control: Control) -> str:
    """Whether chance explains what was found; nothing where there is nothing to explain."""
    if not results.searched.count:
        return ""
    p = control.greater_rate_p
    if p is None:
        why = control.why_no_p or control.why_no_rate_p or "no test"
        return f"; whether chance explains what was found cannot be tested ({why})"
    return f"{_by_test(p)}{_unconfirmed(control)}"


def _by_test(p: float) -> str:
    if p > _TESTED:
        return f": chance may explain what was found ({_p(p)})"
    return f": chance does not explain what was found ({_p(p)})"


def _p(p: float) -> str:
    return f"p {'< 0.0001' if p < 1e-4 else f'= {p:.2g}'}"


def _unconfirmed(control: Control) -> str:
    """Where the rate tells the two sides apart and the relabelling test, though it could, does not: generations may
    only be more like the training set than held-out images are (docs/protocols/audit.md)."""
    rate, second, least = control.greater_rate_p, control.relabelling_p, control.least_relabelling_p
    if rate is None or rate > _TESTED or second is None or second <= _TESTED or (least or 0) > _TESTED:
        return ""
    return (
        ". A second test does not confirm that it is memorising: by it nobody can tell training images that came back "
        f"from pictures like these ({_p(second)})"
    )


def _unsaid(report: Report, results: AuditResults) -> Iterator[str]:
    mark = how_hard(results)
    if mark.weak:
        yield f"The audit was weak ({_listed(mark.why)}), so copies may have been missed."
    if results.conclusive:
        yield from _too_few(results)
    if results.conclusive and not results.searched.all_copies:
        yield "How many copies go undetected was not measured: what is said is of those that can be detected."
    if results.redrawn and not results.redrawn.measured:
        yield "Whether training images were drawn anew was not measured, which is not the same as none."
    yield (
        "It says nothing of other prompts, and copies that were altered much may have been missed; likeness in subject "
        "or style is no copy."
    )


def shows_few(results: AuditResults) -> bool:
    """Whether it is shown that at most FEW copy, undetected ones included: before that nothing found is no good
    news."""
    stated, prompts = stated_rate(results), results.by_prompt or None
    of_model = prompts is None or "most-duplicated" not in prompts.strategies
    return of_model and bool(stated.all_copies) and stated.stated.upper <= FEW


def _too_few(results: AuditResults) -> Iterator[str]:
    """Where nothing was found among so few that much can be there; nothing where no rate follows at all."""
    prompts, stated = results.by_prompt or None, stated_rate(results)
    rate, unit = (prompts.returned, "prompt") if prompts else (results.searched, "picture")
    if rate.count or stated.stated.upper <= FEW or (prompts and "most-duplicated" in prompts.strategies):
        return
    first = f"{plural(rate.n, unit)} are too few to tell a rate below {two_digits_up(stated.stated.upper)}"
    if stated is not rate:
        yield f"{first} of all captions."
        return
    detected = detected_of(results).get(rate.all_copies.kind) if rate.all_copies else None
    if detected and not detected.found:
        yield f"{first}, and no number of {unit}s tells more of copies of which none is found."
        return

    def upper(count: float, n: float, tail: float) -> float:
        return melded_upper(count, n, detected, tail) if detected else clopper_pearson_upper(count, n, tail)

    yield f"{first}: it takes {least_drawn(FEW, 0, upper=upper):,} {unit}s without a find to show that at most 1 % do."


def board_of_faces(faces: Faces, model: str) -> Board:
    """The same of faces: people, and whether their pictures are known ones."""
    shown = f" on {plural(faces.generated.images, 'picture')}" if faces.generated else ""
    own = f" of {_people(faces.people)}" if faces.people else ""
    return Board(
        f"{plural(faces.scored_faces, 'face')}{own}{shown} that {model} made "
        f"{'was' if faces.scored_faces == 1 else 'were'} compared with {plural(faces.gallery_faces, 'face')} of the "
        "training set.",
        _found_faces(faces),
        _chance_of_faces(faces),
        "It cannot say who somebody is: faces of different people can look alike to a computer, with some groups of "
        "people more often than with others, so a person decides on each match.",
    )


def _people(count: int) -> str:
    return plural(count, "person", "people")


def _found_faces(faces: Faces) -> str:
    matched, unit = faces.matched, _people if faces.people else (lambda count: plural(count, "face"))
    if not faces.conclusive:
        found = f" {unit(matched.count)} matched all the same." if matched.count else ""
        return f"No result: {_listed(faces.reasons)}.{found}"
    if not faces.scored_faces:
        return (
            "No face that could be compared was found on these pictures: nobody was compared with the training set, "
            "which is not the same as nobody given back."
        )
    same, new = faces.same_picture, faces.new_picture
    seen = max(faces.faces_matched, matched.count, same + new)
    if not seen:
        return f"None of {unit(matched.n)} looks like anybody in the training set: {_at_most(matched)} of them do."
    verb, more = "looks" if matched.count == 1 else "look", ""
    if faces.people and faces.people_matched > matched.count:
        more = f", by one face drawn of each; by all their faces {faces.people_matched:,} do"
    unknown = seen - same - new
    others = f", {unknown:,} on pictures that could not be compared" if unknown else ""
    return (
        f"{matched.count:,} of {unit(matched.n)} {verb} like somebody in the training set{more}. "
        f"Of {plural(seen, 'face')} that match{'es' if seen == 1 else ''}, {same:,} {'is' if same == 1 else 'are'} on "
        f"the same picture as there, {new:,} on a new one{others}."
    )


def _chance_of_faces(faces: Faces) -> str:
    least, most = _number(faces.expected_false_matches), _number(faces.expected_with_excluded)
    about = f"{least} to {most}" if faces.excluded_control_people and most != least else least
    first = f"Were all of them strangers, about {about} such matches would come up"
    p = faces.excess_p
    if p is None:
        return f"{first}."
    return f"{first}{_by_test(p)}."


def _number(expected: float) -> str:
    return f"{expected:,.0f}" if expected >= 10 else f"{expected:.2g}"


def _listed(reasons: Sequence[str]) -> str:
    return "; ".join(reasons)
