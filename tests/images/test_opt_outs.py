"""Reservations of rights are read wherever a file or its source says them; nothing else is taken for one."""

from __future__ import annotations

import datetime
import io
import json
from importlib.util import find_spec
from typing import Any

import pytest
from pictures import draw
from PIL import Image, PngImagePlugin

from memaudit.images.opt_outs import OptOuts, c2pa_reader, noted, opt_outs_in, opt_outs_of, refusals

PLUS = "http://ns.useplus.org/ldf/vocab/DMI-"
ATTRIBUTE = '<rdf:Description xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" plus:DataMining="{}"/>'
ELEMENT = "<rdf:Description><plus:DataMining>{}</plus:DataMining></rdf:Description>"
RESOURCE = '<rdf:Description><plus:DataMining rdf:resource="{}"/></rdf:Description>'


def xmp(inner: str) -> bytes:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{inner}</rdf:RDF></x:xmpmeta>'.encode()


def saved(kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    draw(1, (64, 64)).save(data, kind, **options)
    return data.getvalue()


def png(name: str, value: str, *, compressed: bool = False, international: bool = False) -> bytes:
    text = PngImagePlugin.PngInfo()
    (text.add_itxt if international else text.add_text)(name, value, zip=compressed)
    return saved("PNG", pnginfo=text)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize("form", [ATTRIBUTE, ELEMENT, RESOURCE])
def test_the_data_mining_property_is_read_in_every_form(kind: str, form: str) -> None:
    def of(value: str) -> tuple[str, ...]:
        packet = xmp(form.format(PLUS + value))
        if kind == "PNG":
            data = png("XML:com.adobe.xmp", packet.decode(), international=True)
        elif kind == "TIFF":
            data = saved(kind, tiffinfo={700: packet})
        else:
            data = saved(kind, xmp=packet)
        return opt_outs_of(data, "", None).found

    assert of("PROHIBITED-AIMLTRAINING") == ("plus: DMI-PROHIBITED-AIMLTRAINING",)
    assert of("PROHIBITED") == ("plus: DMI-PROHIBITED",)
    assert of("ALLOWED") == of("UNSPECIFIED") == ()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png("robots", "noai, noimageai"), ("noai", "noimageai")),
        (png("Comment", "do not: NoAI", compressed=True), ("noai",)),
        (png("Comment", "NoAI", international=True, compressed=True), ("noai",)),
        (png("tdm-reservation", "1"), ("tdm-reservation",)),
        (png("tdm-reservation", "0"), ()),
        (png("Comment", "a piano aisle, monoai, noaides, volcanoai"), ()),
        (saved("JPEG", xmp=xmp('<rdf:Description tdm:reservation="1"/>')), ("tdm-reservation",)),
        (saved("JPEG", comment=b"noimageai"), ("noimageai",)),
        (saved("JPEG"), ()),
        (b"", ()),
        (b"\xff\xd8\xff\xe1", ()),
        (b"\x89PNG\r\n\x1a\n\0\0\0\5zTXt", ()),
        (b"RIFF\xff\xff\xff\xffWEBPXMP \xff\xff\xff\xff", ()),
        (b"GIF89a<x:xmpmeta never ends DataMining DMI-PROHIBITED", ("plus: DMI-PROHIBITED",)),
    ],
)
def test_directives_are_words_of_their_own(data: bytes, expected: tuple[str, ...]) -> None:
    assert opt_outs_of(data, "", None).found == expected


def test_exif_is_read() -> None:
    exif = Image.Exif()
    exif[0x010E] = "noai"  # ImageDescription
    for kind in ("JPEG", "WEBP", "PNG"):
        assert opt_outs_of(saved(kind, exif=exif), "", None).found == ("noai",)


def test_pixels_are_no_text() -> None:
    """What stands after the header of a JPEG, or in the pixels of a PNG, is not looked at."""
    assert opt_outs_of(saved("JPEG") + b" noai ", "", None).found == ()
    assert opt_outs_of(saved("PNG").replace(b"IEND", b"noai"), "", None).found == ()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"X-Robots-Tag": "noindex, noai"}, ("noai",)),
        ({"x_robots_tag": "googlebot: noimageai"}, ("noimageai",)),
        ({"x_robots_tag": "noindex"}, ()),
        ({"tdm_reservation": 1}, ("tdm-reservation",)),
        ({"tdm-reservation": "0"}, ()),
        ({"DataMining": PLUS + "PROHIBITED-GENAIMLTRAINING"}, ("plus: DMI-PROHIBITED-GENAIMLTRAINING",)),
        ({"exif": '{"Image ImageDescription": "noai"}'}, ("noai",)),
        ({"title": "noai"}, ()),
        ({"opt_out": ["c2pa: c2pa.ai_training notAllowed"]}, ("c2pa: c2pa.ai_training notAllowed",)),
    ],
)
def test_columns_of_the_source_are_read(columns: dict[str, object], expected: tuple[str, ...]) -> None:
    assert opt_outs_of(b"", json.dumps(columns), None).found == expected


