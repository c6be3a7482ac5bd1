"""Time stamps of an authority that openssl makes here."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from bundling.conftest import Refused
from bundling.evidence import Evidence, archive_of, entries_of, openssl
from calls import Memaudit

import memaudit as ma
from memaudit.bundling import timestamps
from memaudit.bundling.archive import Content
from memaudit.bundling.checking import open_bundle
from memaudit.bundling.making import signed
from memaudit.bundling.signing import private_key
from memaudit.errors import InputError, UsageError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl: apt-get install openssl")
SETTINGS = """\
[tsa]
default_tsa = authority
[authority]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
[of_tsa]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


class Authority(NamedTuple):
    folder: Path
    url: str
    asked: list[bytes]

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"


def make_authority(folder: Path) -> Path:
    """A root certificate, and one of a time stamp authority that it signed."""
    (folder / "settings").write_text(SETTINGS)
    (folder / "serial").write_text("01\n")
    new = ("-newkey", "rsa:2048", "-nodes", "-days", "3650")
    openssl(folder, "req", "-x509", *new, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root")
    openssl(folder, "req", *new[:3], "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=tsa")
    by_root = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "3650")
    own = ("-extfile", "settings", "-extensions", "of_tsa")
    openssl(folder, "x509", "-req", "-in", "tsa.csr", *by_root, *own, "-out", "tsa.pem")
    return folder


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    folder, asked = make_authority(tmp_path_factory.mktemp("authority")), []

    class Stamps(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(data)
            if self.path == "/other":  # the sha256 of something else, and all else as it was
                place = data.index(b"\x04\x20") + 2
                data = data[:place] + bytes(32) + data[place + 32 :]
            (folder / "query").write_bytes(asked[0] if self.path == "/again" else data)
            stamp = openssl(folder, "ts", "-reply", "-queryfile", "query", "-config", "settings")
            answer = {"/refuse": b"no", "/again": stamp}.get(self.path, stamp)
            self.send_response(503 if self.path == "/down" else 200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stamps)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Authority(folder, f"http://127.0.0.1:{server.server_address[1]}", asked)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def stamped(authority: Authority, evidence: Evidence) -> Path:
    path = evidence.folder / "stamped.zip"
    key = evidence.folder / "audit.key"
    ma.bundle([evidence.folder / "audit"], path, sign=key, timestamp=authority.url, pictures="none", tables=False)
    return path


def test_a_stamp_is_verified_offline(
    stamped: Path, authority: Authority, evidence: Evidence, memaudit: Memaudit
) -> None:
    done = memaudit("verify", stamped, "--key", evidence.key, "--timestamp-ca", authority.root)
    assert done.code == 0, done
    assert "stamped at 20" in done.out
    assert "by the authority" in done.out
    assert "--timestamp-ca would tell" in memaudit("verify", stamped).out
    assert memaudit("info", stamped, "--json").json["time stamp"]


def test_openssl_says_the_same(stamped: Path, authority: Authority, tmp_path: Path) -> None:
    entries = entries_of(stamped)
    for name in ("manifest.json", "timestamp.tsr"):
        (tmp_path / name).write_bytes(entries[name])
    said = openssl(
        tmp_path, "ts", "-verify", "-data", "manifest.json", "-in", "timestamp.tsr", "-CAfile", str(authority.root)
    )
    assert b"Verification: OK" in said or not said


def test_nothing_but_a_digest_is_sent(stamped: Path, authority: Authority) -> None:
    assert all(len(query) < 100 for query in authority.asked)


def test_another_authority_is_refused(stamped: Path, tmp_path: Path, refused: Refused) -> None:
    other = make_authority(tmp_path)
    assert "by that authority" in refused(stamped.read_bytes(), "--timestamp-ca", other / "root.pem")
    assert "no certificates" in refused(stamped.read_bytes(), "--timestamp-ca", other / "serial")
    assert "cannot be read" in refused(stamped.read_bytes(), "--timestamp-ca", other / "absent")


def test_a_bundle_without_a_stamp_is_refused_where_one_is_asked_for(
    evidence: Evidence, authority: Authority, refused: Refused
) -> None:
    for path in (evidence.full, evidence.unsigned):
        assert "no time stamp" in refused(path.read_bytes(), "--timestamp-ca", authority.root)


def test_a_changed_stamp_is_refused_without_the_authority(
    stamped: Path, refused: Refused, authority: Authority
) -> None:
    """It is signed as well: twenty places, and the stamp of something else."""
    entries = entries_of(stamped)
    stamp = entries["timestamp.tsr"]
    for place in range(0, len(stamp), max(1, len(stamp) // 20)):
        changed = stamp[:place] + bytes([stamp[place] ^ 1]) + stamp[place + 1 :]
        refused(archive_of({**entries, "timestamp.tsr": changed}))
    refused(archive_of({name: data for name, data in entries.items() if name != "timestamp.tsr"}))


def test_a_stamp_of_something_else_is_refused_without_the_authority(
    evidence: Evidence, authority: Authority, refused: Refused, memaudit: Memaudit, tmp_path: Path
) -> None:
    """Whoever signs can put any stamp in; what it is of is plain to everybody."""
    key, bundle = private_key(evidence.folder / "audit.key"), open_bundle(evidence.unsigned)
    for message, taken in ((bundle.data("manifest.json"), True), (b"another document", False)):
        stamp = Content(timestamps.stamped(message, authority.url))
        entries = signed({**bundle.entries, "timestamp.tsr": stamp}, bundle.verdict, [key], None)
        data = archive_of({name: content.whole(name) for name, content in entries.items()})
        (tmp_path / "x.zip").write_bytes(data)
        if taken:
            assert "stamped at 20" in memaudit("verify", tmp_path / "x.zip").out
        else:
            assert "is no stamp of this manifest: it is of something else" in refused(data)


def test_an_authority_that_gives_none(evidence: Evidence, authority: Authority, tmp_path: Path) -> None:
    """In one line, and nothing is written."""
    key, run, out = evidence.folder / "audit.key", evidence.folder / "audit", tmp_path / "x.zip"
    for place in ("/refuse", "/down"):
        with pytest.raises(InputError, match="time stamp"):
            ma.bundle(run, out, sign=key, timestamp=authority.url + place)
    for place in ("/again", "/other"):
        with pytest.raises(InputError, match="another request"):
            ma.bundle(run, out, sign=key, timestamp=authority.url + place, pictures="none", tables=False)
    with pytest.raises(InputError, match="gave no time stamp"):
        ma.bundle(run, out, sign=key, timestamp="http://127.0.0.1:1")
    with pytest.raises(UsageError, match="expected the http"):
        ma.bundle(run, out, sign=key, timestamp="ftp://here")
    with pytest.raises(UsageError, match="without --sign"):
        ma.bundle(run, out, timestamp=authority.url)
    with pytest.raises(UsageError, match="before the first signature"):
        ma.sign_bundle(evidence.full, out, key, timestamp=authority.url)
    assert not out.exists()
