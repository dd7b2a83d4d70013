"""Entities, HTML and MarkdownV2."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.simulator.telegram import html, markdown
from clawmates.simulator.telegram.entities import Entity, checked, read, units
from clawmates.simulator.telegram.errors import BadRequestError, CantParseError
from clawmates.simulator.telegram.formatting import formatted
from clawmates.simulator.telegram.markdown import RESERVED
from clawmates.simulator.telegram.parameters import Parameters


def shown(parsed: tuple[str, tuple[Entity, ...]]) -> tuple[str, set[tuple[str, str]]]:
    """The text, and (type, covered text) of each entity."""
    text, entities = parsed
    encoded = text.encode("utf-16-le")
    return text, {(one.type, encoded[one.offset * 2 : one.end * 2].decode("utf-16-le")) for one in entities}


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("<b>a</b> <strong>b</strong>", "a b", {("bold", "a"), ("bold", "b")}),
        ("<i>a</i><em>b</em>", "ab", {("italic", "a"), ("italic", "b")}),
        ("<u>a</u><ins>b</ins>", "ab", {("underline", "a"), ("underline", "b")}),
        ("<s>a</s><strike>b</strike><del>c</del>", "abc", {("strikethrough", one) for one in "abc"}),
        ('<span class="tg-spoiler">a</span><tg-spoiler>b</tg-spoiler>', "ab", {("spoiler", "a"), ("spoiler", "b")}),
        ('<a href="https://example.org/">x</a>', "x", {("text_link", "x")}),
        ("<code>a&lt;b</code>", "a<b", {("code", "a<b")}),
        ('<pre><code class="language-python">x = 1</code></pre>', "x = 1", {("pre", "x = 1")}),
        ("<pre>x</pre>", "x", {("pre", "x")}),
        ("<blockquote expandable>q</blockquote>", "q", {("expandable_blockquote", "q")}),
        ("<b>😀 <i>x</i></b>", "😀 x", {("bold", "😀 x"), ("italic", "x")}),
        ("&amp;&quot;&#65;&#x42;&nbsp;", '&"AB&nbsp;', set()),
        ("<b></b>plain", "plain", set()),
    ],
)
def test_html(source: str, text: str, entities: set[tuple[str, str]]) -> None:
    assert shown(html.parse(source)) == (text, entities)


def test_html_names_the_language_of_a_block() -> None:
    _, (entity,) = html.parse('<pre><code class="language-rust">x</code></pre>')
    assert entity.plain() == {"type": "pre", "offset": 0, "length": 1, "language": "rust"}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("<b>é</i>", 'Unmatched end tag at byte offset 5, expected "</b>", found "</i>"'),
        ("<script>x</script>", 'Unsupported start tag "script" at byte offset 0'),
        ("1 < 2", "Unclosed or invalid tag at byte offset 2"),
        ("<b", "Unclosed or invalid tag at byte offset 0"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_html_that_cannot_be_parsed(source: str, reason: str) -> None:
    with pytest.raises(CantParseError) as refused:
        html.parse(source)
    assert refused.value.description == f"Bad Request: can't parse entities: {reason}"


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("*a* _b_ __c__ ~d~ ||e||", "a b c d e", {("bold", "a"), ("italic", "b"), ("underline", "c")}
         | {("strikethrough", "d"), ("spoiler", "e")}),
        ("*a _b_*", "a b", {("bold", "a b"), ("italic", "b")}),
        (r"1\. \*x\*", "1. *x*", set()),
        ("`a*b`", "a*b", {("code", "a*b")}),
        ("```python\nx = [1]\n```", "x = [1]\n", {("pre", "x = [1]\n")}),
        ("```\nx\n```", "x\n", {("pre", "x\n")}),
        (r"[x](https://example.org/a\)b)", "x", {("text_link", "x")}),
        (">q1\n>q2\nrest", "q1\nq2\nrest", {("blockquote", "q1\nq2\n")}),
        (">q||", "q", {("expandable_blockquote", "q")}),
        (">q", "q", {("blockquote", "q")}),
        ("*😀*", "😀", {("bold", "😀")}),
    ],
)  # fmt: skip
def test_markdown(source: str, text: str, entities: set[tuple[str, str]]) -> None:
    assert shown(markdown.parse(source)) == (text, entities)


def test_markdown_keeps_the_address_of_a_link() -> None:
    _, (entity,) = markdown.parse(r"[x](https://example.org/a\)b)")
    assert entity.url == "https://example.org/a)b"


@pytest.mark.parametrize("character", sorted(RESERVED - set("_*`~[>|")))
def test_markdown_reserved_characters_must_be_escaped(character: str) -> None:
    with pytest.raises(CantParseError) as refused:
        markdown.parse(f"a{character}b")
    assert f"Character '{character}' is reserved and must be escaped" in refused.value.description
    assert markdown.parse(f"a\\{character}b") == (f"a{character}b", ())


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("*a", "Can't find end of Bold entity at byte offset 0"),
        ("é _a", "Can't find end of Italic entity at byte offset 3"),
        ("*a _b* c_", "Can't find end of Italic entity at byte offset 3"),
        ("`a", "Can't find end of Code entity at byte offset 0"),
        ("```a", "Can't find end of Pre entity at byte offset 0"),
        ("[a](b", "Can't find end of a URL at byte offset 3"),
        ("[a] b", "Can't find end of TextUrl entity at byte offset 0"),
        ("[a", "Can't find end of TextUrl entity at byte offset 0"),
    ],
)
def test_markdown_that_cannot_be_parsed(source: str, reason: str) -> None:
    with pytest.raises(CantParseError) as refused:
        markdown.parse(source)
    assert refused.value.description == f"Bad Request: can't parse entities: {reason}"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_escaped_text_is_read_back_as_it_was(text: str) -> None:
    escaped = re.sub(r"([_*\[\]()~`>#+\-=|{}.!\\])", r"\\\1", text)
    assert markdown.parse(escaped) == (text, ())
    quoted = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert html.parse(quoted) == (text, ())


@given(st.text(alphabet=st.sampled_from(list("ab <>/&;=\"'_*[]()~`>|\\\n😀"))))
def test_any_source_is_parsed_or_refused(source: str) -> None:
    for parse in (html.parse, markdown.parse):
        try:
            text, entities = parse(source)
        except CantParseError:
            continue
        assert all(0 <= one.offset < one.end <= units(text) for one in entities)


def entity(kind: str, offset: int, length: int) -> Entity:
    return Entity(kind, offset, length)


@pytest.mark.parametrize(
    ("entities", "fits"),
    [
        ([("bold", 0, 2), ("italic", 1, 1)], True),
        ([("bold", 0, 2), ("italic", 1, 2)], False),
        ([("code", 0, 2), ("bold", 0, 1)], False),
        ([("bold", 0, 2), ("code", 0, 1)], False),
        ([("blockquote", 0, 3), ("code", 0, 1)], True),
        ([("blockquote", 0, 3), ("expandable_blockquote", 0, 1)], False),
        ([("blockquote", 0, 3), ("bold", 0, 1)], True),
        ([("text_link", 0, 3), ("bold", 0, 1)], True),
        ([("text_link", 0, 3), ("custom_emoji", 0, 1)], False),
        ([("bold", 0, 1), ("bold", 1, 1), ("code", 2, 1)], True),
        ([("bold", -1, 1)], False),
        ([("bold", 0, 0)], False),
        ([("bold", 3, 2)], False),
        ([("bold", 4, 1)], False),
    ],
)
def test_entities_nest_as_documented(entities: list[tuple[str, int, int]], *, fits: bool) -> None:
    found = [entity(*one) for one in entities]
    if fits:
        assert len(checked(found, "abcd")) == len(found)
    else:
        with pytest.raises(BadRequestError):
            checked(found, "abcd")


@pytest.mark.parametrize(("offset", "length", "fits"), [(0, 2, True), (0, 1, False), (1, 1, False), (2, 1, True)])
def test_entities_do_not_cut_a_surrogate_pair(offset: int, length: int, *, fits: bool) -> None:
    if fits:
        assert checked([entity("bold", offset, length)], "😀x")
    else:
        with pytest.raises(BadRequestError):
            checked([entity("bold", offset, length)], "😀x")


@pytest.mark.parametrize(
    "raw",
    [
        "bold",
        {"type": "loud", "offset": 0, "length": 1},
        {"type": "bold", "offset": 0},
        {"type": "bold", "length": 1},
        {"type": "bold", "offset": "x", "length": 1},
        {"type": "bold", "offset": 0, "length": 1, "colour": "red"},
        {"type": "text_link", "offset": 0, "length": 1},
    ],
)
def test_entities_of_another_shape_are_refused(raw: object) -> None:
    with pytest.raises(BadRequestError):
        read([raw], "text")


def test_more_than_a_hundred_entities_are_refused() -> None:
    one = {"type": "bold", "offset": 0, "length": 1}
    with pytest.raises(BadRequestError):
        read([one] * 101, "text")


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ({"text": "x" * 4096}, 4096),
        ({"text": "😀" * 2048}, 4096),
        ({"text": "<b>" + "x" * 4096 + "</b>", "parse_mode": "HTML"}, 4096),
        ({"text": r"\." * 4096, "parse_mode": "MarkdownV2"}, 4096),
    ],
)
def test_4096_units_are_counted_after_entity_parsing(fields: dict[str, object], length: int) -> None:
    text, _ = formatted(Parameters(fields))
    assert units(text) == length


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "😀" * 2048 + "x"}, "message is too long"),
        ({"text": ""}, "message text is empty"),
        ({"text": " \n"}, "message text is empty"),
        ({"text": "<b></b>", "parse_mode": "html"}, "message text is empty"),
        ({"text": "x", "parse_mode": "Markdown"}, "unsupported parse_mode"),
        ({"text": "x", "parse_mode": "bbcode"}, "unsupported parse_mode"),
    ],
)
def test_texts_that_are_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        formatted(Parameters(fields))
    assert refused.value.description == f"Bad Request: {reason}"


def test_a_draft_may_be_empty() -> None:
    assert formatted(Parameters({}), empty_allowed=True) == ("", ())
