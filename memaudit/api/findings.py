"""The findings of a report: its rows, as a table, and with their pictures in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from memaudit.api.notebook import Picture, grid
from memaudit.api.places import Scratch
from memaudit.files import real
from memaudit.report.model import Finding

_SHOWN, _MEMBERS = 10, 6
_COLUMNS = (
    *("query_picture", "query_id", "reference_picture", "reference_id", "kind", "similarity", "prompt"),
    *("size", "smallest_similarity", "mean_distance", "pictures", "members"),
)


@dataclass(frozen=True, repr=False)
class Findings:
    """The findings of a report, worst first. content: as report.json has them; folder: where their pictures are.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"))
    >>> audit.findings.to_arrow().select(["query_id", "reference_id"]).to_pylist()
    [{'query_id': 'copy.png', 'reference_id': '0005.png'}]
    >>> [finding.kind for finding in audit.findings]
    ['verbatim']
    """

    rows: tuple[Finding, ...]
    content: tuple[Mapping[str, object], ...] = field(compare=False)
    folder: Path = field(compare=False)
    scratch: Scratch | None = field(default=None, compare=False)

    def to_arrow(self) -> pa.Table:
        """One row a finding, columns as in report.json; what only some of them have is null for the others."""
        names = dict.fromkeys(name for row in self.content for name in row)
        return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in self.content])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"<Findings: {len(self):,}>"

    def _repr_html_(self) -> str:
        first = self.content[:_SHOWN]
        names = [name for name in _COLUMNS if any(row.get(name) for row in first)]
        rows = [[self._cell(name, row.get(name)) for name in names] for row in first]
        said = "" if rows else "No findings"
        return grid([name.replace("_", " ") for name in names], rows, len(self) - len(rows), headline=said)

    def _cell(self, name: str, value: object) -> object:
        """A value, or the picture that it names."""
        if isinstance(value, list):
            named = (each.get("picture") if isinstance(each, dict) else each for each in value[:_MEMBERS])
            return [self._cell("picture", each) for each in named]
        if not (name.endswith("picture") and isinstance(value, str)):
            return value
        path = real(self.folder / value)
        return Picture(path) if path.is_file() and path.is_relative_to(real(self.folder)) else value
