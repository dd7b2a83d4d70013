"""Sentences of the documentation, and the tests that show them."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def test_names(file: str) -> frozenset[str]:
    """The names of all test functions in a file below the checkout, and in its classes."""
    top = ast.parse((ROOT / file).read_text()).body
    inside = (node for one in top if isinstance(one, ast.ClassDef) for node in one.body)
    functions = (node for node in (*top, *inside) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


test_names.__test__ = False  # type: ignore[attr-defined] # it is not one itself


def clauses(page: str, heading: str) -> list[str]:
    """What a section says, cut at full stops, semicolons and colons into clauses of one claim each."""
    text = (ROOT / page).read_text()
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    flat = " ".join(section.replace("**", "").split())
    return [clause.strip() for clause in re.split(r"(?<=[.;:]) ", flat) if clause.strip()]
