"""Who may talk to a bot: what its owner sees and changes, beside a mate that admits people at the same time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError
from clawmates.wire import vault_calls
from clawmates.wire.names import ItemName
from clawmates.wire.people import MOST_PEOPLE, PERSON, People, PeopleFullError, dump, load
from clawmates.wire.reading import Reader
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Binding, IntakeKey, VaultRefusal
from clawmates.wire.vault_client import VaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clawmates.base.secret import Secret
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.vault_client import VaultClient

MOST_TRIES = 10
"""How often an edit gives way to a mate's own, which keeps ten a minute at most."""


class PeopleError(Exception):
    """The list of people cannot be read or changed; the text says why, and names nobody."""


async def ensure(bot: str, tenant: str, vault: VaultClient) -> int:
    """The version of the bot's list, which is begun where there is none: so that its tickets can name it.

    Raises the client's errors.
    """
    key = await vault.intake_key()
    found = await _read(bot, tenant, key, vault)
    if found is not None:
        return found[0]
    await _put(bot, tenant, key, 1, People(), vault)
    return 1


async def show(spec: BotSpec, vault: VaultClient) -> People:
    """The newest list, empty where there is none. Raises :class:`PeopleError` and the client's errors."""
    found = await _read(spec.id, spec.tenant, await vault.intake_key(), vault)
    return _load(found[1]) if found is not None else People()


async def change(
    spec: BotSpec, vault: VaultClient, edit: Callable[[People], People], *, afresh: bool = False
) -> tuple[BotSpec, People]:
    """Edits the newest list; where the mate was quicker, edits its newer one. Returns the bot as it should run then.

    ``afresh`` begins with an empty list, whatever there is. Raises :class:`PeopleError` and the client's errors.
    """
    for _ in range(MOST_TRIES):
        key = await vault.intake_key()
        found = await _read(spec.id, spec.tenant, key, vault)
        version = found[0] + 1 if found is not None else 1
        newest = People() if found is None or afresh else _load(found[1])
        try:
            edited = edit(newest)
        except PeopleFullError:
            raise PeopleError(f"more than {MOST_PEOPLE} people do not fit the list: remove some first.") from None
        try:
            await _put(spec.id, spec.tenant, key, version, edited, vault)
        except VaultError as error:
            if error.refusal is not VaultRefusal.VERSION_EXISTS:
                raise
        else:
            return replace(spec, items={**spec.items, ItemName.PEOPLE: version}), edited
    raise PeopleError("the bot itself keeps changing its list: try again in a minute.")


def check(persons: Iterable[str]) -> tuple[str, ...]:
    """The ids themselves; raises :class:`PeopleError`, which does not repeat them."""
    given = tuple(person.strip() for person in persons)
    if not all(PERSON.fullmatch(person) for person in given):
        raise PeopleError("that is no Telegram user id: it is a number, as bots like @userinfobot tell it.")
    return given


async def _read(bot: str, tenant: str, key: IntakeKey, vault: VaultClient) -> tuple[int, Secret[str]] | None:
    reader = Reader(region=key.region, tenant=tenant, bot=bot, name=ItemName.PEOPLE)
    try:
        document = await vault_calls.read_back(vault, bot, ItemName.PEOPLE, reader.request)
    except VaultError as error:
        if error.refusal is VaultRefusal.UNKNOWN_ITEM:
            return None
        raise
    return document.version, reader.open(document)


async def _put(bot: str, tenant: str, key: IntakeKey, version: int, people: People, vault: VaultClient) -> None:
    binding = Binding(
        key_id=key.key_id,
        region=key.region,
        tenant=tenant,
        bot=bot,
        name=ItemName.PEOPLE,
        version=version,
        hosts=(),
    )
    await vault.put(bot, ItemName.PEOPLE, version, seal(key.public, binding, dump(people)))


def _load(text: Secret[str]) -> People:
    try:
        return load(text)
    except ShapeError:
        raise PeopleError("the list of people cannot be read: begin a new one with --clear.") from None
