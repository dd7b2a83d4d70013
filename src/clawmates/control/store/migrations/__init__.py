"""The way from one schema to the next (Alembic)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def revisions() -> list[str]:
    """All that there are, the newest last: ``scripts/revise`` numbers them, and their files' names begin with it."""
    return sorted(path.name.partition("_")[0] for path in FOLDER.glob("versions/[0-9]*.py"))
