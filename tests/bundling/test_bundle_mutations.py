"""Whatever is changed in a bundle is refused, in one line: bytes, files, the archive's own fields, manifest, envelope,
keys."""

from __future__ import annotations

import base64
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from bundling.conftest import Refused
from bundling.evidence import Change, Evidence, archive_of, entries_of, with_json, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import memaudit as ma
from memaudit.bundling.signing import Envelope, private_key, read_envelope
from memaudit.errors import MemauditError

LOCAL, CENTRAL, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")


def test_nothing_is_refused_that_was_not_changed(evidence: Evidence, refused: Refused) -> None:
    for path in (evidence.full, evidence.unsigned, evidence.public):
        with pytest.raises(AssertionError):
            refused(archive_of(entries_of(path)))


def test_a_byte_of_any_file(evidence: Evidence, refused: Refused) -> None:
    """In the archive as it is, where the checksum tells; and in one that was written anew, where it does not."""
    data, entries = evidence.full.read_bytes(), entries_of(evidence.full)
    with zipfile.ZipFile(evidence.full) as archive:
        starts = {each.filename: each.header_offset + 30 + len(each.filename) for each in archive.infolist()}
    count = 0
    for name, content in entries.items():
        if content:
            place = starts[name] + len(content) // 2
            assert name in refused(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        for changed in (content[:-1] + bytes([content[-1] ^ 4]) if content else b"x", content + b"\n", b""):
            if changed != content:
                refused(archive_of({**entries, name: changed}))
                count += 1
    assert count > 50


def test_files_taken_out_renamed_exchanged_or_added(evidence: Evidence, refused: Refused) -> None:
    entries = entries_of(evidence.full)
    names = list(entries)
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        without = {key: data for key, data in entries.items() if key != name}
        refused(archive_of(without))
        refused(archive_of({**without, f"{name}x": entries[name]}))
        if entries[name] != entries[following]:
            refused(archive_of({**entries, name: entries[following], following: entries[name]}))
    for name in ("audit/more.txt", "public/more.txt", "more.txt", "keys/more.pem", "dedup/again.json"):
        assert name in refused(archive_of({**entries, name: b"more"}))
    assert "time stamp" in refused(archive_of({**entries, "timestamp.tsr": b"more"}))
    public = entries_of(evidence.public)
    for name in public:
        refused(archive_of({key: data for key, data in public.items() if key != name}))
        refused(archive_of({**public, name: public[name][:-1] + b" "}))
    refused(archive_of({**public, "audit/report.json": entries["audit/report.json"]}))
    refused(archive_of({**public, "salt": b"\0" * 32}))


LOCAL_FIELDS = ("magic", "version", "flags", "method", "time", "date", "crc", "size", "real size", "name", "extra")
CENTRAL_FIELDS = (
    *("magic", "made by", "version", "flags", "method", "time", "date", "crc", "size", "real size"),
    *("name", "extra", "comment", "disk", "internal", "mode", "offset"),
)
END_FIELDS = ("magic", "disk", "directory disk", "entries here", "entries", "directory size", "offset", "comment")


def field_changed(layout: struct.Struct, data: bytes, place: int, field: int) -> bytes:
    values = list(layout.unpack_from(data, place))
    values[field] = b"PK\7\10" if field == 0 else values[field] ^ (1 if field != len(values) - 2 else 0o120000 << 16)
    fitting = [value & 0xFFFFFFFF if isinstance(value, int) else value for value in values]
    try:
        return data[:place] + layout.pack(*fitting) + data[place + layout.size :]
    except struct.error:
        values[field] = layout.unpack_from(data, place)[field] ^ 1
        return data[:place] + layout.pack(*values) + data[place + layout.size :]


@pytest.mark.parametrize("which", [0, 7])
@pytest.mark.parametrize("field", range(len(LOCAL_FIELDS)), ids=LOCAL_FIELDS)
def test_a_field_of_a_file_s_header(field: int, which: int, evidence: Evidence, refused: Refused) -> None:
    with zipfile.ZipFile(evidence.full) as archive:
        place = archive.infolist()[which].header_offset
    refused(field_changed(LOCAL, evidence.full.read_bytes(), place, field))


@pytest.mark.parametrize("field", range(len(CENTRAL_FIELDS)), ids=CENTRAL_FIELDS)
def test_a_field_of_the_table_of_files(field: int, evidence: Evidence, refused: Refused) -> None:
    """It disagrees with the file's own header, or says that the file is a link, a comment follows, and so on."""
    data = evidence.full.read_bytes()
    place = data.index(b"PK\1\2", data.rindex(b"PK\1\2") - 400)
    refused(field_changed(CENTRAL, data, place, field))


@pytest.mark.parametrize("field", range(len(END_FIELDS)), ids=END_FIELDS)
def test_a_field_of_the_archive_s_end(field: int, evidence: Evidence, refused: Refused) -> None:
    data = evidence.full.read_bytes()
    refused(field_changed(END, data, data.rindex(b"PK\5\6"), field))


def test_tricks_of_the_archive(evidence: Evidence, refused: Refused) -> None:
    """Bytes before, between and after; one name twice; names that lead elsewhere; other programs' zips."""
    data, entries = evidence.full.read_bytes(), entries_of(evidence.full)
    first = next(iter(entries))
    second = data.index(b"PK\3\4", 4)
    table = data.index(b"PK\1\2")
    one = data[:second]
    for changed in (
        data + b"\0",
        data + data,
        b"\0" + data,
        b"MZ" + data,
        data[:-1],
        data[:-22],
        data[: len(data) // 2],
        data[:20],
        b"",
        data[:second] + b"hidden" + data[second:],
        data[:table] + b"hidden" + data[table:],
        data[:table] + one + data[table:],
        one + data,
        data[second:] + one,
        data.replace(first.encode(), b"." * len(first)),
        data.replace(b"salt", b"sALt"),
        data.replace(b"verdict.json", b"Verdict.json"),
        zipped(entries),
        zipped(entries, compression=zipfile.ZIP_DEFLATED),
        zipped({"../out.txt": b"x", **entries}),
        zipped({"/etc/passwd": b"x", **entries}),
        zipped({"C:\\x": b"x", **entries}),
        zipped({"audit/../../x": b"x", **entries}),
        zipped({**entries, "audit/": b""}),
        zipped(dict(reversed(entries.items()))),
        zipped({"word/document.xml": b"<x/>"}),
    ):
        assert changed != data
        refused(changed)


def test_what_the_archive_says_of_a_name_is_its_name(evidence: Evidence) -> None:
    """Foreign readers find the same files in it, of one date and mode."""
    with zipfile.ZipFile(evidence.full) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist()) == list(entries_of(evidence.full))
        assert {(each.date_time, each.external_attr >> 16, each.compress_type) for each in archive.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644, 0)
        }


