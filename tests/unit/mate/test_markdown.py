from __future__ import annotations

import time
from typing import Any

import pytest

from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.channels.telegram.split import split
from clawmates.mate.channels.telegram.styled import visible, whole_characters
from clawmates.simulator.telegram.entities import read


def marked(markdown: str) -> tuple[str, list[tuple[str, str]]]:
    """The text, and each style with what it covers, or with its address or language behind a bar."""
    styled = render(markdown)
    read(styled.entities(), styled.text)
    return styled.text, [
        (span.style.value, styled.text[span.start : span.end] + (f"|{span.value}" if span.value else ""))
        for span in styled.spans
    ]


@pytest.mark.parametrize(
    ("markdown", "text", "styles"),
    [
        ("**bold** and __bold__", "bold and bold", [("bold", "bold"), ("bold", "bold")]),
        ("*it* and _it_", "it and it", [("italic", "it"), ("italic", "it")]),
        ("~~gone~~ ~kept~", "gone ~kept~", [("strikethrough", "gone")]),
        ("***both***", "both", [("bold", "both"), ("italic", "both")]),
        ("**a *b* c**", "a b c", [("bold", "a b c"), ("italic", "b")]),
        ("**Hinweis:**text", "Hinweis:text", [("bold", "Hinweis:")]),
        ("**bold\nover lines**", "bold\nover lines", [("bold", "bold\nover lines")]),
        ("snake_case_name 2 * 3 * 4", "snake_case_name 2 * 3 * 4", []),
        (r"\*no\* \_no\_ 1\. \\", "*no* _no_ 1. \\", []),
        ("`a*b*` ``x`y``", "a*b* x`y", [("code", "a*b*"), ("code", "x`y")]),
        ("a ` b", "a ` b", []),
        ("**a `b` c**", "a b c", [("bold", "a "), ("code", "b"), ("bold", " c")]),
        ("[t](https://x.example/a_(b))", "t", [("text_link", "t|https://x.example/a_(b)")]),
        ('[t](<https://x.example> "title")', "t", [("text_link", "t|https://x.example")]),
        ("[**t** `c`](https://x.example)", "t c", [("text_link", "t c|https://x.example"), ("bold", "t")]),
        ("![alt](https://x.example/i.png)", "alt", [("text_link", "alt|https://x.example/i.png")]),
        ("[t](javascript:alert) a[0](b) [1]", "[t](javascript:alert) a[0](b) [1]", []),
        ("[tg](tg://user?id=1)", "[tg](tg://user?id=1)", []),
        ("<https://x.example/_a_> https://x.example/*b", "https://x.example/_a_ https://x.example/*b", []),
        ("**https://x.example/a_b_**", "https://x.example/a_b_", [("bold", "https://x.example/a_b_")]),
        ("&lt;b&gt; &amp; &#128512; &#xD800; &nope;", "<b> & 😀 &#xD800; &nope;", []),
        ("a<br>b", "a\nb", []),
        ("# Title **x** #\ntext", "Title x\ntext", [("bold", "Title x")]),
        ("#hashtag", "#hashtag", []),
        ("- a\n* b\n+ c", "• a\n• b\n• c", []),
        ("- a\n  - b\n    - **c**", "• a\n  ◦ b\n    ▪ c", [("bold", "c")]),
        ("- [ ] a\n- [x] b", "☐ a\n☑ b", []),
        ("1. a\n2. *b*", "1. a\n2. b", [("italic", "b")]),
        ("> a\n> **b**\n\nc", "a\nb\n\nc", [("blockquote", "a\nb"), ("bold", "b")]),
        ("> a\n>> b", "a\nb", [("blockquote", "a\nb")]),
        ("> ```\n> x\n> ```", "x", [("blockquote", "x"), ("pre", "x")]),
        ("```python\nif a:\n    b\n```", "if a:\n    b", [("pre", "if a:\n    b|python")]),
        ("```c++ title=x\na\n```\nb", "a\nb", [("pre", "a|c++")]),
        ("~~~\n```\n~~~", "```", [("pre", "```")]),
        ("text\n```\nstill open **x**", "text\nstill open **x**", [("pre", "still open **x**")]),
        ("1. a\n   ```\n   b\n     c\n   ```", "1. a\nb\n  c", [("pre", "b\n  c")]),
        ("a\n\n---\n\nb", "a\n\n———\n\nb", []),
        ("a\n\n\n\nb  \nc\\\nd", "a\n\nb\nc\nd", []),
        ("😀 **😀b**", "😀 😀b", [("bold", "😀b")]),
        ("\r\nwin\r\n**dows**\r\n", "win\ndows", [("bold", "dows")]),
        ("\ud83d\ude00 \ud83d", "😀 �", []),
        ("", "", []),
    ],
)
def test_what_models_write(markdown: str, text: str, styles: list[tuple[str, str]]) -> None:
    assert marked(markdown) == (text, styles)


def test_a_table_becomes_columns() -> None:
    text, styles = marked("| a | **b** |\n|---|:-:|\n| 1 | 日本 |\n| long \\| cell | x |\nafter")
    assert text == "a           | b\n------------+-----\n1           | 日本\nlong | cell | x\nafter"
    assert styles == [("pre", text.removesuffix("\nafter"))]


def test_offsets_are_in_utf_16_units() -> None:
    entity: dict[str, Any] = render("😀😀 **b😀**").entities()[0]
    assert entity == {"type": "bold", "offset": 5, "length": 3}


@pytest.mark.parametrize(
    "hostile",
    [
        "*" * 200_000,
        "[a](b" * 40_000,
        "[a" * 100_000,
        "```a``a`" * 20_000,
        "*a **b _c " * 20_000,
        "_a*" * 60_000,
        "**a" * 50_000 + "b**" * 50_000,
        "|a" * 50_000 + "\n" + "|-" * 50_000 + "\n" + "|x\n" * 10_000,
        "| a |\n|---|\n| " + "x" * 100_000 + " |\n" + "| y |\n" * 10_000,
        "http://" * 30_000,
        "](http://a " * 20_000,
        "> " * 100_000,
        "&#" * 100_000,
        "a\u0301" * 100_000,
        "🇩🇪" * 30_000,
        "[x](http://a)" * 15_000,
        "**`x`" * 20_000 + "**",
    ],
)
def test_hostile_markdown_takes_time_in_proportion_to_its_length(hostile: str) -> None:
    began = time.process_time()
    pieces = split(render(hostile))
    assert time.process_time() - began < 3
    assert sum(len(piece.text) for piece in pieces) < 10 * len(hostile)


def test_what_nobody_can_see() -> None:
    assert not visible(" \u200b\u2800\u3164\ufeff\U000e0041")
    assert visible("\u202ea")


def test_surrogates_that_came_apart_are_joined() -> None:
    assert whole_characters("\ud83d\ude00") == "😀"
    assert whole_characters("a\udc00b") == "a�b"
