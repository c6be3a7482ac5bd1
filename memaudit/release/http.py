"""A generator behind an HTTP endpoint: asked no faster than is allowed, again where that may help, never redirected."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import escape
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from memaudit.errors import UsageError
from memaudit.release.jobs import Job, Recorder
from memaudit.release.run_file import HttpGenerator
from memaudit.release.workers import in_turn
from memaudit.types import Progress

MOST_BYTES = 256 << 20
_MAY_PASS = (408, 409, 425, 429, 500, 502, 503, 504)
_REFUSING = (400, 403, 422)
_REFUSED = ("content_policy", "moderation", "safety", "nsfw", "refused")
_SENT_BACK = ("prompt", "negative_prompt", "input", "inputs", "text", "body", "request", "loc", "ctx")
_MOST_SAID = 1 << 16  # bytes
_LONGEST_WAIT_S = 120.0
_KINDS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}


class Answer(NamedTuple):
    """Bytes of an image; or why there is none: refused (it said so), failed (nobody knows)."""

    image: bytes = b""
    refused: str = ""
    failed: str = ""


class _NoRedirect(HTTPRedirectHandler):
    """A key is for the host that was named."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        return None


def generate(told: HttpGenerator, jobs: list[Job], incoming: Path, record: Recorder, progress: Progress) -> None:
    """Make all images. Raises UsageError without the key that is named, or for one that no header can hold, InputError
    where an image fails `tries` times: what was made until then is kept."""
    headers, pace = _headers(told), _Pace(told.per_minute)

    def ask(job: Job) -> tuple[Answer, str]:
        answer = _asked(told, job, headers, pace)
        return answer, answer.failed

    def take(job: Job, answer: Answer) -> str:
        if answer.refused:
            record.refused(job, answer.refused)
            return ""
        path = incoming / f"{job.name}{_kind(answer.image)}"
        path.write_bytes(answer.image)
        return record.made(job, path)

    in_turn(jobs, told.workers, ask, take, progress)


def _headers(told: HttpGenerator) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json, image/*"}
    if told.key_env:
        headers["Authorization"] = f"Bearer {_key_in(told.key_env)}"
    return headers


def _key_in(variable: str) -> str:
    """Without the end of a line, which files of secrets have. What is wrong is said without the key: the library that
    sends it would print it."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"[generator] key_env = {variable!r}: there is no such environment variable, or it is empty")
    if not key.isascii() or not key.isprintable():
        raise UsageError(
            f"[generator] key_env = {variable!r}: the variable holds what no HTTP header may, as the end of a line or "
            "a letter beyond ASCII: give it the key alone"
        )
    return key


class _Pace:
    """No more requests a minute than allowed, whatever the number of threads."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = 60 / per_minute if per_minute else 0.0
        self._clock, self._lock, self._next = clock, threading.Lock(), clock()

    def wait(self) -> None:
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._each
        time.sleep(max(0.0, start - now))


def _asked(told: HttpGenerator, job: Job, headers: dict[str, str], pace: _Pace) -> Answer:
    answer = Answer(failed="it was not asked")
    for number in range(told.tries):
        pace.wait()
        answer, wait = _once(told, job, headers, 2.0**number)
        if wait is None or number == told.tries - 1:
            break
        time.sleep(wait)
    return answer


def _once(told: HttpGenerator, job: Job, headers: dict[str, str], backoff: float) -> tuple[Answer, float | None]:
    """The answer, and after how many seconds another try may bring another one; None: it will not."""
    body = json.dumps({**_body(told), "prompt": job.prompt, "seed": job.seed}).encode()
    request = Request(told.url, body, headers, method="POST")
    try:
        with build_opener(_NoRedirect).open(request, timeout=told.timeout or None) as response:
            data = response.read(MOST_BYTES + 1)
            return _image_in(told, data, response.headers.get_content_type()), None
    except HTTPError as error:
        with error:
            said = error.read(_MOST_SAID).decode(errors="replace")
        if error.code in _REFUSING and _refuses(said, job.prompt):
            return Answer(refused=f"HTTP {error.code}: {_in_a_line(said)}"), None
        failed = Answer(failed=f"it answered {error.code} {error.reason}: {_in_a_line(said)}")
        return failed, _wait(error.headers.get("Retry-After"), backoff) if error.code in _MAY_PASS else None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return Answer(
            failed=f"{told.url} cannot be reached: {_in_a_line(str(reason) or type(error).__name__)}"
        ), backoff


def _refuses(said: str, prompt: str) -> bool:
    """Whether an answer speaks of its policy, in words of its own: in the request that many send back with what was
    wrong with it, the prompt may have the same words."""
    with suppress(ValueError, RecursionError):  # else it is no JSON: all that it says counts
        said = " ".join(_own_words(json.loads(said)))
    for written in {prompt, json.dumps(prompt)[1:-1], escape(prompt)} - {""}:
        said = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", " ", said)
    return any(word in said.lower() for word in _REFUSED)


def _own_words(value: object) -> Iterator[str]:
    """Texts, and names of fields that say something, but for those in which a request is sent back."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key.lower() not in _SENT_BACK:
                yield from [key] if part else []  # "nsfw": false says that it is none
                yield from _own_words(part)
    elif isinstance(value, list):
        for part in value:
            yield from _own_words(part)
    elif isinstance(value, str):
        yield value


def _body(told: HttpGenerator) -> dict[str, Any]:
    return {"n": 1, "response_format": "b64_json", **told.body} if told.style == "openai" else dict(told.body)


def _image_in(told: HttpGenerator, data: bytes, media_type: str) -> Answer:
    if len(data) > MOST_BYTES:
        return Answer(failed=f"it sent more than {MOST_BYTES >> 20} MiB")
    if media_type.startswith("image/"):
        return Answer(data)
    try:
        value = json.loads(data)
        text = value["data"][0]["b64_json"] if told.style == "openai" else value["image"]
        return Answer(base64.b64decode(text, validate=True))
    except (ValueError, KeyError, IndexError, TypeError, binascii.Error, RecursionError):
        expected = "data[0].b64_json" if told.style == "openai" else "an image, or image in base64"
        return Answer(
            failed=f"it sent {media_type} without {expected}: {_in_a_line(data[:200].decode(errors='replace'))}"
        )


def _wait(asked: str | None, backoff: float) -> float:
    try:
        return min(_LONGEST_WAIT_S, max(0.0, float(asked))) if asked else backoff
    except ValueError:  # a date
        return backoff


def _kind(data: bytes) -> str:
    return next((suffix for start, suffix in _KINDS.items() if data.startswith(start)), ".png")


def _in_a_line(text: str) -> str:
    return " ".join(text.split())[:300]
