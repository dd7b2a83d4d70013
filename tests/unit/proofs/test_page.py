"""The page for an auditor: whole, escaped, with nothing from elsewhere and nothing that runs."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from clawmates.inventory.claims import known
from clawmates.proofs.circumstances import Circumstances
from clawmates.proofs.page import html
from clawmates.proofs.result import Claim, Evidence, Report, Result, Status, Table

MEANINGS = known().claims
EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=y>"
WHEN = Circumstances(
    began="2026-11-28T12:00:00+00:00",
    ended="2026-11-28T12:00:40+00:00",
    seconds=40.2,
    throwaway=True,
    facts={"kernel": "6.1"},
    unsafe=("node.unsafe_extra_ca",),
)
VOID = {"meta"}


class Reader(HTMLParser):
    """What is on a page: tags, their attributes, the text; and whether it is well-formed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def result(text: str, status: Status = Status.HELD, claim: Claim = Claim.TLS13) -> Result:
    evidence = Evidence(
        summary=f"summary {text}",
        figures={"hops": 8, "share": 0.5, "note": f"figure {text}"},
        table=(("what", "count"), (f"row {text}", "1,204")),
        tables=(Table(title=f"title {text}", rows=(("a", "as it must be"), (f"cell {text}", "no"))),),
        controls=(f"control {text}",),
        found=(f"found {text}",) if status is Status.BROKEN else (),
        not_looked_at=(f"passed over {text}",),
    )
    return Result(id=claim, status=status, evidence=evidence, repeat=f"repeat {text}")


def test_everything_stands_on_it() -> None:
    page = read(html(Report(claims=(result("x", Status.BROKEN),)), WHEN, MEANINGS))
    for what in ("summary", "figure", "row", "cell", "control", "found", "passed over"):
        assert f"{what} x" in page.text
    assert "Title x" in page.text
    assert "1,204" in page.text
    assert MEANINGS[Claim.TLS13] in page.text
    assert "1 broken" in page.text.lower()
    assert "node.unsafe_extra_ca" in page.text
    classes = [attrs.get("class") or "" for _, attrs in page.tags]
    assert "tag broken" in classes
    assert "number" in classes
    assert "no" in classes


def test_a_platform_made_for_the_trial_is_tried_again_by_what_makes_one() -> None:
    page = read(html(Report(claims=(result("x"),)), replace(WHEN, full=True), MEANINGS))
    assert "Tried in full on a platform made for this trial" in page.text
    assert 'make prove PROVE="--claim tls13 --full"' in page.text
    assert "repeat x" not in page.text


def test_nothing_on_it_runs_or_comes_from_elsewhere() -> None:
    source = html(Report(claims=(result(EVIL, Status.BROKEN),)), WHEN, {Claim.TLS13: EVIL})
    page = read(source)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "form", "svg", "base"}
    for _, attrs in page.tags:
        assert not any(name.startswith("on") or name in {"src", "style"} for name in attrs)
        assert (attrs.get("href") or "#").startswith("#")
    assert "http:" not in source
    assert "https:" not in source
    assert "url(" not in source
    assert "@import" not in source
    policy = next(attrs["content"] for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


@given(st.text(max_size=40))
def test_any_text_is_shown_and_not_obeyed(text: str) -> None:
    source = html(Report(claims=(result(text, Status.BROKEN),)), WHEN, {Claim.TLS13: text})
    plain = html(Report(claims=(result("", Status.BROKEN),)), WHEN, {Claim.TLS13: ""})
    assert [tag for tag, _ in read(source).tags] == [tag for tag, _ in read(plain).tags]


def test_a_platform_of_somebodys_is_called_so() -> None:
    real = Circumstances(began="2026-11-28T12:00:00Z", ended="2026-11-28T12:00:01Z", seconds=1, throwaway=False)
    page = read(html(Report(claims=(result("x"),)), real, MEANINGS))
    assert "Tried in the short form on a running platform" in page.text
    assert "repeat x" in page.text
    assert "No unsafe switch was on." in page.text


def test_what_cannot_be_shown_stands_with_its_reason() -> None:
    absent = Result(
        id=Claim.REGION, status=Status.NOT_HERE, evidence=Evidence(summary="Not yet, because."), repeat="again"
    )
    page = read(html(Report(claims=(result("x"), absent)), WHEN, MEANINGS))
    assert "Not demonstrable here" in page.text
    assert "Not yet, because." in page.text
    targets = {attrs["id"] for _, attrs in page.tags if attrs.get("id")}
    assert {(attrs["href"] or "")[1:] for tag, attrs in page.tags if tag == "a"} == targets


def test_the_style_has_a_dark_side_and_a_printed_one() -> None:
    source = html(Report(claims=()), WHEN, MEANINGS)
    assert re.search(r"@media \(prefers-color-scheme: dark\)", source)
    assert "@media print" in source