def first_of(found: dict) -> str:
    return next(iter(found))


MANIFEST: dict[str, Callable[[dict], object]] = {
    "another schema": lambda m: m.update(schema="urn:memaudit:bundle:2"),
    "no schema": lambda m: m.pop("schema"),
    "a further field": lambda m: m.update(more=1),
    "no public files": lambda m: m.update(public={}),
    "a public file less": lambda m: m["public"].pop(first_of(m["public"])),
    "a public file more": lambda m: m["public"].update({"public/x": {"size": 0, "sha256": "0" * 64}}),
    "another size": lambda m: m["public"][first_of(m["public"])].update(size=1),
    "a negative size": lambda m: m["public"][first_of(m["public"])].update(size=-1),
    "a size in words": lambda m: m["public"][first_of(m["public"])].update(size="1"),
    "another sha256": lambda m: m["public"][first_of(m["public"])].update(sha256="0" * 64),
    "capital letters": lambda m: m["public"][first_of(m["public"])].update(
        sha256=m["public"][first_of(m["public"])]["sha256"].upper()
    ),
    "a private file less": lambda m: m["private"].pop(),
    "a private file more": lambda m: m["private"].append("f" * 64),
    "a private file twice": lambda m: m["private"].append(m["private"][0]),
    "no private files": lambda m: m.update(private=[]),
    "other private files": lambda m: m.update(private=["0" * 64 for _ in m["private"]]),
    "private files in another order": lambda m: m["private"].reverse(),
    "another salt": lambda m: m.update(salt_sha256="0" * 64),
    "no salt": lambda m: m.pop("salt_sha256"),
    "null": lambda m: m.update(private=None),
    "a list for public": lambda m: m.update(public=[]),
}


