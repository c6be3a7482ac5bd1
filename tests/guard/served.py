"""A server in a process of its own, and what is sent to it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Said(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


def asked(port: int, token: str, method: str, path: str, body: bytes | None = None) -> Said:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        client.request(method, path, body, {"Authorization": f"Bearer {token}"})
        answer = client.getresponse()
        return Said(answer.status, answer.read(), dict(answer.headers))
    finally:
        client.close()


class Served:
    """`memaudit serve`, until `end`."""

    def __init__(self, store: Path, *options: str | Path) -> None:
        command = [sys.executable, "-m", "memaudit", "serve", store, "--json", *options]
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        begun = json.loads(self.process.stdout.readline())
        assert ("token" in begun) == ("--token-file" not in options)
        self.token = str(begun["token"]) if "token" in begun else Path(begun["token_file"]).read_text().strip()
        self.port = int(urlsplit(begun["url"]).port or 0)

    def asked(self, method: str, path: str, body: bytes | None = None) -> Said:
        return asked(self.port, self.token, method, path, body)

    def check(self, body: bytes) -> Said:
        return self.asked("POST", "/check", body)

    def raw(self, data: bytes) -> bytes:
        """What comes back for these bytes, when nothing follows them."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            client.sendall(data)
            parts = []
            while part := client.recv(1 << 16):
                parts.append(part)
            return b"".join(parts)

    def head(self, length: int) -> bytes:
        lines = (
            "POST /check HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {self.token}",
            f"Content-Length: {length}",
        )
        return "\r\n".join([*lines, "", ""]).encode()

    def metric(self, name: str) -> float:
        lines = self.asked("GET", "/metrics").body.decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).rpartition(" ")[2])

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit code, and what it said on stderr."""
        self.process.send_signal(how)
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said