def test_what_was_noted_is_read_again_and_nothing_is_noted_of_nothing() -> None:
    assert noted('{"a":1}', OptOuts(())) == '{"a":1}'
    found = OptOuts(("noai",), ("c2pa",))
    assert opt_outs_in(noted('{"a": 1}', found)) == found
    assert opt_outs_in(noted("", OptOuts((), ("c2pa",)))) == OptOuts((), ("c2pa",))
    assert opt_outs_in('{"opt_out": "noai"}') == OptOuts(())


def test_a_manifest_that_nobody_can_read_is_not_no_opt_out() -> None:
    data = saved("JPEG", comment=b"jumb c2pa")
    assert opt_outs_of(data, "", None) == OptOuts((), ("c2pa",))

    def broken(data: bytes) -> list[str]:
        raise ValueError("no manifest")

    assert opt_outs_of(data, "", broken) == OptOuts((), ("c2pa",))


def manifest(entries: object, label: str = "cawg.training-mining") -> dict[str, object]:
    assertion = {"label": label, "data": {"entries": entries}}
    return {"active_manifest": "a", "manifests": {"a": {"assertions": [assertion]}}}


def test_refusals_are_those_of_training_and_mining() -> None:
    entries = {
        "cawg.ai_generative_training": {"use": "notAllowed"},
        "cawg.ai_training": {"use": "constrained", "constraint_info": "ask"},
        "cawg.ai_inference": {"use": "notAllowed"},
        "cawg.data_mining": {"use": "allowed"},
    }
    expected = ["c2pa: cawg.ai_generative_training notAllowed", "c2pa: cawg.ai_training constrained"]
    assert list(refusals(manifest(entries))) == expected
    assert list(refusals(manifest(entries, "c2pa.actions"))) == []
    for odd in ({}, manifest([]), manifest({"c2pa.ai_training": "no"}), {"manifests": [], "active_manifest": 3}):
        assert list(refusals(odd)) == []


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A picture with a signed manifest that refuses training, by a certificate made here."""
    c2pa = pytest.importorskip("c2pa")
    pytest.importorskip("cryptography")
    folder = tmp_path_factory.mktemp("c2pa")
    chain, key = certificates()
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None)
    entries = {"c2pa.ai_training": {"use": "notAllowed"}, "c2pa.data_mining": {"use": "allowed"}}
    created = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    claim = {
        "claim_generator_info": [{"name": "test", "version": "1"}],
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [created]}},
            {"label": "cawg.training-mining", "data": {"entries": entries}},
        ],
    }
    out = folder / "signed.jpg"
    with c2pa.Builder(claim) as builder, c2pa.Signer.from_info(info) as signer, out.open("w+b") as target:
        builder.sign(signer, "image/jpeg", io.BytesIO(saved("JPEG")), target)
    return out.read_bytes()


def certificates() -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(name: str) -> x509.Name:
        organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "test")
        return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def made(name: str, by: str, own: Any, signing: Any, *, is_ca: bool) -> x509.Certificate:
        start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        builder = (
            x509.CertificateBuilder(named(by), named(name), own.public_key(), x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=7300))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_ca, key_cert_sign=is_ca, crl_sign=is_ca, decipher_only=False, **usage
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        )
        if not is_ca:
            mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(mail, critical=False)
        return builder.sign(signing, hashes.SHA256())

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = [made("leaf", "root", leaf, root, is_ca=False), made("root", "root", root, root, is_ca=True)]
    pem = serialization.Encoding.PEM
    key = leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return b"".join(each.public_bytes(pem) for each in chain), key


def test_a_signed_manifest_is_read_by_the_library(signed: bytes) -> None:
    reader = c2pa_reader()
    assert opt_outs_of(signed, "", reader).found == ("c2pa: c2pa.ai_training notAllowed",)
    assert opt_outs_of(signed, "", None) == OptOuts((), ("c2pa",))
    assert opt_outs_of(signed[: len(signed) // 3], "", reader).unread in ((), ("c2pa",))
    assert find_spec("c2pa") is not None
