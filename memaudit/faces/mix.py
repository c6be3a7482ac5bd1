"""Are those that chance is told by of the same groups as the generated people? Groups differ in how alike faces are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memaudit.faces.calibrate import Groups
from memaudit.faces.null import Null
from memaudit.faces.results import Mix
from memaudit.faces.rows import face_rows
from memaudit.store import Store
from memaudit.types import Int64

_SHOWN = 3


def mixed(by: Sequence[str], generations: Store, rows: Int64, control: Store | None, null: Null) -> tuple[Groups, Mix]:
    """Match each generated person with people outside the training set whose images have the same values in the columns
    `by`. rows (people,): the generated faces that were drawn.

    A column that one of the sides has no value in matches nothing, which the warning says, as it does where no column
    is named, and which generated groups nobody outside the training set belongs to.
    """
    if control is None or not by:
        return Groups.one(len(rows), null), Mix((), _not_asked(control is not None))
    sides = [(generations, rows), (control, null.rows), (control, null.excluded_rows)]
    values = {column: [_values(store, each, column) for store, each in sides] for column in by}
    known = {column: each for column, each in values.items() if any(each[0]) and any([*each[1], *each[2]])}
    unknown = [_without(column) for column in by if column not in known]
    if not known:
        return Groups.one(len(rows), null), Mix((), "; ".join(unknown))
    groups, names = _groups(list(known.values()))
    alone = np.setdiff1d(groups.scored, groups.samples).tolist()
    people = int(np.isin(groups.scored, alone).sum())
    warnings = [*unknown, *([_alone([names[place] for place in alone], people, list(known))] if alone else [])]
    return groups, Mix(tuple(known), "; ".join(warnings))


def _groups(values: Sequence[Sequence[Sequence[str]]]) -> tuple[Groups, list[tuple[str, ...]]]:
    """From each column's values of each side: groups of one value in each column, and these values."""
    sides = [list(zip(*(column[side] for column in values), strict=True)) for side in range(3)]
    code = {group: place for place, group in enumerate(dict.fromkeys(group for side in sides for group in side))}
    return Groups(*(np.array([code[group] for group in side], dtype=np.int64) for side in sides)), list(code)


def _values(store: Store, rows: Int64, column: str) -> list[str]:
    return [row.told(column) for row in face_rows(store.columns(rows))]


def _not_asked(is_control: bool) -> str:
    others = "people outside the training set" if is_control else "training people, who stand in for others,"
    advice = "name the column that tells, with --faces-by" if is_control else "give --control-faces, and --faces-by"
    return f"whether the {others} are of the same groups as the generated ones was not asked: {advice}"


def _without(column: str) -> str:
    return f"groups by {column} are not matched: the generated people, or those outside the training set, have none"


def _alone(groups: Sequence[tuple[str, ...]], people: int, columns: Sequence[str]) -> str:
    pairs = (zip(columns, group, strict=True) for group in groups[:_SHOWN])
    named = "; ".join(", ".join(f"{column}={value or 'unknown'}" for column, value in pair) for pair in pairs)
    more = f" and {len(groups) - _SHOWN:,} more groups" if len(groups) > _SHOWN else ""
    return (
        f"nobody outside the training set is of {named}{more}: each of these {people:,} generated people counts as a "
        "false match to be expected"
    )
