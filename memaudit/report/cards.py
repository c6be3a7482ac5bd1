"""Findings of an audit as the page shows them: a card each, the gravest first, those of a training image together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple, TypedDict

from msgspec.json import encode

from memaudit.matching.kinds import COPIES, FACE, Kind
from memaudit.report.model import AuditFinding, AuditResults, FaceAuditResults, FaceMatch, ImageMatch, Report, Said
from memaudit.report.page import script_of
from memaudit.report.page_pictures import PagePictures

OWN, NEAR_OWN, OTHER = "the prompt's own image", "near-duplicate of the prompt's", "not the prompt's image"
SAME = "="  # as of the row before
NAMED = 3  # training faces of a person
STATIC = 60  # findings in the page for a browser that runs no script
MOST_BYTES = 24_000_000  # of a page, of which the rows of findings may take
MOST_OF_ROWS = 10_000_000
SAME_PICTURE, NEW_PICTURE = f"{FACE} on the same picture", f"{FACE} on a new picture"
_GRAVITY = {str(kind): place for place, kind in enumerate((*COPIES, Kind.REDRAWN, SAME_PICTURE, NEW_PICTURE, FACE))}
_ABOUT = {
    Kind.VERBATIM: "the same picture",
    Kind.TEMPLATE: "the same picture but for a part",
    Kind.PARTIAL: "a part of one is in the other",
    Kind.NEAR: "similar at the threshold",
    Kind.REDRAWN: "no copy: a training image drawn anew, with hardly a pixel of it",
    SAME_PICTURE: "a training picture came back, and the person with it",
    NEW_PICTURE: "a person of the training set on a picture that is not in it",
    FACE: "a face that looks like one of the training set; whether the picture is one of it is not known",
}


class Card(NamedTuple):
    """What the page shows of a finding, in the words that it shows, and what it sorts and filters by.

    group: of one training image, or one training person, whose findings stand together; together: the line above them,
    empty for one alone. matrix, query_box, reference_box: as of an `Alignment`.
    decided: what people decided before, or at the gate. face: is about people, and not about pictures.
    """

    similarity: float
    kind: str
    view: str
    relation: str
    near_duplicates: int
    ratio: float | None
    q: float | None
    query_id: str
    reference_id: str
    prompt: str
    caption: str
    tags: list[str]
    facts: str
    query_picture: str | None
    reference_picture: str | None
    query_sha256: str
    reference_sha256: str
    reference_url: str
    matrix: list[float] | None
    query_box: list[float] | None
    reference_box: list[float] | None
    group: str
    together: str
    decided: str
    face: bool


class PageData(TypedDict):
    """All cards as rows, for the page's script. pictures: what stands for each by its path, but those of the cards that
    are in the page without a script. kinds: name, heading and meaning, the gravest first."""

    fields: tuple[str, ...]
    rows: list[Sequence[object]]
    pictures: dict[str, str]
    kinds: list[tuple[str, str, str]]
    report: str
    beside: bool
    veiled: bool


class FindingsPart(NamedTuple):
    """The findings of a page. in_page: how many of all are listed, pictured: how many of these, from the first on, have
    their pictures in it."""

    total: int
    in_page: int
    pictured: int
    cards: list[Card]
    data: PageData
    script: str
    script_digest: str
    pictures: PagePictures
    table: str
    threshold: float | None

    @property
    def veiled(self) -> bool:
        """The pictures are blurred until somebody asks for them."""
        return self.data["veiled"]

    @property
    def faces_alone(self) -> bool:
        return all(each.face for each in self.cards)

    @staticmethod
    def heading(kind: str) -> str:
        return heading_of(kind)

    @staticmethod
    def about(kind: str) -> str:
        return _ABOUT.get(kind, "")


def findings_part(report: Report, pictures: PagePictures, decisions: Mapping[int, str]) -> FindingsPart:
    """decisions: what people decided at the gate, by the place of a finding in the report."""
    matches = enumerate(report.matches)
    every = ordered([card(match, decisions.get(place, "") or _said(match)) for place, match in matches])
    cards = _fitting(every)
    veiled = shows_faces(report) or any(each.face for each in cards)
    pictures.room = MOST_BYTES - sum(map(_size, cards))
    pictured = _pictured(cards, pictures)
    static = cards[:STATIC]
    named = {path for each in static for path in (each.query_picture, each.reference_picture)}
    script, digest = script_of("viewer.js", "pairs.js", "audit.js")
    kinds = [(kind, heading_of(kind), _ABOUT.get(kind, "")) for kind in dict.fromkeys(each.kind for each in cards)]
    data: PageData = {
        "fields": Card._fields,
        "rows": _short(cards),
        "pictures": {path: source for path, source in pictures.sources.items() if path not in named},
        "kinds": kinds,
        "report": report.digest,
        "beside": pictures.beside,
        "veiled": veiled,
    }
    table = "face_matches.parquet" if isinstance(report.results, FaceAuditResults) else "matches.parquet"
    return FindingsPart(
        len(every), len(cards), pictured, static, data, script, digest, pictures, table, report.threshold
    )


def shows_faces(report: Report) -> bool:
    """Whether people were looked for: then all pictures are blurred until somebody asks for them."""
    results = report.results
    return isinstance(results, FaceAuditResults) or (isinstance(results, AuditResults) and bool(results.faces))


def ordered(cards: Sequence[Card]) -> list[Card]:
    """The gravest kind first; of one kind by training image or person, that with the most similar finding first."""
    best: dict[tuple[str, str], float] = {}
    named: dict[tuple[str, str], dict[str, None]] = {}
    counts = Counter((each.kind, each.group) for each in cards)
    for each in cards:
        key = (each.kind, each.group)
        best[key] = max(each.similarity, best.get(key, -1.0))
        named.setdefault(key, {})[each.reference_id] = None

    def place(each: Card) -> tuple[int, float, str, float, str]:
        gravity = _GRAVITY.get(each.kind, len(_GRAVITY))
        return (gravity, -best[each.kind, each.group], each.group, -each.similarity, each.query_id)

    def line(each: Card) -> str:
        key = (each.kind, each.group)
        return _together(each, counts[key], list(named[key])) if counts[key] > 1 else ""

    return [each._replace(together=line(each)) for each in sorted(cards, key=place)]


def _together(each: Card, count: int, named: Sequence[str]) -> str:
    """Above the findings of one training image, or of one training person, which may be on several."""
    if not each.face:
        return f"{count:,} of them repeat the training image {each.reference_id}:"
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return f"{count:,} of them look like one person of the training set ({', '.join(named[:NAMED])}{more}):"


def _short(cards: Sequence[Card]) -> list[Sequence[object]]:
    """Rows as the page holds them, which its script fills up again: the words above findings stand at the first of
    these alone, what a training image stands together by, its name, is left out, and so is what is empty at the end."""
    rows = list[Sequence[object]]()
    last = ""
    for each in cards:
        group = "" if each.group == each.reference_id else each.group
        row = each._replace(group=group, together=SAME if each.together and each.together == last else each.together)
        rows.append(row if row.decided or row.face else row[:-2])
        last = each.together
    return rows


def heading_of(kind: str) -> str:
    return f"{kind[:1].upper()}{kind[1:]}"


def _fitting(cards: list[Card]) -> list[Card]:
    room = MOST_OF_ROWS
    for count, each in enumerate(cards):
        room -= _size(each)
        if room < 0:
            return cards[:count]
    return cards


def _size(each: Card) -> int:
    return len(encode(each)) + 3 * len(each)  # as the template writes it, with blanks


def _pictured(cards: Sequence[Card], pictures: PagePictures) -> int:
    """Put pictures into the page as long as there is room, from the first card on; return how many have theirs."""
    pairs = ([path for path in (each.query_picture, each.reference_picture) if path] for each in cards)
    return sum(bool(paths) for paths in takewhile(pictures.add, pairs))


def card(finding: AuditFinding, decided: str = "") -> Card:
    return _of_face(finding, decided) if isinstance(finding, FaceMatch) else _of_image(finding, decided)


def _of_image(finding: ImageMatch, decided: str) -> Card:
    relation = OWN if finding.is_prompts_image else NEAR_OWN if finding.paired else OTHER
    relation = relation if finding.prompt or finding.is_prompts_image or finding.paired else ""
    redrawn = finding.kind == Kind.REDRAWN
    tags = [finding.kind + (", no copy" if redrawn else "" if finding.verified else ", by embeddings")]
    tags += ["not counted"] if finding.counted is False else []
    tags += [f"view: {finding.view}"] if finding.view != "whole" else []
    tags += [relation] if relation else []
    lies = finding.alignment or None
    return Card(
        similarity=finding.similarity,
        kind=finding.kind,
        view=finding.view,
        relation=relation,
        near_duplicates=finding.near_duplicates,
        ratio=finding.neighbour_ratio,
        q=finding.q,
        query_id=finding.query_id,
        reference_id=finding.reference_id,
        prompt=_asked(finding),
        caption=finding.caption,
        tags=tags,
        facts=_facts(finding),
        query_picture=finding.query_picture,
        reference_picture=finding.reference_picture,
        query_sha256=finding.query_sha256 or "",
        reference_sha256=finding.reference_sha256 or "",
        reference_url=_link(finding.reference_url),
        matrix=lies.matrix if lies else None,
        query_box=lies.query_box if lies else None,
        reference_box=lies.reference_box if lies else None,
        group=finding.reference_id,
        together="",
        decided=decided,
        face=False,
    )


def _of_face(finding: FaceMatch, decided: str) -> Card:
    kind = {None: FACE, True: SAME_PICTURE, False: NEW_PICTURE}[finding.same_picture]
    alike = "" if finding.image_similarity is None else f"similarity of the pictures {finding.image_similarity:.3f} · "
    count = finding.near_duplicates
    others = f"{count:,} training faces look like this one, itself included" if count > 1 else "no other training face"
    return Card(
        similarity=finding.similarity,
        kind=kind,
        view="whole",
        relation="",
        near_duplicates=count,
        ratio=None,
        q=None,
        query_id=finding.query_face or finding.query_id,
        reference_id=finding.reference_face or finding.reference_id,
        prompt="",
        caption=finding.caption,
        tags=[kind],
        facts=f"{alike}{others if count > 1 else others + ' looks like this one'}",
        query_picture=finding.query_crop or finding.query_picture,
        reference_picture=finding.reference_crop or finding.reference_picture,
        query_sha256=finding.query_sha256 or "",
        reference_sha256=finding.reference_sha256 or "",
        reference_url="",
        matrix=None,
        query_box=None,
        reference_box=None,
        group=f"person {finding.training_person}" if finding.training_person else finding.reference_id,
        together="",
        decided=decided,
        face=True,
    )


def _said(finding: AuditFinding) -> str:
    """What people said of it before, as the report has it."""
    told = finding.review
    if not told:
        return ""
    each = (f"{one.verdict}{f' until {one.until}' if one.until else ''} ({_signed(one)})" for one in told.said)
    return f"said before: {' · '.join(each)}" + (": people disagree" if told.verdict == "disagreement" else "")


def _signed(said: Said) -> str:
    return ": ".join(filter(None, (said.who, said.why)))


def _link(url: str | None) -> str:
    """What a page may lead to: a web address, and nothing that a browser would run."""
    return url if url and url.lower().startswith(("https://", "http://")) else ""


def _asked(finding: ImageMatch) -> str:
    seed = f", seed {finding.seed}" if finding.seed else ""
    return f"Prompt “{finding.prompt}”{seed}." if finding.prompt else ""


def _facts(finding: ImageMatch) -> str:
    count, ratio, q = finding.near_duplicates, finding.neighbour_ratio, finding.q
    parts = ["no near-duplicate in the training set" if count <= 1 else f"{count:,} near-duplicates, itself included"]
    beyond = " or more" if finding.more else ""
    parts += [f"matches {finding.matches:,} training images{beyond}"] if finding.matches > 1 else []
    likely = "that it is drawn anew" if finding.kind == Kind.REDRAWN else "of a copy"
    parts += [f"probability {likely} {finding.probability:.2f}"] if finding.probability is not None else []
    parts += [f"ratio to neighbours {ratio:.2f}"] if ratio is not None else []
    parts += [f"q {q:.2g}"] if q is not None else []
    parts += [finding.reference_url] if finding.reference_url else []
    return " · ".join(parts)
