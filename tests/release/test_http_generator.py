"""An endpoint that fails, stalls, limits, refuses and redirects: images are lost to none of it, and no key leaves."""

import base64
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pictures import draw

from memaudit.errors import InputError, UsageError
from memaudit.release import http
from memaudit.release.jobs import Fate, Gallery, Job
from memaudit.release.run_file import HttpGenerator
from memaudit.types import silent

JOBS = [Job(f"{number:06d}_0", f"prompt {number}", number) for number in range(6)]


def png(seed: int) -> bytes:
    data = io.BytesIO()
    draw(seed).save(data, "PNG")
    return data.getvalue()


class Endpoint(BaseHTTPRequestHandler):
    """Each request goes to the server's `answer(number, body)`: status, headers, bytes."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append((time.monotonic(), body, dict(self.headers)))
            number = len(self.server.asked) - 1
        status, headers, data = self.server.answer(number, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def endpoint():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.asked, server.lock, server.answer = [], threading.Lock(), openai
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Waits are counted, and not waited for."""
    monkeypatch.setattr(http.time, "sleep", lambda seconds: None)


def openai(number, body):
    data = {"data": [{"b64_json": base64.b64encode(png(body["seed"])).decode()}]}
    return 200, {"Content-Type": "application/json"}, json.dumps(data).encode()


def told(server, **more) -> HttpGenerator:
    return HttpGenerator(url=f"http://127.0.0.1:{server.server_port}/v1/images", **more)


def made(generator: HttpGenerator, folder) -> Gallery:
    gallery = Gallery(folder)
    with gallery.recording() as record:
        http.generate(generator, gallery.left(JOBS), gallery.incoming, record, silent)
    return gallery


def test_an_images_api(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGES_KEY", "s3cret")
    gallery = made(told(endpoint, key_env="IMAGES_KEY", body={"size": "96x72"}, workers=3), tmp_path / "g")
    assert gallery.counts() == {"made": 6, "refused": 0}
    assert (gallery.images / "000003_0.png").read_bytes() == png(3)
    body = endpoint.asked[0][1]
    assert body["size"] == "96x72"
    assert body["response_format"] == "b64_json"
    assert {each[2]["Authorization"] for each in endpoint.asked} == {"Bearer s3cret"}
    assert "s3cret" not in (tmp_path / "g" / "generations.jsonl").read_text()


def test_plain_json_and_plain_images(endpoint, tmp_path):
    endpoint.answer = lambda number, body: (200, {"Content-Type": "image/png"}, png(body["seed"]))
    assert made(told(endpoint, style="json"), tmp_path / "a").counts()["made"] == 6
    data = lambda body: json.dumps({"image": base64.b64encode(png(body["seed"])).decode()}).encode()  # noqa: E731
    endpoint.answer = lambda number, body: (200, {"Content-Type": "application/json"}, data(body))
    assert made(told(endpoint, style="json"), tmp_path / "b").counts()["made"] == 6
    assert set(endpoint.asked[-1][1]) == {"prompt", "seed"}


def test_what_may_pass_is_asked_again(endpoint, tmp_path):
    def flaky(number, body):
        if number % 3:
            return openai(number, body)
        return (429, {"Retry-After": "1"}, b"slow down") if number % 2 else (503, {}, b"busy")

    endpoint.answer = flaky
    assert made(told(endpoint), tmp_path / "g").counts()["made"] == 6
    assert len(endpoint.asked) > 6


def test_what_does_not_pass_stops_and_what_was_made_is_kept(endpoint, tmp_path):
    endpoint.answer = lambda number, body: openai(number, body) if number < 4 else (500, {}, b"broken\nfor good")
    with pytest.raises(InputError, match=r"it answered 500 .*: broken for good"):
        made(told(endpoint), tmp_path / "g")
    assert len(endpoint.asked) == 4 + 4  # four tries of the fifth
    endpoint.answer = openai
    assert made(told(endpoint), tmp_path / "g").counts()["made"] == 6


def test_what_it_will_not_make_is_refused_and_not_asked_again(endpoint, tmp_path):
    def moderated(number, body):
        if body["seed"] == 2:
            return 400, {}, json.dumps({"error": {"code": "content_policy_violation"}}).encode()
        return openai(number, body)

    endpoint.answer = moderated
    gallery = made(told(endpoint), tmp_path / "g")
    assert gallery.outcomes["000002_0"].fate == Fate.REFUSED
    assert "content_policy_violation" in gallery.outcomes["000002_0"].reason
    assert len(endpoint.asked) == 6
    made(told(endpoint), tmp_path / "g")
    assert len(endpoint.asked) == 6


def test_a_wrong_request_is_no_refusal(endpoint, tmp_path):
    endpoint.answer = lambda number, body: (400, {}, b"unknown parameter: seed")
    with pytest.raises(InputError, match=r"it answered 400 .*unknown parameter: seed"):
        made(told(endpoint), tmp_path / "g")
    assert len(endpoint.asked) == 1


SENT_BACK = "a safety pin"


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"detail": [{"type": "missing", "msg": "Field required", "input": {"prompt": SENT_BACK}}]}, False),
        ({"detail": [{"loc": ["body", "safety_checker"], "msg": "Field required"}]}, False),
        ({"error": {"message": f"no size for {SENT_BACK!r}", "code": "wrong_size"}}, False),
        (f"<p>wrong size for &quot;{SENT_BACK}&quot;</p>", False),
        (SENT_BACK, False),
        ({"error": {"code": "moderation_blocked", "message": None}, "prompt": SENT_BACK}, True),
        ({"error": {"message": "Rejected by our safety system"}}, True),
        ({"name": "content_moderation", "errors": ["flagged"]}, True),
        ({"error": "NSFW content"}, True),
        ({"refused": True}, True),
        ({"nsfw": True}, True),
        ({"nsfw": False, "moderation": {}, "error": "wrong size"}, False),
        ({"error_message": "blocked by our safety system"}, True),
        ({"error_description": "the safety system"}, True),
        ({"description": "NSFW"}, True),
        ({"errorCode": "content_policy_violation"}, True),
        ({"finish_reason": "content_policy"}, True),
        ({"result": {"moderation": {"flagged": True}}}, True),
        ({"error": "wrong size", "request": {"negative_prompt": "nsfw"}}, False),
        ("our safety system refused it", True),
    ],
)
def test_the_words_of_a_prompt_that_is_sent_back_are_no_refusal(said, refused):
    text = said if isinstance(said, str) else json.dumps(said)
    assert http._refuses(text, SENT_BACK) is refused
    assert not refused or http._refuses(text, "a"), "of a short prompt no letter is cut out of other words"


