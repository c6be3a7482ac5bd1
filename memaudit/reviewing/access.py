"""Who may ask: whoever had the token, once, from then on by a cookie; by this machine's names, and from the page."""

from __future__ import annotations

import hmac
import re
import secrets
from threading import Lock

_NAME = re.compile(r"([a-z])([0-9a-f]{1,12})-([0-9a-f]{1,12})-([0-9a-f]{32})")


class Access:
    """port: of the server, by which its cookie is told from that of another one. The token is good for one use."""

    def __init__(self, port: int) -> None:
        self.cookie = f"memaudit-review-{port}"
        self._session = secrets.token_urlsafe(32)
        self._token: str | None = secrets.token_urlsafe(32)
        self._lock = Lock()

    @property
    def token(self) -> str:
        """The token; empty once it was used."""
        return self._token or ""

    def admits(self, token: str) -> bool:
        """Whether this is the token; then it is none any more."""
        with self._lock:
            good = self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())
            if good:
                self._token = None
            return good

    @property
    def set_cookie(self) -> str:
        return f"{self.cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def knows(self, cookies: str) -> bool:
        """Whether a Cookie header has the session's."""
        pairs = (each.strip().partition("=") for each in cookies.split(";"))
        wanted = self._session.encode()
        return any(name == self.cookie and hmac.compare_digest(value.encode(), wanted) for name, _, value in pairs)


class Names:
    """What pictures and pairs are asked for by: two numbers, signed. Whatever else is asked for has no name, and a path
    is none."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, kind: str, sheet: int, member: int) -> str:
        """kind: a letter."""
        said = f"{kind}{sheet:x}-{member:x}"
        return f"{said}-{hmac.digest(self._key, said.encode(), 'sha256').hex()[:32]}"

    def read(self, name: str) -> tuple[str, int, int] | None:
        """Kind, sheet and member; None for what was not given out."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        kind, sheet, member = found[1], int(found[2], 16), int(found[3], 16)
        return (kind, sheet, member) if hmac.compare_digest(self.of(kind, sheet, member), name) else None
