"""What policy, reports, baseline and accepted matches together come to: verdict, exit code, and the rules to blame."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from gated import Gate
from reports import AS_BY_DEFAULT, OTHER, SSCD, Report, audit, dedup, face, face_audit, faces, finding, sealed

from memaudit.encoders.encoder import spec_of
from memaudit.encoders.specs import families
from memaudit.images.view_names import view_names
from memaudit.statistics import rate_of
from memaudit.types import Coverage

PASS, FAIL, OPEN = "pass", "fail", "inconclusive"
CODES = {PASS: 0, FAIL: 1, OPEN: 3}
SSCD_ID = SSCD.identity
LAX = "[audit]\nmax_findings = 99\n"
PIXELS = "[audit]\nmax_findings = 99\nmax_verbatim = 0\n"
VERIFIED = "[audit]\nmin_verified_coverage = 0.9\n"
FINDING = {"max_findings": FAIL, "max_near_duplicate": FAIL}
OPEN_KINDS = {"max_verbatim": OPEN, "max_template": OPEN}
FACES = "[audit]\nmin_face_p = 0.01\n"
PEOPLE = f"{FACES}max_without_face = 0.1\n"


def of_people(without: int, uncompared: int | None = None, small: int = 0) -> Report:
    """An audit of 1,000 generations, of which so many show no face, and so many others none that is compared."""
    counts = {"unreadable": 0, "small": small, "faces": 1000 - without, "comparable": 1000 - without - small}
    counts |= {"images": 1000, "with_face": 1000 - without, "without_face": without, "most": 1}
    counts |= {} if uncompared is None else {"uncompared": uncompared}
    return audit(faces={**faces(0, 0.5, 1.0), "images_without_face": without, "generated": counts})


TILES = [*view_names("tiles")]
ANY_EFFORT = '[audit]\nviews = "none"\nmin_view_coverage = 0\nmin_verified_coverage = 0\nmax_match_from = 1\n'
ALONE = '[gate]\nrequire = ["dedup"]\n'
THUMBNAIL = spec_of(families()["thumbnail"])
FAR, PAST = "2999-01-01", "2020-01-01"


class Case(NamedTuple):
    name: str
    reports: list[Report]
    blamed: dict[str, str]
    policy: str = ""
    baseline: Report | None = None
    accepted: str = ""

    @property
    def verdict(self) -> str:
        return FAIL if FAIL in self.blamed.values() else OPEN if self.blamed else PASS


def entry(
    number: int = 1, until: str = FAR, by: str = "query_id", name: str | None = None, kind: str | None = None
) -> str:
    """An entry of accepted.toml about the finding of a generation."""
    query = name or f"gen-{number:04d}.png"
    named = query if by == "query_id" else f"prompt of {query}"
    return (
        f'[[accepted]]\n{by} = "{named}"\nreference_id = "train-{query}"\n'
        f'who = "A. Person"\nwhy = "a logo"\nuntil = {until}\n' + (f'kind = "{kind}"\n' if kind else "")
    )


def verbatim(number: int, verified: bool = True) -> Report:
    return finding(number, kind="verbatim", verified=verified)


def near(number: int) -> Report:
    return finding(number, verified=True)


def by_person(count: int, p: float | None, matched: int) -> Report:
    """An audit whose rate of faces is one of people, of whom one face was drawn each."""
    looked = {"people": 700, "faces_matched": matched, "people_matched": max(count, 1), "training_people": 1}
    return audit(faces={**faces(count, 1.5, p), **looked})


def with_faces(report: Report, count: int) -> Report:
    """An audit of images that found faces as well, no more than chance gives."""
    report["findings"] += [face(number) for number in range(count)]
    report["results"]["faces"] = faces(count, 5.0, 1.0)
    return sealed(report)


def verified(measured: int, total: int) -> dict[str, Any]:
    return {"verified": {"measured": measured, "total": total, "share": measured / total if total else 0.0}}


def less(report: Report, *names: str) -> Report:
    """The report of a version that does not state these results."""
    results = {name: value for name, value in report["results"].items() if name not in names}
    return sealed({**report, "results": results})


def with_views(*measured: int) -> dict[str, Any]:
    """Views of generations, of held-out images, and windows of training images, of 100 each."""
    names = ("generation_views", "control_views", "reference_windows")
    shares = {name: {"measured": n, "total": 100, "share": n / 100} for name, n in zip(names, measured, strict=True)}
    return {"effort": {"match_from": 0.3, **shares}}


def pixels_from(similarity: float) -> dict[str, Any]:
    return {"effort": {**AS_BY_DEFAULT["effort"], "match_from": similarity}}


CALIBRATION = {"digest": "c" * 64, "threshold": 0.75, "cut": 0.9, "own_cut": 0.625}
NAMED = f'[gate]\ncalibrations = ["{CALIBRATION["digest"]}"]\n'
DOUBTS = "[audit]\nmax_miss_probability = 0.3\n"
MISSED = {"max_miss_probability": OPEN}


def by(calibration: Report, **more: Any) -> Report:
    """An audit that went by this calibration."""
    return audit(calibration=calibration, **more)


def missed(probability: float | None) -> Report:
    """A generation that is no finding."""
    pair = {"query_id": "gen.png", "reference_id": "train.png", "similarity": 0.5, "view": "whole", "kind": "similar"}
    return {**pair, "probability": probability}


def of_seeds(prompts: int, seeds: int) -> Report:
    """Nothing found for so many prompts of so many seeds each."""
    returned = rate_of(0, Coverage(prompts, prompts)).as_dict()
    return {"returned": returned, "seeds": [{"seeds": seeds, "prompts": prompts}]}


PAIRED = {"paired": rate_of(0, Coverage(1000, 1000)).as_dict()}
OF_BEFORE = ("effort", "made", "unpaired")

CASES = [
    # how hard it looked
    Case("whole images alone", [audit(views=["whole"])], {"views": OPEN}),
    Case("views are not stated", [less(audit(), "views")], {"views": OPEN}),
    Case("whole images alone will do", [less(audit(), "views", "effort")], {}, ANY_EFFORT),
    Case("more views than asked for", [audit(views=[*view_names("all")])], {}),
    Case("all views are asked for", [audit()], {"views": OPEN}, '[audit]\nviews = "all"\n'),
    Case("views of generations lost", [audit(**with_views(98, 100, 100))], {"min_view_coverage": OPEN}),
    Case("views of held-out images lost", [audit(**with_views(100, 98, 100))], {"min_view_coverage": OPEN}),
    Case("windows of training images lost", [audit(**with_views(100, 100, 98))], {"min_view_coverage": OPEN}),
    Case("enough views", [audit(**with_views(99, 99, 99))], {}),
    Case("no pixels", [audit(verified=None)], {"min_verified_coverage": OPEN}),
    Case("no pixels asked for", [audit(verified=None)], {}, "[audit]\nmin_verified_coverage = 0\n"),
    Case("few candidates on pixels", [audit(**verified(3, 17))], {"min_verified_coverage": OPEN}),
    Case("pixels from high up", [audit(**pixels_from(0.74))], {"max_match_from": OPEN}),
    Case("pixels from high up will do", [audit(**pixels_from(0.74))], {}, "[audit]\nmax_match_from = 0.74\n"),
    Case("of an earlier version", [less(audit(), *OF_BEFORE)], {"min_view_coverage": OPEN, "max_match_from": OPEN}),
    Case("of an earlier version, any effort", [less(audit(), *OF_BEFORE)], {}, ANY_EFFORT),
    Case("which generations are of one prompt is not stated", [less(audit(), "by_prompt")], {"max_rate": OPEN}),
    Case("it is not, and any rate will do", [less(audit(), "by_prompt")], {}, "[audit]\nmax_rate = 1\n"),
    Case("prompts that nobody knows", [audit(by_prompt=None)], {}),
    Case("seeds are no draws", [audit(1000, by_prompt=of_seeds(100, 10))], {"max_rate": OPEN}),
    Case("prompts are", [audit(4000, by_prompt=of_seeds(400, 10))], {}),
    Case("an encoder for plain copies", [audit(encoder=THUMBNAIL, threshold=0.95)], {"copy_detection": OPEN}),
    Case("it will do", [audit(encoder=THUMBNAIL, threshold=0.95)], {}, "[audit]\ncopy_detection = false\n"),
    Case("dedup by it", [dedup(encoder=THUMBNAIL)], {"copy_detection": OPEN}, ALONE),
    Case("dedup by it will do", [dedup(encoder=THUMBNAIL)], {}, f"{ALONE}[dedup]\ncopy_detection = false\n"),
    Case("unknown weights", [audit(encoder=replace(SSCD, weights_sha256="a" * 64))], {"copy_detection": OPEN}),
    Case("no weights", [audit(encoder=replace(SSCD, weights_sha256=""))], {"copy_detection": OPEN}),
    Case("other preprocessing", [audit(encoder=replace(SSCD, preprocessing="64x64"))], {"copy_detection": OPEN}),
    Case(
        "weights that nobody knows", [audit(encoder=replace(SSCD, name="sscd-torchscript"))], {"copy_detection": OPEN}
    ),
    Case("a weak audit that found something", [audit(found=[1], views=["whole"])], {"views": OPEN, **FINDING}),
    # what it said nothing of
    Case("blank", [audit(300, made=1000, blank=700)], {"max_blank": OPEN}),
    Case("a few blank", [audit(990, made=1000, blank=10)], {}),
    Case("blank allowed", [audit(300, made=1000, blank=700)], {}, "[audit]\nmax_blank = 0.7\n"),
    Case("blank is not stated", [less(audit(), "blank")], {"max_blank": OPEN}),
    Case("blank does not matter", [less(audit(), "blank")], {}, "[audit]\nmax_blank = 1.0\n"),
    Case("unpaired", [audit(made=1000, unpaired=999, **PAIRED)], {"max_unpaired": OPEN}),
    Case("unpaired allowed", [audit(made=1000, unpaired=999, **PAIRED)], {}, "[audit]\nmax_unpaired = 1.0\n"),
    Case("unpaired is not stated", [less(audit(**PAIRED), "unpaired")], {"max_unpaired": OPEN}),
    Case("no pairing", [less(audit(), "unpaired")], {}),
    # findings, rate, controls
    Case("clean", [audit()], {}),
    Case("clean with dedup", [audit(), dedup()], {}),
    Case("one finding", [audit(found=[1])], {**FINDING}),
    Case("one finding allowed", [audit(found=[1])], {}, "[audit]\nmax_findings = 1\n"),
    Case("rate above the limit", [audit(found=range(30))], {"max_rate": FAIL}, LAX),
    Case("rate not shown", [audit(found=range(6))], {"max_rate": OPEN}, LAX),
    Case("too few generations", [audit(298)], {"max_rate": OPEN}),
    Case("just enough generations", [audit(299)], {}),
    Case("a limit of zero", [audit(10**6)], {"max_rate": OPEN}, "[audit]\nmax_rate = 0.0\n"),
    Case("no control", [audit(controls=None)], {"min_controls": OPEN}),
    Case("no control wanted", [audit(controls=None)], {}, "[audit]\nmin_controls = 0\n"),
    Case("low coverage", [audit(900, total=1000)], {"min_coverage": OPEN}),
    Case("low coverage allowed", [audit(900, total=1000)], {}, "[audit]\nmin_coverage = 0.9\n"),
    Case("training images unread", [audit(references=(900, 1000))], {"min_reference_coverage": OPEN}),
    Case("looked for exact copies", [audit(threshold=0.99)], {"threshold": OPEN}),
    Case("calls itself inconclusive", [audit(conclusive=False)], {"conclusive": OPEN}),
    Case(
        "a finding outweighs the rest",
        [audit(10, [1], conclusive=False, controls=None)],
        {**FINDING, "max_rate": FAIL, "conclusive": OPEN, "min_controls": OPEN},
    ),
    # several reports
    Case("dedup alone", [dedup()], {"require": OPEN}),
    Case("dedup alone, wanted so", [dedup()], {}, '[gate]\nrequire = ["dedup"]\n'),
    Case("recall not shown", [audit(), dedup(low=0.98)], {"min_recall": OPEN}),
    Case("another training set", [audit(store="s2"), dedup()], {"same_training_set": OPEN}),
    Case("one of two audits fails", [audit(), audit(found=[1])], {**FINDING}),
    # pixels
    Case("no verbatim copy", [audit(found=[near(1)])], {}, PIXELS),
    Case("a verbatim copy", [audit(found=[verbatim(1)])], {"max_verbatim": FAIL}, PIXELS),
    Case("an unconfirmed copy", [audit(found=[verbatim(1, False)])], OPEN_KINDS, PIXELS),
    Case("not compared on pixels", [audit(found=[finding(1, probability=None)])], OPEN_KINDS, PIXELS),
    Case("a verbatim copy among others", [audit(found=[1, verbatim(2)])], {"max_verbatim": FAIL}, PIXELS),
    Case("no finding, none confirmed", [audit()], {}, PIXELS),
    Case("a verbatim copy allowed", [audit(found=[verbatim(1)])], {}, LAX + "max_verbatim = 1\n"),
    Case("verified is not stated", [less(audit(), "verified")], {"min_verified_coverage": OPEN}, VERIFIED),
    Case("verified is null", [audit(verified=None)], {"min_verified_coverage": OPEN}, VERIFIED),
    Case("half verified", [audit(**verified(5, 10))], {"min_verified_coverage": OPEN}, VERIFIED),
    Case("verified", [audit(**verified(9, 10))], {}, VERIFIED),
    Case("no candidate to verify", [audit(**verified(0, 0))], {}, VERIFIED),
    # faces
    Case("faces not looked at", [audit()], {"min_face_p": OPEN}, FACES),
    Case("no face matches", [audit(faces=faces(0, 0.5, 1.0))], {}, FACES),
    Case("as many as chance gives", [audit(faces=faces(2, 1.5, 0.44))], {}, FACES),
    Case("more than chance gives", [audit(faces=faces(9, 1.5, 0.0001))], {"min_face_p": FAIL}, FACES),
    Case("faces without calibration", [audit(faces=faces(9, 1.5, None))], {"min_face_p": OPEN}, FACES),
    Case("a face of whom none was drawn, without calibration", [by_person(0, None, 3)], {"min_face_p": OPEN}, FACES),
    Case("a face of whom none was drawn", [by_person(0, 1.0, 3)], {}, FACES),
    Case("more people than chance gives", [by_person(9, 0.0001, 12)], {"min_face_p": FAIL}, FACES),
    Case("no match without calibration", [audit(faces=faces(0, 1.5, None))], {}, FACES),
    Case("faces of too few generations", [audit(faces=faces(0, 0.5, 1.0, 500))], {"min_coverage": OPEN}, FACES),
    Case("faces not asked for", [audit(faces=faces(9, 1.5, 0.0001))], {}),
    Case(
        "half of the training images searched for faces",
        [audit(faces=faces(0, 0.5, 1.0, gallery=(500, 1000)))],
        {"min_reference_coverage": OPEN},
        FACES,
    ),
    Case(
        "nobody knows how many were searched for faces",
        [audit(faces=faces(0, 0.5, 1.0, gallery=(0, 0)))],
        {"min_reference_coverage": OPEN},
        FACES,
    ),
    Case("a face is no copy of an image", [with_faces(audit(5000), 2)], {}, FACES + "max_verbatim = 0\n"),
    Case("a face beside a copy", [with_faces(audit(5000, [50]), 2)], {**FINDING}, FACES),
    Case("the copy accepted, the face open", [with_faces(audit(300, [50]), 2)], {}, FACES, accepted=entry(50)),
    Case(
        "the face accepted, the copy open",
        [with_faces(audit(5000, [50]), 2)],
        {**FINDING},
        FACES,
        accepted=entry(0, kind="face") + entry(1, kind="face"),
    ),
    Case("faces alone are no audit of images", [face_audit(0, 0.5, 1.0)], {"require": OPEN}, FACES),
    Case("faces alone without a limit", [face_audit(0, 0.5, 1.0)], {"require": OPEN, "min_face_p": OPEN}),
    Case("faces alone, wanted so", [face_audit(2, 1.5, 0.44)], {}, FACES + '[gate]\nrequire = ["faces"]\n'),
    Case("too many faces alone", [face_audit(9, 1.5, 0.0001)], {"min_face_p": FAIL, "require": OPEN}, FACES),
    Case(
        "faces alone, not said on how many",
        [face_audit(0, 0.5, 1.0)],
        {"max_without_face": OPEN},
        PEOPLE + '[gate]\nrequire = ["faces"]\n',
    ),
    Case("people on most", [of_people(100)], {}, PEOPLE),
    Case("people on most, if small", [of_people(50, 50)], {}, PEOPLE),
    Case("too small on too many", [of_people(50, 51)], {"max_without_face": OPEN}, PEOPLE),
    Case("an earlier version does not say how many", [of_people(50, small=1)], {"max_without_face": OPEN}, PEOPLE),
    Case("an earlier version compared all", [of_people(50)], {}, PEOPLE),
    Case("no face on too many", [of_people(101)], {"max_without_face": OPEN}, PEOPLE),
    Case("not said on how many", [audit(faces=faces(0, 0.5, 1.0))], {"max_without_face": OPEN}, PEOPLE),
    Case(
        "no face compared",
        [audit(faces=faces(0, 0.5, None, measured=0))],
        {"min_face_p": OPEN, "min_coverage": OPEN},
        FACES,
    ),
    Case("no faces, and wanted", [audit()], {"require": OPEN}, '[gate]\nrequire = ["faces"]\n'),
    Case("faces and images", [audit(faces=faces(0, 0.5, 1.0)), dedup(), face_audit(0, 0.5, 1.0)], {}, FACES),
    # provenance
    Case("fresh", [audit(days_old=29)], {}, "[gate]\nmax_age_days = 30\n"),
    Case("old", [audit(days_old=31)], {"max_age_days": OPEN}, "[gate]\nmax_age_days = 30\n"),
    Case("from the future", [audit(days_old=-1)], {"max_age_days": OPEN}, "[gate]\nmax_age_days = 30\n"),
    Case("as old as may be", [audit(days_old=9999)], {}),
    Case("the pinned encoder", [audit(), dedup()], {}, f'[gate]\nencoders = ["{SSCD_ID}"]\n'),
    Case("another encoder", [audit()], {"encoders": OPEN}, '[gate]\nencoders = ["x"]\n'),
    Case("no encoder is pinned", [audit()], {"encoders": OPEN}, "[gate]\nencoders = []\n"),
    Case("the pinned training set", [audit(), dedup()], {}, '[gate]\ntraining_sets = ["s0", "s1"]\n'),
    Case("another training set than pinned", [audit()], {"training_sets": OPEN}, '[gate]\ntraining_sets = ["s2"]\n'),
    # calibration
    Case("the calibration that is named", [by(CALIBRATION), dedup(calibration=CALIBRATION)], {}, NAMED),
    Case("it is named and was not used", [by(CALIBRATION), dedup()], {"calibrations": OPEN}, NAMED),
    Case("no report went by it", [audit()], {"calibrations": OPEN}, NAMED),
    Case("another calibration", [by({**CALIBRATION, "digest": "d" * 64})], {"calibrations": OPEN}, NAMED),
    Case("no calibration will do", [by(CALIBRATION)], {"calibrations": OPEN}, "[gate]\ncalibrations = []\n"),
    Case("a higher cut, which nobody named", [by(CALIBRATION)], {"calibrations": OPEN}),
    Case("of a dedup run", [dedup(calibration=CALIBRATION)], {"calibrations": OPEN}, ALONE),
    Case("a lower cut", [by({**CALIBRATION, "cut": 0.6})], {}),
    Case("the same cut", [by({**CALIBRATION, "cut": 0.625})], {}),
    Case("similarity alone", [by({**CALIBRATION, "cut": None})], {}),
    Case("a higher threshold", [by(CALIBRATION, threshold=0.8)], {"threshold": OPEN}, NAMED),
    Case("it will do as well", [by(CALIBRATION, threshold=0.8)], {}, f"{NAMED}[audit]\nmax_threshold = 0.8\n"),
    Case("faces calibrate themselves", [face_audit(0, 0.5, 1.0)], {"require": OPEN}, f"{NAMED}{FACES}"),
    # probability
    Case("no miss is likely a copy", [audit(likeliest_misses=[missed(0.29), missed(0.1)])], {}, DOUBTS),
    Case("there is no miss", [audit(likeliest_misses=[])], {}, DOUBTS),
    Case("one is", [audit(likeliest_misses=[missed(0.31)])], {"max_miss_probability": OPEN}, DOUBTS),
    Case("one is at the limit", [audit(likeliest_misses=[missed(0.3)])], {}, DOUBTS),
    Case("its probability is not stated", [audit(likeliest_misses=[missed(None)])], MISSED, DOUBTS),
    Case("misses are not stated", [audit()], {"max_miss_probability": OPEN}, DOUBTS),
    Case("it is not asked for", [audit(likeliest_misses=[missed(0.6)])], {}),
    # baseline
    Case("another cut than before", [audit()], {"max_rise": OPEN}, baseline=by({**CALIBRATION, "cut": 0.6})),
    Case("as clean as before", [audit()], {}, baseline=audit(days_old=1)),
    Case("as many as before", [audit(5000, [1, 2])], {}, LAX, audit(5000, [1, 2], days_old=1)),
    Case("fewer than before", [audit(5000, [1])], {}, LAX, audit(5000, range(40))),
    Case(
        "more, and more than chance",
        [audit(5000, range(90))],
        {"max_rise": FAIL},
        "[audit]\nmax_findings = 99\nmax_rate = 0.1\n",
        audit(5000),
    ),
    Case("more, within the margin", [audit(5000, range(9))], {}, LAX, audit(5000)),
    Case("nothing rises, too few to tell", [audit(300)], {"max_rise": OPEN}, baseline=audit(300, days_old=1)),
    Case("enough to tell", [audit(400)], {}, baseline=audit(400, days_old=1)),
    Case(
        "a zero margin fails on proof",
        [audit(5000, range(20))],
        {"max_rise": FAIL},
        LAX + "[baseline]\nmax_rise = 0.0\n",
        audit(5000),
    ),
    Case(
        "a zero margin is not shown",
        [audit(5000, range(2))],
        {"max_rise": OPEN},
        LAX + "[baseline]\nmax_rise = 0.0\n",
        audit(5000),
    ),
    Case("other prompts, still clean", [audit(5000)], {}, baseline=audit(5000, prompts="others")),
    Case(
        "other prompts, worse",
        [audit(5000, range(90))],
        {"max_rise": FAIL},
        "[audit]\nmax_findings = 99\nmax_rate = 0.1\n",
        audit(4000, prompts="others"),
    ),
    Case("another encoder before", [audit()], {"max_rise": OPEN}, baseline=audit(encoder=OTHER)),
    Case("another threshold before", [audit()], {"max_rise": OPEN}, baseline=audit(threshold=0.7)),
    Case("an inconclusive baseline", [audit()], {"max_rise": OPEN}, baseline=audit(conclusive=False)),
    Case("another training set before", [audit()], {"max_rise": OPEN}, baseline=audit(store="s0")),
    Case("pixels decided before", [audit()], {"max_rise": OPEN}, baseline=audit(verified=None)),
    Case("other views before", [audit()], {"max_rise": OPEN}, baseline=audit(views=["whole"])),
    Case("the same views", [audit(5000, views=TILES[::-1])], {}, baseline=audit(5000, views=TILES, days_old=1)),
    Case("faces before", [audit()], {"max_rise": OPEN}, baseline=audit(faces=faces(0, 0.5, 1.0))),
    Case("a baseline of faces alone", [audit()], {"max_rise": OPEN}, baseline=face_audit(0, 0.5, 1.0)),
    Case("a baseline of dedup", [audit()], {"max_rise": OPEN}, baseline=dedup()),
    Case("a baseline and no audit", [dedup()], {"max_rise": OPEN}, '[gate]\nrequire = ["dedup"]\n', audit()),
    # accepted matches
    Case("accepted", [audit(found=[1])], {}, accepted=entry(1)),
    Case("accepted by its prompt", [audit(found=[1])], {}, accepted=entry(1, by="prompt")),
    Case("accepted until yesterday", [audit(found=[1])], {**FINDING}, accepted=entry(1, PAST)),
    Case("another one accepted", [audit(found=[1])], {**FINDING}, accepted=entry(2)),
    Case("one of two accepted", [audit(found=[1, 2])], {**FINDING}, accepted=entry(1)),
    Case("both accepted", [audit(found=[1, 2])], {}, accepted=entry(1) + entry(2)),
    Case("an expired and a valid entry", [audit(found=[1])], {}, accepted=entry(1, PAST) + entry(1, by="prompt")),
    Case("a verbatim copy accepted", [audit(found=[verbatim(1)])], {}, PIXELS, accepted=entry(1, kind="verbatim")),
    Case(
        "another kind accepted",
        [audit(found=[verbatim(1)])],
        {"max_findings": FAIL, "max_verbatim": FAIL},
        accepted=entry(1),
    ),
    Case(
        "a kind that was not accepted",
        [audit(found=[verbatim(1)])],
        {"max_findings": FAIL, "max_verbatim": FAIL},
        accepted=entry(1, kind="partial"),
    ),
    Case("a worse kind accepted", [audit(found=[1])], {}, accepted=entry(1, kind="verbatim")),
    Case("the very kind accepted", [audit(found=[1])], {}, accepted=entry(1, kind="near-duplicate")),
    Case("accepted for this set", [audit(found=[1])], {}, accepted=entry(1) + 'training_set = "s1"\n'),
    Case(
        "accepted for another set",
        [audit(found=[1])],
        {**FINDING},
        accepted=entry(1) + 'training_set = "s2"\n',
    ),
    Case("an accepted one does not lift the rate", [audit(300, [1])], {"max_rate": OPEN}, LAX),
    Case("with it accepted", [audit(300, [1])], {}, LAX, accepted=entry(1)),
    Case(
        "acceptance does not make up for coverage",
        [audit(900, [1], total=1000)],
        {"min_coverage": OPEN},
        accepted=entry(1),
    ),
    Case(
        "an accepted rise is none",
        [audit(400, [1])],
        {},
        LAX + "max_rate = 0.1\n",
        audit(400, days_old=1),
        entry(1),
    ),
]


def test_there_are_enough_combinations() -> None:
    """Of each verdict several, and no name twice."""
    assert len({case.name for case in CASES}) == len(CASES) >= 60
    assert all(sum(case.verdict == verdict for case in CASES) >= 12 for verdict in CODES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict_and_exit_code(gate: Gate, case: Case) -> None:
    """The command's verdict, its exit code and the rules that do not pass, with figures and sentences."""
    gated = gate(*case.reports, "--json", policy=case.policy, baseline=case.baseline, accepted=case.accepted)
    assert gated.not_passed() == case.blamed
    assert (gated.json["verdict"], gated.code) == (case.verdict, CODES[case.verdict])
    assert gated.json["exit_code"] == gated.code
    assert all(rule["sentence"].endswith(".") and rule["figure"] and rule["limit"] for rule in gated.json["rules"])


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.name)
def test_the_text_tells_the_same(gate: Gate, case: Case) -> None:
    """A line for each rule that does not pass, the verdict last, nothing on stderr."""
    gated = gate(*case.reports, policy=case.policy, baseline=case.baseline, accepted=case.accepted)
    assert (gated.code, gated.err) == (CODES[case.verdict], "")
    assert gated.out.endswith(f"\nVerdict: {case.verdict}\n")
    lines = gated.out.splitlines()
    assert all(any(line.split()[:2] == [outcome, rule] for line in lines) for rule, outcome in case.blamed.items())