@pytest.mark.parametrize(
    ("headers", "data", "words"),
    [
        ({"Content-Type": "text/html"}, b"<html>log in</html>", "it sent text/html without data"),
        ({"Content-Type": "application/json"}, b'{"data": []}', "without data"),
        ({"Content-Type": "application/json"}, b'{"data": [{"b64_json": "!"}]}', "without data"),
        ({"Content-Type": "image/png"}, b"no image", "what it made is no image"),
    ],
)
def test_what_is_no_image(endpoint, tmp_path, headers, data, words):
    endpoint.answer = lambda number, body: (200, headers, data)
    with pytest.raises(InputError, match=words):
        made(told(endpoint), tmp_path / "g")


def test_what_others_made_meanwhile_is_taken(endpoint, tmp_path):
    """Images cost money: three are asked at once, the second fails, and the first and the third are there."""
    begun = threading.Barrier(3)

    def one_fails(number, body):
        if body["seed"] < 3:
            begun.wait(10)
        return (422, {}, b"broken") if body["seed"] == 1 else openai(number, body)

    endpoint.answer = one_fails
    with pytest.raises(InputError, match=r"000001_0 .*it answered 422"):
        made(told(endpoint, workers=3), tmp_path / "g")
    known = set(Gallery(tmp_path / "g").outcomes)
    assert {"000000_0", "000002_0"} <= known
    assert "000001_0" not in known


def test_a_redirect_is_not_followed(endpoint, tmp_path):
    """The key is for the host that was named."""
    endpoint.answer = lambda number, body: (302, {"Location": "http://127.0.0.1:1/other"}, b"")
    with pytest.raises(InputError, match="it answered 302"):
        made(told(endpoint), tmp_path / "g")
    assert len(endpoint.asked) == 1


def test_silence_ends(endpoint, tmp_path):
    def stalled(number, body):
        threading.Event().wait(1.5)
        return openai(number, body)

    endpoint.answer = stalled
    with pytest.raises(InputError, match="cannot be reached"):
        made(told(endpoint, timeout=0.2, tries=2), tmp_path / "g")


def test_nobody_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot be reached: .*refused"):
        made(HttpGenerator(url="http://127.0.0.1:9/v1", tries=1), tmp_path / "g")


def test_a_key_that_is_not_there(endpoint, tmp_path, monkeypatch):
    monkeypatch.delenv("IMAGES_KEY", raising=False)
    with pytest.raises(UsageError, match="key_env = 'IMAGES_KEY': there is no such environment variable"):
        made(told(endpoint, key_env="IMAGES_KEY"), tmp_path / "g")
    assert not endpoint.asked


def test_a_key_may_end_in_a_line(endpoint, tmp_path, monkeypatch):
    """As files of secrets do."""
    monkeypatch.setenv("IMAGES_KEY", "s3cret\n")
    assert made(told(endpoint, key_env="IMAGES_KEY"), tmp_path / "g").counts()["made"] == 6
    assert {each[2]["Authorization"] for each in endpoint.asked} == {"Bearer s3cret"}


@pytest.mark.parametrize("key", ["s3cret\nX-Other: 1", "s3cret\u20ac", "s3\tcret", "s3cret\udcff"])
def test_a_key_that_no_header_holds_is_refused_and_not_shown(endpoint, tmp_path, monkeypatch, key):
    monkeypatch.setenv("IMAGES_KEY", key)
    with pytest.raises(
        UsageError, match="key_env = 'IMAGES_KEY': the variable holds what no HTTP header may"
    ) as caught:
        made(told(endpoint, key_env="IMAGES_KEY"), tmp_path / "g")
    assert "cret" not in str(caught.value)
    assert not endpoint.asked


def test_no_faster_than_it_allows(monkeypatch):
    waited = []
    monkeypatch.setattr(http.time, "sleep", waited.append)
    pace = http._Pace(30.0, clock=lambda: 100.0)
    for _ in range(4):
        pace.wait()
    assert waited == [0.0, 2.0, 4.0, 6.0]
