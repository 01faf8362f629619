"""The page of findings is that of the database and of the package."""

from __future__ import annotations

from pathlib import Path

import doctor_page

from support.calls import Session

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_the_page_lists_what_is_looked_for(db: Session) -> None:
    assert PAGE.read_text(encoding="utf-8") == doctor_page.page(db)
