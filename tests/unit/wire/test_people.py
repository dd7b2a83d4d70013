from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError
from clawmates.wire.people import MOST_PEOPLE, MOST_SPENT, MOST_TOLD, People, PeopleFullError, dump, load
from clawmates.wire.vault import MAX_ITEM_BYTES

NUMBERS = st.from_regex(r"[1-9][0-9]{0,19}", fullmatch=True)


@given(st.lists(NUMBERS, max_size=20), st.lists(st.text(max_size=64), max_size=MOST_SPENT), st.text(max_size=50))
def test_what_is_written_is_read(people: list[str], spent: list[str], told: str) -> None:
    one = People(spent=tuple(spent), told={"model": told}).admit(*people, language="de")
    try:
        text = dump(one)
    except UnicodeEncodeError:  # half a character, which no state of ours holds
        return
    assert load(text) == one


@given(st.text())
def test_whatever_is_read_is_a_list_or_refused_and_never_crashes(text: str) -> None:
    with suppress(ShapeError):
        assert load(Secret(text)).format == 1


def test_a_refusal_quotes_nothing() -> None:
    for text in ('{"people": ["424242x"]}', '{"424242": 1}', '{"owner": 424242}', "424242"):
        with pytest.raises(ShapeError) as error:
            load(Secret(text))
        assert "424242" not in str(error.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.just("7"),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(People.__slots__)) | st.text(), inner),
    )
)
def test_any_json_is_a_list_or_refused(value: object) -> None:
    try:
        people = load(Secret(json.dumps(value)))
    except ShapeError:
        return
    assert people.format == 1
    assert all(person.isdecimal() for person in people.people)
    assert not people.owner or people.owner in people.people


@pytest.mark.parametrize(
    "bad",
    [
        {"format": 2},
        {"people": ["007"]},
        {"people": ["@ada"]},
        {"people": ["1" * 21]},
        {"people": [7]},
        {"people": ["\u0661"]},
        {"owner": "7"},
        {"language": "x" * 41},
        {"more": 1},
        {"people": [str(number) for number in range(1, MOST_PEOPLE + 2)]},
        {"spent": ["x"] * (MOST_SPENT + 1)},
        {"told": {str(number): "" for number in range(MOST_TOLD + 1)}},
        [],
    ],
)
def test_what_is_no_list_of_people_admits_nobody(bad: object) -> None:
    with pytest.raises(ShapeError):
        load(Secret(json.dumps(bad)))


def test_the_first_is_the_owner_and_the_next_succeeds_one_who_leaves() -> None:
    one = People().admit("7", language="de").admit("8", language="en").admit("8")
    assert (one.owner, one.language, one.people) == ("7", "de", ("7", "8"))
    one = replace(one, told={"model": "m"}).remove("8", "9")
    assert (one.owner, one.told) == ("7", {"model": "m"})
    one = one.admit("9").remove("7")
    assert (one.owner, one.language, one.people, one.told) == ("", "", ("9",), {})
    assert one.admit("5", language="fr").owner == "5"
    assert People().admit() == People()


def test_the_largest_list_fits_the_vault_and_one_more_does_not_come_in() -> None:
    everybody = [str(10**19 + number) for number in range(MOST_PEOPLE)]
    full = People(language="x" * 40, told={f"{n:040}": "v" * 200 for n in range(MOST_TOLD)}).admit(*everybody)
    for number in range(2 * MOST_SPENT):
        full = full.spend(f"{number:064x}")
    assert full.spent[-1] == f"{2 * MOST_SPENT - 1:064x}"
    assert len(dump(full).reveal().encode()) <= MAX_ITEM_BYTES
    assert full.admit(everybody[0]) == full
    with pytest.raises(PeopleFullError):
        full.admit("5")


def test_a_document_does_not_print() -> None:
    assert "77" not in repr(dump(People().admit("77")))
