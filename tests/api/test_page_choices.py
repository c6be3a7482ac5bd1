"""What a page says of the command that made it."""

from __future__ import annotations

from pathlib import Path

import memaudit as ma
from memaudit.api.page_choices import how_to_show


def test_the_command_has_no_password_and_no_signature(tmp_path: Path) -> None:
    """However the options were written: report.json and the page are mailed."""
    apart = ["--control", "https://bob:secret@h/y.csv?X-Amz-Signature=secret"]
    joined = ["--control=https://bob:secret@h/y.csv?X-Amz-Signature=secret", "s3://AKIA:secret@bucket/a"]
    words = ["memaudit", "audit", *apart, *joined]
    about = how_to_show(ma.PageChoices(command=words), tmp_path / "store").about
    assert about is not None
    shown = "memaudit audit --control https://h/y.csv --control=https://h/y.csv s3://bucket/a"
    assert about.command == shown
