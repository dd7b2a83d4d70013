"""What a self-hoster takes away: their bots as they are set up, prompts and people. No token, no key of any kind."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from clawmates.base.clock import stamp
from clawmates.base.shape import encode
from clawmates.inventory.datum import Form, Store
from clawmates.inventory.packing import ABOUT_FILE, DOCUMENT, FORMAT, SCHEMA_FILE, TEXT, Package, Shape, file_of, schema
from clawmates.inventory.whole import INVENTORY, by_id
from clawmates.selfhost import bots, people
from clawmates.wire.desired import Access, DesiredState
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.people import dump

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from clawmates.wire.desired import BotSpec
    from clawmates.wire.vault_client import VaultClient

BOTS = by_id("selfhost-bots")
DOCUMENTS = {ItemName.PROMPT: by_id("system-prompt"), ItemName.PEOPLE: by_id("people")}
BOT: Mapping[str, Shape] = {
    "id": TEXT,
    "tenant": TEXT,
    "channel": {"enum": [one.value for one in ChannelKind]},
    "provider": TEXT,
    "model": TEXT,
    "items": {"type": "object", "additionalProperties": {"type": "integer"}},
    "limits": {"type": "object"},
    "max_output_tokens": {"type": ["integer", "null"]},
    "temperature": {"type": ["number", "null"]},
    "fallback": {"type": ["object", "null"]},
    "access": {"enum": [one.value for one in Access]},
    "pairings": {"type": "array", "maxItems": 0},
    "paused": {"type": "boolean"},
    "restarts": {"type": "integer"},
}
"""A bot as ``desired.json`` has it; hashes of pairing codes are left out, because a code outlives no move."""


def shapes() -> dict[str, Any]:
    """The schema that lies in every export."""
    documents = [(one, {"documents": DOCUMENT}) for one in DOCUMENTS.values()]
    return schema([(BOTS, {"bots": BOT}), *documents])


def exported() -> frozenset[str]:
    """The files that the inventory wants in it."""
    wanted = (one for one in INVENTORY if one.exported and (one.form is Form.SEALED or Store.FILE in one.stores))
    return frozenset(file_of(one) for one in wanted)


async def export(desired: DesiredState, region: str, vault: VaultClient, now: datetime) -> bytes:
    """The zip. Documents are opened with keys made for this one reading. Raises the client's errors."""
    package = Package(now)
    package.add(ABOUT_FILE, {"format": FORMAT, "made": stamp(now), "software": f"clawmates {version('clawmates')}"})
    package.add(SCHEMA_FILE, shapes())
    package.add(file_of(BOTS), {"bots": [encode(replace(bot, pairings=())) for bot in desired.bots]})
    for name, datum in DOCUMENTS.items():
        found = [await _document(bot, name, region, vault) for bot in desired.bots if name in bot.items]
        with package.open(file_of(datum)) as stream:
            stream.write(json.dumps({"documents": found}, ensure_ascii=False, indent=1).encode() + b"\n")
    return b"".join(package.close())


async def _document(bot: BotSpec, name: ItemName, region: str, vault: VaultClient) -> dict[str, object]:
    if name is ItemName.PEOPLE:
        text = dump(await people.show(bot, vault))
    else:
        text = await bots.read_document(bot, name, region, vault)
    return {"bot": bot.id, "version": bot.items[name], "text": text.reveal()}
