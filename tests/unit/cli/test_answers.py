from __future__ import annotations

from importlib import import_module

import pytest

from clawmates.cli.answers import _KNOWN, _REMEDY, _VAULT_ERROR, Exit, as_command_error
from clawmates.selfhost.draft import NoSuchBotError
from clawmates.wire.vault import VaultRefusal


@pytest.mark.parametrize("name", [_VAULT_ERROR, *_KNOWN])
def test_every_error_that_is_known_by_name_exists(name: str) -> None:
    module, _, word = name.rpartition(".")
    assert issubclass(getattr(import_module(module), word), Exception)


def test_every_refusal_with_a_remedy_is_one() -> None:
    assert set(_REMEDY) <= {one.value for one in VaultRefusal}


def test_the_nearest_name_counts_and_what_has_none_stays_what_it_is() -> None:
    class StrangeError(NoSuchBotError):
        """Nobody knows it."""

    known = as_command_error(StrangeError())
    assert known is not None
    assert (known.code, str(known), known.exit_code) == ("bad-bot", NoSuchBotError.__doc__, Exit.USAGE)
    assert as_command_error(ValueError("what was said")) is None
