"""calibration.toml: a threshold and a cut, what they were chosen on, and what they find there. Digest over all of
it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memaudit.errors import InputError
from memaudit.files import DIGEST, read_toml, sealed, unsealed, write_text
from memaudit.matching.calibrated import Calibrated
from memaudit.types import EncoderSpec

SCHEMA = "memaudit.calibration/1"
_SHA256 = 64
Toml = Mapping[str, Any]


@dataclass(frozen=True)
class Calibration:
    """settled: what runs take from it. content: all that the file holds."""

    settled: Calibrated
    content: Toml


def calibration_of(content: Toml) -> Calibration:
    """The calibration that a file's content, without its digest, says."""
    return _read(sealed(content))


def read_calibration(path: Path) -> Calibration:
    """Raises InputError for what is no calibration, InconclusiveError for one that was changed since it was written."""
    raw = read_toml(path, "calibration")
    if raw.get("schema") != SCHEMA:
        raise InputError(f"{path} has schema {str(raw.get('schema'))[:80]!r}, this version reads {SCHEMA!r}")
    unsealed(path, raw)
    try:
        return _read(raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no sound calibration ({' '.join(f'{error!r}'.split())[:200]})") from None


def _read(raw: Toml) -> Calibration:
    encoder = raw["encoder"]
    spec = EncoderSpec(
        encoder["name"], encoder["weights_sha256"], encoder["preprocessing"], encoder["dim"], encoder["threshold"]
    )
    cut, match_from = raw.get("cut"), raw.get("match_from")
    numbers = [raw["threshold"], raw["own_cut"], *(each for each in (cut, match_from) if each is not None)]
    if not all(isinstance(each, float) and 0 < each <= 1 for each in numbers):
        raise ValueError("threshold, own_cut, cut and match_from must be above 0, and 1 at most")
    if not all(isinstance(raw[name], str) and len(raw[name]) == _SHA256 for name in ("model", DIGEST)):
        raise ValueError("model and digest must be sha256")
    settled = Calibrated(raw[DIGEST], raw["threshold"], cut, raw["own_cut"], match_from, spec, raw["model"])
    return Calibration(settled, raw)


def write_calibration(path: Path, calibration: Calibration) -> None:
    write_text(path, toml_of(calibration.content))


def toml_of(content: Toml) -> str:
    """TOML of texts, numbers, flags and lists, then of tables of these, then of lists of such tables."""
    plain = {name: value for name, value in content.items() if not _is_table(value)}
    lines = list(_lines(plain))
    for name, value in content.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_lines(value)]
        elif _is_table(value):
            for entry in value:
                lines += ["", f"[[{name}]]", *_lines(entry)]
    return "\n".join(lines) + "\n"


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(each, Mapping) for each in value))


def _lines(table: Toml) -> Iterator[str]:
    return (f"{name} = {_value(value)}" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a calibration holds numbers only")
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