@pytest.mark.parametrize("change", MANIFEST.values(), ids=MANIFEST)
def test_the_manifest(change: Callable[[dict], object], evidence: Evidence, refused: Refused) -> None:
    for path in (evidence.full, evidence.public):
        entries = entries_of(path)
        with_json("manifest.json", change)(entries)
        refused(archive_of(entries))


def test_the_same_manifest_in_another_form(evidence: Evidence, refused: Refused) -> None:
    """Readers differ in what they make of a key that stands there twice."""
    entries = entries_of(evidence.unsigned)
    value = json.loads(entries["manifest.json"])
    twice = entries["manifest.json"].replace(b'"schema"', b'"schema": "urn:memaudit:bundle:1",\n "schema"')
    for form in (
        json.dumps(value).encode(),
        b"\xef\xbb\xbf" + entries["manifest.json"],
        twice,
        b"[]",
        b"{}",
        b"[" * 9999,
    ):
        refused(archive_of({**entries, "manifest.json": form}))


@pytest.mark.parametrize("change", ["a private file twice", "private files in another order"])
def test_a_manifest_is_of_one_form_whether_or_not_it_is_signed(
    change: str, evidence: Evidence, refused: Refused
) -> None:
    entries = entries_of(evidence.unsigned)
    with_json("manifest.json", MANIFEST[change])(entries)
    assert "out of order, or there twice" in refused(archive_of(entries))


