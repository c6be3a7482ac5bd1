"""The reports below a folder, whatever they are called: none is passed over without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from memaudit.errors import InputError
from memaudit.files import open_regular, read_json, reason_of
from memaudit.report.bounds import MOST_BYTES
from memaudit.report.run_folder import CLAIM, PREVIOUS, PREVIOUS_OF_0_2, REPORT

_NAMESPACE = "urn:memaudit:report:"  # what the schema of every report begins with
_AT_ONCE = 1 << 20


class FoundReports(NamedTuple):
    """reports: of memaudit, sound or not. others: files called report.json that are none. earlier: folders of previous
    runs, which a later one put aside. unfinished: folders where a run began and no report is."""

    reports: list[Path]
    others: list[Path]
    earlier: list[Path]
    unfinished: list[Path]


def find_reports(folder: Path) -> FoundReports:
    """Every report below a folder by its schema, in order of the path: in hidden folders and under any name that ends
    in .json as well. What links lead to is walked once.

    A file that cannot be read, or a report.json that is no JSON, counts as a report: whoever reads it says what is
    wrong with it. Raises InputError where there is none, and for a folder that cannot be read.
    """
    found = FoundReports([], [], [], [])
    walked: set[str] = set()
    for name, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        place = Path(name)
        walked.add(os.path.realpath(place))
        if CLAIM in files and REPORT not in files:
            found.unfinished.append(place)
        aside = {PREVIOUS, PREVIOUS_OF_0_2} if {CLAIM, REPORT} & {*files} else set()
        found.earlier.extend(place / each for each in sorted(folders) if each in aside)
        folders[:] = [each for each in folders if each not in aside and os.path.realpath(place / each) not in walked]
        for path in (place / each for each in files if each.lower().endswith(".json")):
            if is_report(path):
                found.reports.append(path)
            elif path.name == REPORT:
                found.others.append(path)
    if not (found.reports or found.unfinished):
        raise InputError(f"{folder} holds no report.json of memaudit: give the folder that audits were written to")
    return FoundReports(*(sorted(paths) for paths in found))


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read ({reason_of(error)}): nobody knows which reports it holds")


def is_report(path: Path) -> bool:
    """Whether it is one of memaudit, sound or not; what cannot be read may be."""
    named = path.name == REPORT
    try:
        if not named and not _mentions(path, _NAMESPACE.encode()):
            return False
        content = read_json(path, most=MOST_BYTES)
    except (InputError, OSError):
        return True
    return str(content.get("schema")).startswith(_NAMESPACE) or (
        named and ("memaudit" in content or "memaudit" in str(content.get("schema")))
    )


def _mentions(path: Path, words: bytes) -> bool:
    """Whether the bytes of a file, of any size, hold these."""
    with open_regular(path) as handle:
        return any(words in part for part in _overlapping(iter(lambda: handle.read(_AT_ONCE), b""), len(words)))


def _overlapping(parts: Iterator[bytes], length: int) -> Iterator[bytes]:
    end = b""
    for part in parts:
        yield end + part
        end = (end + part)[-length:]
