from __future__ import annotations

from hashlib import blake2b

import pytest

from clawmates.base.secret import Secret
from clawmates.mate.credentials import Credentials
from clawmates.mate.errors import BootError
from clawmates.wire.codes import Code
from clawmates.wire.door import TurnBegin
from clawmates.wire.names import ItemName
from clawmates.wire.vault import OpenItem, Release


def held(version: int = 1) -> Credentials:
    credentials = Credentials()
    credentials.take(
        Release(
            items=(
                OpenItem(
                    name=ItemName.PROVIDER_KEY,
                    version=version,
                    hosts=("api.openai.com",),
                    value=Secret(f"key-{version}"),
                ),
            )
        )
    )
    return credentials


def test_a_key_goes_to_the_host_it_is_bound_to() -> None:
    assert held().for_host(ItemName.PROVIDER_KEY, "api.openai.com") == "key-1"


@pytest.mark.parametrize("host", ["evil.example", "api.openai.com.evil.example", "openai.com", ""])
def test_and_to_no_other(host: str) -> None:
    with pytest.raises(BootError) as error:
        held().for_host(ItemName.PROVIDER_KEY, host)
    assert error.value.code is Code.HOST_NOT_ALLOWED
    assert "key-1" not in str(error.value)


def test_what_is_not_there_is_a_code() -> None:
    with pytest.raises(BootError) as error:
        held().for_host(ItemName.CHANNEL_TOKEN, "api.telegram.org")
    assert error.value.code is Code.ITEM_MISSING


def test_a_newer_version_replaces_the_older() -> None:
    credentials = held()
    credentials.take(
        Release(
            items=(OpenItem(name=ItemName.PROVIDER_KEY, version=2, hosts=("api.openai.com",), value=Secret("new")),)
        )
    )
    assert credentials.for_host(ItemName.PROVIDER_KEY, "api.openai.com") == "new"
    assert credentials.versions == {ItemName.PROVIDER_KEY: 2}
    assert "new" not in repr(credentials)


def of_a_bot(token: str) -> Credentials:
    credentials = Credentials()
    item = OpenItem(name=ItemName.CHANNEL_TOKEN, version=1, hosts=("api.telegram.org",), value=Secret(token))
    credentials.take(Release(items=(item,)))
    return credentials


def test_a_chat_has_the_same_name_in_the_next_life_and_tells_nobody_whose_it_is() -> None:
    name = of_a_bot("one").pseudonym("4711")
    assert name == of_a_bot("one").pseudonym("4711")
    assert name not in {of_a_bot("one").pseudonym("4712"), of_a_bot("two").pseudonym("4711")}
    assert "4711" not in name
    assert name != blake2b(b"4711", digest_size=16).hexdigest(), "who does not hold the token cannot try numbers"
    assert len(TurnBegin(turn="1", chat=name).chat) == 32


def test_without_a_credential_of_the_channel_a_chat_has_no_name() -> None:
    assert held().pseudonym("4711") == ""