def statement_changed(change: Callable[[dict], object]) -> Change:
    """In the payload of the envelope, which is signed."""

    def do(envelope: dict) -> None:
        value = json.loads(base64.b64decode(envelope["payload"]))
        change(value)
        data = (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()
        envelope["payload"] = base64.b64encode(data).decode()

    return do


def sig(envelope: dict) -> dict:
    return envelope["signatures"][0]


def with_another_bit(signature: str) -> str:
    """Turned round, not set: a signature is drawn anew each time, and one in sixteen has the bit already."""
    data = base64.b64decode(signature)
    return base64.b64encode(data[:-1] + bytes([data[-1] ^ 1])).decode()


ENVELOPE: dict[str, Callable[[dict], object]] = {
    "another type of payload": lambda e: e.update(payloadType="application/json"),
    "no type of payload": lambda e: e.pop("payloadType"),
    "no payload": lambda e: e.pop("payload"),
    "an empty payload": lambda e: e.update(payload=""),
    "a payload that is no base64": lambda e: e.update(payload="?" + e["payload"][1:]),
    "a payload with spaces": lambda e: e.update(payload=" " + e["payload"]),
    "a payload of another alphabet": lambda e: e.update(payload=e["payload"].replace("J", "-")),
    "a payload cut": lambda e: e.update(payload=e["payload"][:-8]),
    "no signatures": lambda e: e.update(signatures=[]),
    "signatures that are null": lambda e: e.update(signatures=None),
    "signatures that are one": lambda e: e.update(signatures=sig(e)),
    "a signature twice": lambda e: e["signatures"].append(sig(e)),
    "an empty signature": lambda e: sig(e).update(sig=""),
    "a signature of zeros": lambda e: sig(e).update(sig=base64.b64encode(bytes(64)).decode()),
    "a signature cut": lambda e: sig(e).update(sig=base64.b64encode(base64.b64decode(sig(e)["sig"])[:-1]).decode()),
    "a longer signature": lambda e: sig(e).update(
        sig=base64.b64encode(base64.b64decode(sig(e)["sig"]) + b"0").decode()
    ),
    "a bit of the signature": lambda e: sig(e).update(sig=with_another_bit(sig(e)["sig"])),
    "no id": lambda e: sig(e).pop("keyid"),
    "another id": lambda e: sig(e).update(keyid="0" * 64),
    "an id that is a path": lambda e: sig(e).update(keyid="../../audit"),
    "an id of two lines": lambda e: sig(e).update(keyid="x\nverdict: pass"),
    "an id that is a number": lambda e: sig(e).update(keyid=5),
    "a further field": lambda e: e.update(more=1),
    "a further field of a signature": lambda e: sig(e).update(cert="x"),
    "another result": statement_changed(lambda s: s["predicate"].update(result="PASSED")),
    "another verdict": statement_changed(lambda s: s["predicate"].update(memauditVerdict="pass")),
    "a test that passed": statement_changed(lambda s: s["predicate"]["passedTests"].append("all")),
    "no test that failed": statement_changed(lambda s: s["predicate"].update(failedTests=[])),
    "another subject": statement_changed(lambda s: s["subject"][0]["digest"].update(sha256="0" * 64)),
    "no subject": statement_changed(lambda s: s.update(subject=[])),
    "a further subject": statement_changed(lambda s: s["subject"].append(s["subject"][0])),
    "another type of statement": statement_changed(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")),
    "another predicate": statement_changed(lambda s: s.update(predicateType="https://slsa.dev/provenance/v1")),
    "another policy": statement_changed(lambda s: s["predicate"]["configuration"][0]["digest"].update(sha256="0" * 64)),
}


@pytest.mark.parametrize("change", ENVELOPE.values(), ids=ENVELOPE)
def test_the_envelope(change: Callable[[dict], object], evidence: Evidence, refused: Refused) -> None:
    """Without a key to hold it against, and in either edition."""
    for path in (evidence.full, evidence.public):
        entries = entries_of(path)
        with_json("attestation.json", change)(entries)
        refused(archive_of(entries))


def test_a_statement_of_another_verdict_that_the_signer_signed(evidence: Evidence, refused: Refused) -> None:
    """The signature is right; what it is over is not this bundle."""
    entries = entries_of(evidence.full)
    envelope = read_envelope(entries["attestation.json"], "")
    other = Envelope(envelope.payload.replace(b"FAILED", b"PASSED"), {})
    signed = other.signed([private_key(evidence.folder / "audit.key")]).written()
    assert "another manifest, verdict or time stamp" in refused(archive_of({**entries, "attestation.json": signed}))
    verdict = with_json("public/verdict.json", lambda v: v.update(verdict="pass"))
    verdict(entries)
    refused(archive_of(entries))


def test_the_key(evidence: Evidence, refused: Refused, tmp_path: Path) -> None:
    """Another key under the signer's id, one of another form, and the signer's with a bit changed."""
    entries = entries_of(evidence.full)
    name = f"keys/{evidence.key_id}.pem"
    other = ma.make_key(tmp_path / "other.key").public.read_bytes()
    pem = entries[name]
    for changed in (
        other,
        pem + b"\n",
        pem.replace(b"\n", b"\r\n"),
        b"# mine\n" + pem,
        pem[:60] + b"AAAA" + pem[64:],
        b"x",
    ):
        refused(archive_of({**entries, name: changed}))


def test_whoever_signs_anew_is_another(evidence: Evidence, refused: Refused, tmp_path: Path) -> None:
    """What anybody can make, a bundle that is signed by somebody else or by nobody, is refused by the key."""
    ma.make_key(tmp_path / "other.key")
    runs = [evidence.folder / "audit", evidence.folder / "dedup"]
    ma.bundle(runs, tmp_path / "other.zip", sign=tmp_path / "other.key")
    for path in (tmp_path / "other.zip", evidence.unsigned):
        assert evidence.key_id in refused(path.read_bytes(), "--key", evidence.key)
    seals = ("attestation.json", "keys/")
    bare = {name: data for name, data in entries_of(evidence.full).items() if not name.startswith(seals)}
    assert evidence.key_id in refused(archive_of(bare), "--key", evidence.key)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_any_change_at_all(data: st.DataObject, evidence: Evidence, tmp_path: Path) -> None:
    """Bytes changed, taken out, put in or moved, anywhere, in either edition."""
    whole = data.draw(st.sampled_from([evidence.full, evidence.public])).read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.binary(max_size=40))
    changed = whole[:start] + put + whole[start + length :]
    if changed == whole:
        return
    path = tmp_path / "changed.zip"
    path.write_bytes(changed)
    try:
        found = ma.verify(path)
    except MemauditError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert error.exit_code in (2, 3)  # noqa: PT017
    else:
        assert found.faults
