from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode, decode_json, encode_json


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    number: int


@dataclass(frozen=True)
class Outer:
    name: str
    colour: Colour
    inner: tuple[Inner, ...] = ()
    share: float = 0.5
    maybe: int | None = None
    by_colour: Mapping[Colour, int] = field(default_factory=dict)
    key: Secret[str] | None = None
    on: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a name is needed")


def test_a_whole_document() -> None:
    got = decode_json(
        Outer,
        b'{"name":"n","colour":"red","inner":[{"number":1}],"share":1,"maybe":null,"by_colour":{"blue":2},"key":"k","on":true}',
    )
    assert (got.inner, got.share, got.by_colour, got.on) == ((Inner(1),), 1.0, {Colour.BLUE: 2}, True)
    assert got.key == Secret("k")


def test_there_and_back() -> None:
    value = Outer("n", Colour.BLUE, (Inner(3),), by_colour={Colour.RED: 1})
    assert decode_json(Outer, encode_json(value)) == value


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"{", "document: not valid JSON"),
        (b"[" * 100_000, "document: not valid JSON"),
        (b"[]", "document: expected an object"),
        (b'{"colour":"red"}', "name: is missing"),
        (b'{"name":1,"colour":"red"}', "name: expected a string"),
        (b'{"name":"n","colour":"green"}', "colour: expected one of: red, blue"),
        (b'{"name":"n","colour":"red","inner":[{"number":true}]}', "inner[0].number: expected a whole number"),
        (b'{"name":"n","colour":"red","inner":{}}', "inner: expected a list"),
        (b'{"name":"n","colour":"red","share":null}', "share: expected a number"),
        (b'{"name":"n","colour":"red","by_colour":[]}', "by_colour: expected an object"),
        (b'{"name":"n","colour":"red","extra":1}', "document: unknown key 'extra'"),
        (b'{"name":"","colour":"red"}', "document: a name is needed"),
    ],
)
def test_anything_else_is_refused_by_place(document: bytes, problem: str) -> None:
    with pytest.raises(ShapeError) as error:
        decode_json(Outer, document)
    assert str(error.value) == problem


def test_the_value_that_was_found_is_never_in_the_text() -> None:
    for document in (
        b'{"name":"n","colour":"hunter2"}',
        b'{"hunter2 hunter2":1}',
        b'{"name":["hunter2"],"colour":"red"}',
    ):
        with pytest.raises(ShapeError) as error:
            decode_json(Outer, document)
        assert "hunter2" not in str(error.value)
        assert error.value.__cause__ is None


def test_a_large_document_is_not_even_parsed() -> None:
    with pytest.raises(ShapeError, match="larger than 10 bytes"):
        decode_json(Outer, b" " * 11, limit=10)


def test_a_type_that_no_document_can_hold_is_a_programming_error() -> None:
    with pytest.raises(TypeError):
        decode(set, [])
