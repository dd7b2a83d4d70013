"""A report as one page for an auditor: no script, nothing from elsewhere, good on paper and in the dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from clawmates.proofs.report import is_number
from clawmates.proofs.result import Status
from clawmates.proofs.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clawmates.proofs.circumstances import Circumstances
    from clawmates.proofs.result import Claim, Evidence, Report, Result

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Even a browser that meets something foreign in here fetches nothing."""
_CLASS = {Status.HELD: "held", Status.BROKEN: "broken", Status.NOT_HERE: "open"}
INTRODUCTION = (
    "Each claim below is an experiment that can fail. What was tried stands beside what came of it; under"
    " <em>controls</em> stands what the same experiment objected to in this very run, because it was made wrong on"
    " purpose; and what was not looked at is listed as plainly as the rest. No message, prompt or credential is on this"
    " page."
)


def html(report: Report, circumstances: Circumstances, meanings: Mapping[Claim, str]) -> str:
    """The whole page; ``meanings`` says each claim in a sentence."""
    tried = [claim for claim in report.claims if claim.status is not Status.NOT_HERE]
    listed = [claim for claim in report.claims if claim.status is Status.NOT_HERE]
    body = "".join(
        [
            _head(report, circumstances, meanings),
            _facts(circumstances),
            *(_claim(claim, circumstances, meanings) for claim in tried),
            _not_here(listed, meanings) if listed else "",
            f"<footer>Made by <code>clawmates prove</code> at {escape(circumstances.ended)}.</footer>",
        ]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>ClawMates: what was claimed, and what held ({escape(circumstances.began[:10])})</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report, circumstances: Circumstances, meanings: Mapping[Claim, str]) -> str:
    counts = [(status, sum(claim.status is status for claim in report.claims)) for status in Status]
    said = ", ".join(f"{count} {status}" for status, count in counts if count)
    where = (
        "a platform made for this trial, in a network of its own, with stand-ins for the messenger and the AI providers"
        if circumstances.throwaway
        else "a running platform"
    )
    cards = "".join(
        f'<li><a href="#{escape(claim.id)}"><b><span>{escape(claim.id)}</span>{_tag(claim.status)}</b>'
        f"<small>{escape(meanings.get(claim.id, ''))}</small></a></li>"
        for claim in report.claims
    )
    return (
        f"<h1>What ClawMates claims, and what held</h1>"
        f'<p class="lead">{escape(said.capitalize())}. Tried in {"full" if circumstances.full else "the short form"} on'
        f" {escape(where)}, from"
        f" {_time(circumstances.began)} to {_time(circumstances.ended)} ({circumstances.seconds:,.0f} s).</p>"
        f'<p>{INTRODUCTION}</p><ul class="verdicts">{cards}</ul>'
    )


def _facts(circumstances: Circumstances) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{_code(value)}</dd>" for name, value in circumstances.facts.items())
    unsafe = (
        f'<div class="unsafe"><p>Unsafe switches that were on: <code>{escape(", ".join(circumstances.unsafe))}</code>.'
        f" They are for tests{_why(circumstances)}.</p></div>"
        if circumstances.unsafe
        else "<p>No unsafe switch was on.</p>"
    )
    return f'<section class="facts"><h2>Circumstances</h2><dl>{rows}</dl>{unsafe}</section>'


def _why(circumstances: Circumstances) -> str:
    if circumstances.throwaway:
        return ": this platform had to trust the stand-ins' authorities beside the public ones"
    return ", and a platform that people use should have none"


def _again(claim: Result, circumstances: Circumstances) -> str:
    """Such a platform is made by another command than the one that tries a platform of somebody's."""
    form = " --full" if circumstances.full else ""
    return f'make prove PROVE="--claim {claim.id}{form}"' if circumstances.throwaway else f"{claim.repeat}{form}"


def _claim(claim: Result, circumstances: Circumstances, meanings: Mapping[Claim, str]) -> str:
    evidence = claim.evidence
    parts = [
        f'<header class="claim"><h2>{escape(claim.id)}</h2>{_tag(claim.status)}</header>',
        f'<p class="means">{escape(meanings.get(claim.id, ""))}</p>',
        f"<h3>What was tried</h3><p>{escape(evidence.summary)}</p>",
    ]
    if evidence.found:
        parts.append(f'<h3>Against the claim</h3><div class="against">{_list(evidence.found)}</div>')
    if evidence.table:
        parts.append(_table("Evidence", evidence.table))
    parts += [_table(one.title, one.rows) for one in evidence.tables]
    if evidence.controls:
        parts.append(f"<h3>Controls: what shows that this can fail</h3>{_list(evidence.controls)}")
    if evidence.not_looked_at:
        parts.append(f"<h3>Not looked at</h3>{_list(evidence.not_looked_at)}")
    parts.append(_figures(evidence))
    parts.append(f"<h3>Again</h3><p><code>{escape(_again(claim, circumstances))}</code></p>")
    return f'<section id="{escape(claim.id)}">{"".join(parts)}</section>'


def _figures(evidence: Evidence) -> str:
    if not evidence.figures:
        return ""
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_figure(value))}</dd>"
        for name, value in evidence.figures.items()
    )
    return f"<h3>Figures</h3><dl>{rows}</dl>"


def _figure(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def _not_here(claims: Iterable[Result], meanings: Mapping[Claim, str]) -> str:
    rows = "".join(
        f'<li id="{escape(claim.id)}"><b>{escape(claim.id)}</b>: {escape(meanings.get(claim.id, ""))}'
        f" {escape(claim.evidence.summary)}</li>"
        for claim in claims
    )
    return f"<section><h2>Not demonstrable here</h2><p>Each with its reason.</p><ul>{rows}</ul></section>"


def _table(title: str, rows: tuple[tuple[str, ...], ...]) -> str:
    if len(rows) < 2:
        return ""
    head, *rest = rows
    numeric = [all(is_number(row[column]) for row in rest) for column in range(len(head))]
    top = "".join(_cell("th", name, right) for name, right in zip(head, numeric, strict=True))
    body = "".join(
        f"<tr>{''.join(_cell('td', cell, right) for cell, right in zip(row, numeric, strict=True))}</tr>"
        for row in rest
    )
    return (
        f"<h3>{escape(title[:1].upper() + title[1:])}</h3>"
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell(tag: str, text: str, right: bool) -> str:  # noqa: FBT001 - where it stands
    kind = "number" if right else text if tag == "td" and text in {"yes", "no"} else ""
    return f'<{tag} class="{kind}">{escape(text)}</{tag}>' if kind else f"<{tag}>{escape(text)}</{tag}>"


def _tag(status: Status) -> str:
    return f'<span class="tag {_CLASS[status]}">{escape(status)}</span>'


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _time(stamp: str) -> str:
    return f'<time datetime="{escape(stamp)}">{escape(stamp[:19].replace("T", " "))} UTC</time>'


def _code(value: str) -> str:
    return f"<code>{escape(value)}</code>"
