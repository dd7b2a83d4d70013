from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.control.bots.minds import Choice, Minds, Place, chosen, needed
from clawmates.wire.desired import Fallback
from clawmates.wire.names import ItemName

PROVIDERS, MODELS = st.sampled_from(["openai", "anthropic", "google"]), st.sampled_from(["m1", "m2"])
CHOICES = st.one_of(
    st.builds(Choice, place=st.just(Place.OWN), provider=PROVIDERS, model=MODELS, firm=st.booleans()),
    st.builds(Choice, place=st.just(Place.SPARE), provider=PROVIDERS, model=MODELS, firm=st.booleans()),
    st.just(Choice(place=Place.SPARE)),
)
START = Minds(provider="openai", model="m1")
SPARE = Fallback(provider="anthropic", model="m1")


def choice(place: Place, provider: str = "", model: str = "m1", *, firm: bool = True) -> Choice:
    return Choice(place=place, provider=provider, model=model if provider else "", firm=firm)


@given(st.lists(CHOICES, max_size=8))
def test_whatever_is_chosen_in_whatever_order_each_who_answers_has_a_key(choices: list[Choice]) -> None:
    """The keys that were sealed are followed beside: whose is the newest of each name."""
    minds, keys = START, {ItemName.PROVIDER_KEY: "openai"}
    for one in choices:
        after = chosen(minds, one)
        fresh = one.provider and (one.provider != minds.of(one.place)[0] or not one.firm)
        if fresh and (one.place is Place.OWN or one.provider != minds.provider):
            keys[one.place.key] = one.provider
        minds = after
        assert keys[ItemName.PROVIDER_KEY] == minds.provider
        if ItemName.FALLBACK_KEY in needed(minds):
            assert minds.fallback is not None
            assert keys[ItemName.FALLBACK_KEY] == minds.fallback.provider
        assert minds.of(Place.SPARE) != minds.of(Place.OWN)


def test_each_place_is_changed_by_itself() -> None:
    both = Minds(provider="openai", model="m1", fallback=SPARE)
    assert chosen(START, choice(Place.SPARE, "anthropic")) == both
    assert chosen(both, choice(Place.SPARE)) == START
    assert chosen(both, choice(Place.OWN, "google")).fallback == SPARE
    assert chosen(both, choice(Place.OWN, "anthropic")) == Minds(provider="anthropic", model="m1")
    other = chosen(both, choice(Place.OWN, "anthropic", "m2"))
    assert (other.fallback, other.keyed_apart) == (SPARE, False)


def test_a_second_model_goes_with_the_key_that_it_was_asked_with() -> None:
    own = chosen(START, choice(Place.SPARE, "openai", "m2"))
    assert not own.keyed_apart
    assert chosen(own, choice(Place.OWN, "anthropic")).fallback is None
    assert chosen(own, choice(Place.OWN, "openai", "m2")).fallback is None, "nobody is asked twice"


def test_a_key_alone_says_whose_it_is_and_no_more() -> None:
    edited = Minds(provider="openai", model="m2", fallback=SPARE)
    assert chosen(edited, choice(Place.OWN, "openai", "m1", firm=False)) == edited
    assert chosen(edited, choice(Place.SPARE, "anthropic", "m2", firm=False)) == edited
    # Sealed for OpenAI while a change to Google was on its way: the last word counts, and has its own model.
    assert chosen(Minds(provider="google", model="g"), choice(Place.OWN, "openai", firm=False)) == START
    with pytest.raises(ValueError, match="somebody must answer"):
        Choice(place=Place.OWN)
