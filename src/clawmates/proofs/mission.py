"""The mission page, sentence by sentence, beside what shows each to be so (``docs/claims.toml``).

``python -m clawmates.proofs.mission`` prints ``docs/claims.md``.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from clawmates.inventory.claims import Claim, Statement, Table, load
from clawmates.proofs.prove import TRIALS

PAGE = Path("docs/mission.txt")
TABLE = Path("docs/claims.toml")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\bYes\.)(?<!\bNo\.)\s+(?=[A-Z])")
_PROVE = re.compile(r"clawmates prove --claim ([a-z0-9-]+)")
_MAKE = re.compile(r"make ([a-z]+)")


def sentences(page: str) -> tuple[str, ...]:
    """Every sentence of the page once, in its order; a *Yes.* or *No.* belongs to the sentence behind it.

    Lines without a letter (ornaments, step numbers) hold none.
    """
    lines = (" ".join(line.split()) for line in page.splitlines())
    found = (sentence for line in lines if re.search(r"[A-Za-z]", line) for sentence in _SENTENCE_END.split(line))
    return tuple(dict.fromkeys(found))


def problems(page: str, table: Table, root: Path) -> list[str]:
    """What is wrong between page, table and repository; empty when all is well."""
    wanted, known = sentences(page), Counter(table.says)
    found = [f"not in {TABLE}: {sentence}" for sentence in wanted if sentence not in known]
    found += [f"no longer on the page: {sentence}" for sentence in known if sentence not in wanted]
    found += [f"twice in {TABLE}: {sentence}" for sentence, times in known.items() if times > 1]
    found += [f"claim without a meaning: {claim}" for claim in Claim if claim not in table.claims]
    found += [f"claim without a meaning in German: {claim}" for claim in Claim if claim not in table.claims_de]
    found += [f"no German: {one.title}" for one in table.section if one.statement and not one.title_de]
    for statement in table.statements:
        if statement.beyond and not statement.honestly:
            found.append(f"nothing says why no software can show it: {statement.says}")
        if not statement.shown_by and statement.not_yet is None and not statement.beyond:
            found.append(f"neither shown nor said to be missing: {statement.says}")
        if statement.not_yet is not None and str(statement.not_yet) not in table.themes:
            found.append(f"there is no theme {statement.not_yet}: {statement.says}")
        if not statement.says_de or bool(statement.honestly) != bool(statement.honestly_de):
            found.append(f"no German: {statement.says}")
        found += [f"no such check: {check}" for check in statement.shown_by if not exists(check, root)]
    return found


def exists(check: str, root: Path) -> bool:
    """Whether a command can be given, or a test file (and the test in it) is there."""
    if prove := _PROVE.fullmatch(check):
        return prove[1] in set(TRIALS)
    if make := _MAKE.fullmatch(check):
        makefile = root / "Makefile"
        return makefile.is_file() and re.search(rf"^{make[1]}:", makefile.read_text(), re.MULTILINE) is not None
    path, _, test = check.partition("::")
    file = root / path
    if not check.startswith("tests/") or ".." in path or not file.is_file():
        return False
    return not test or re.search(rf"^(?:async )?def {re.escape(test)}\(", file.read_text(), re.MULTILINE) is not None


def markdown(table: Table) -> str:
    """``docs/claims.md``."""
    statements = list(table.statements)
    shown = sum(not one.not_yet and not one.beyond for one in statements)
    partly = sum(bool((one.not_yet or one.beyond) and one.shown_by) for one in statements)
    beyond = sum(one.beyond and not one.shown_by for one in statements)
    lines = [
        "# What the mission page says, and what shows it",
        "",
        f"Made from `{TABLE}` by `python -m clawmates.proofs.mission`; do not edit. A test keeps this page, the table",
        f"and `{PAGE}` together.",
        "",
        f"Of {len(statements)} sentences that promise something, {shown} are shown, {partly} are shown in part, and",
        f"{len(statements) - shown - partly - beyond} are not shown yet; {beyond} are about what no software can show.",
        "Where the page's words and reality differ, it is said below the sentence.",
        "",
        "| claim | in one sentence | sentences | try it |",
        "|---|---|---|---|",
    ]
    for claim in Claim:
        count = sum(one.claim is claim for one in statements)
        command = f"`clawmates prove --claim {claim}`" if claim in TRIALS else "not yet"
        lines.append(f"| {claim} | {table.claims[claim]} | {count} | {command} |")
    for section in table.section:
        if section.statement:
            lines += ["", f"## {section.title}"]
        for one in section.statement:
            lines += ["", f"> {one.says.replace('*', chr(92) + '*')}", "", f"- {one.claim}: {_state(one, table)}"]
            if one.honestly:
                lines.append(f"- Honestly: {one.honestly}")
    return "\n".join(lines) + "\n"


def _state(statement: Statement, table: Table) -> str:
    parts = [f"shown by {', '.join(f'`{check}`' for check in statement.shown_by)}"] if statement.shown_by else []
    if statement.not_yet is not None:
        more = "more of it" if parts else "not yet,"
        parts.append(f"{more} with theme {statement.not_yet} ({table.themes[str(statement.not_yet)]})")
    if statement.beyond:
        parts.append("the rest no software can show" if parts else "no software can show it")
    return "; ".join(parts) + "."


if __name__ == "__main__":
    sys.stdout.write(markdown(load(TABLE.read_text())))
