"""The page of a check of keys: what was planted and what was painted, key against answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memaudit.canaries.answered import KNOWN_FROM, KeyScore, KeyTally
from memaudit.canaries.keys import LEVELS
from memaudit.report.page import write_page

WIDTH, HEIGHT = 560, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 44
_TICKS = (0, 64, 128, 192, 255)
LISTED = 200  # keys of the list on the page


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    hollow: bool
    known: bool
    label: str


@dataclass(frozen=True)
class KeyChart:
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[int, float, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    base: int = HEIGHT - _BOTTOM


def key_chart(scores: Sequence[KeyScore]) -> KeyChart:
    """Keys from left to right, answers from below: who knows them all has his dots on the diagonal."""
    dots = [
        Dot(_x(score.key), _y(score.grey), not score.copies, score.known, _label(score))
        for score in scores
        if score.grey is not None
    ]
    return KeyChart(tuple(dots), tuple((tick, _x(tick), _y(tick)) for tick in _TICKS))


def _x(level: float) -> float:
    return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * level / (LEVELS - 1), 1)


def _y(level: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * level / (LEVELS - 1), 1)


def _label(score: KeyScore) -> str:
    planted = f"planted {score.copies:,} times" if score.copies else "held back"
    return f"{score.image_id} ({score.of}), {planted}: key {score.key}, answer {score.grey:g}"


def write_keys_page(
    path: Path, tally: KeyTally, register: str, headline: str, warnings: Sequence[str], conclusive: bool
) -> None:
    """Write the page. register: its digest."""
    nearest = sorted(tally.scores, key=lambda score: (score.p is None, score.p, -score.copies, score.image_id))
    write_page(
        path,
        "keys.html",
        tally=tally,
        register=register,
        headline=headline,
        warnings=warnings,
        conclusive=conclusive,
        chart=key_chart(tally.scores),
        listed=nearest[:LISTED],
        more=max(0, len(nearest) - LISTED),
        known_from=KNOWN_FROM,
    )
