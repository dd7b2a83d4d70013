"""A person who launches a bot in a browser without a screen: forms as they are, secrets sealed as the script does."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.support import releases
from tests.support.browser import served
from tests.support.control import NOON, Counted, Place, a_node, a_place, signed_in
from tests.support.vault import VAULT_NAMES, House, Serving, furnished, within

from clawmates.base.secret import Secret
from clawmates.base.x509 import Names
from clawmates.control.bots import errands
from clawmates.control.outbox.worker import Worker
from clawmates.control.rooms import ROOMS
from clawmates.wire.names import ItemName
from clawmates.wire.people import People, dump
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Binding
from clawmates.wire.vault_client import VaultClient

REGION = "eu-test"
TOKEN, KEY, PROMPT = "424242:AAcanary-token-0123456789abcdefgh", "sk-canary-key-5b1f", "canary: speak like a pirate"
SECRETS = {
    ItemName.CHANNEL_TOKEN: TOKEN,
    ItemName.PROVIDER_KEY: KEY,
    ItemName.PROMPT: PROMPT,
    ItemName.PEOPLE: dump(People()).reveal(),
}


@dataclass
class Bench:
    """A control with a node's row and a vault that really serves."""

    place: Place
    house: House
    vault: Serving

    @property
    def worker(self) -> Worker:
        context = self.place.context
        return Worker(
            database=context.database, clock=context.clock, random=Counted(), handlers=errands.handlers(context)
        )


@asynccontextmanager
async def a_bench(
    folder: Path, *, tls: bool = False, vault_of: Callable[[House], AbstractAsyncContextManager[Serving]] = within
) -> AsyncIterator[Bench]:
    """``tls``: its pages are really served, for a browser with a screen."""
    with furnished() as house:
        house.configure(region=REGION)
        house.certify("vault", Names(dns=VAULT_NAMES.dns, uri=(f"clawmates://{REGION}/vault/vault",)))
        async with vault_of(house) as vault:
            make = served if tls else a_place
            # Read once, as control reads its own.
            known = house.tls(house.certify("control", Names(uri=(f"clawmates://{REGION}/control/control",))))

            def connect() -> VaultClient:
                return VaultClient("127.0.0.1", vault.port, known)

            async with make(folder, *ROOMS, release=releases.release(), vault=connect) as place:
                async with place.database.writing() as session:
                    session.add(a_node(seen_at=NOON))
                yield Bench(place, house, vault)


def about(page: httpx2.Response) -> dict[str, Any]:
    """What the page tells its script."""
    found = re.search(r'data-seal="([^"]*)"', page.text)
    assert found is not None, page.text
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


def sealed(told: dict[str, Any], secrets: dict[ItemName, str], **changes: Any) -> dict[str, Any]:
    """The call that the script would make; ``changes`` are of what each item is bound to."""
    items = []
    for name, text in secrets.items():
        item = told["items"][name.value]
        bound = {"key_id": told["key_id"], "region": told["region"], "tenant": told["tenant"], "bot": told["bot"]}
        bound |= {"version": item["version"], "hosts": tuple(item["hosts"])} | changes
        binding = Binding(name=name, **bound)
        blob = seal(told["public"], binding, Secret(text))
        items.append(
            {
                "name": name.value,
                "version": item["version"],
                "key_id": told["key_id"],
                "hosts": item["hosts"],
                "sealed": blob.sealed,
            }
        )
    return {"version": told["version"], "items": items}


async def draft(browser: httpx2.AsyncClient, **fields: str) -> str:
    """A draft up to its last step; its id."""
    made = await browser.post("/bots/new", data={"name": "Pirate", "provider": "openai"} | fields)
    assert made.status_code == 303, made.text
    bot = made.headers["location"].split("/")[2]
    page = await browser.get(f"/bots/{bot}/setup")
    model = re.search(r'<option value="([^"]+)"', page.text)
    assert model is not None
    form = {"version": version(page), "model": model[1], "access": "paired", "temperature": ""}
    taken = await browser.post(f"/bots/{bot}/setup", data=form)
    assert taken.headers.get("location") == f"/bots/{bot}/seal", taken.text
    return bot


def version(page: httpx2.Response) -> str:
    found = re.search(r'name="version" value="(\d+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def launch(browser: httpx2.AsyncClient, bot: str) -> httpx2.Response:
    told = about(await browser.get(f"/bots/{bot}/seal"))
    return await browser.post(f"/call/bots/{bot}/seal", json=sealed(told, SECRETS))


async def press(browser: httpx2.AsyncClient, bot: str, what: str) -> httpx2.Response:
    """A button of the bot's page."""
    return await browser.post(
        f"/bots/{bot}/{what}", data={"version": version(await browser.get(f"/bots/{bot}/delete"))}
    )


__all__ = ["a_bench", "about", "draft", "launch", "press", "sealed", "signed_in", "version"]
