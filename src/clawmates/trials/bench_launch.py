"""How soon a bot lives that somebody launches in a browser: a real hosted platform, real containers, one by one.

The clock runs from the request that launches, with everything sealed in it, until the bot's page says *live*: the same
requests that the page's scripts make, and the same stream of events. What a person does before that is not in it. The
walk of a newcomer, page by page with Chromium, is measured apart: that is the tests' own program.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
import time
from contextlib import asynccontextmanager
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import httpx2

from clawmates.base.secret import Secret
from clawmates.base.tls import client_context
from clawmates.trials.hosted import free_port, hosted, sign_in_link, terminal
from clawmates.trials.measure import NoFigureError
from clawmates.trials.throwaway import CHECKOUT, Bot, throwaway
from clawmates.wire.desired import Access
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.people import People, dump
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Binding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from clawmates.trials.throwaway import Throwaway

LAUNCHES = 20
LIVE_SECONDS = 60.0
WALK_SECONDS = 300.0
_SEAL = re.compile(r'data-seal="([^"]*)"')
_VERSION = re.compile(r'name="version" value="(\d+)"')


async def figures() -> dict[str, float]:
    """``create_live_s_p95`` and what goes with it, in seconds."""
    with terminal() as (handed, screen):
        async with (
            throwaway(settings=hosted(free_port()), terminal=handed) as trial,
            browser_of(trial, "ada@example.org", screen) as browser,
        ):
            await launch(trial, browser, 0)  # node has introduced itself to control by then
            taken = [await launch(trial, browser, number) for number in range(1, LAUNCHES + 1)]
    return {
        "create_live_s_p50": median(taken),
        "create_live_s_p95": quantiles(taken, n=20)[-1],
        "newcomer_s": await _newcomer(),
    }


@asynccontextmanager
async def browser_of(trial: Throwaway, email: str, screen: int) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in which somebody has just signed in; ``screen`` is the terminal that shows the link."""
    tls, origin = client_context(authority=trial.state.authority), trial.platform.settings.control.origin
    async with httpx2.AsyncClient(
        verify=tls, base_url=origin, headers={"Origin": origin}, trust_env=False, timeout=LIVE_SECONDS
    ) as browser:
        link = await sign_in_link(trial, email, screen)
        await send(browser, "/enter", {"code": link.partition("#")[2]})
        yield browser


async def launch(trial: Throwaway, browser: httpx2.AsyncClient, number: int) -> float:
    """Seconds until one more bot of whoever is signed in is live. Raises :class:`NoFigureError`."""
    bot = Bot.invent(f"launched-{number}", ChannelKind.TELEGRAM)
    await trial.introduce(bot, trial.model)
    setup = await send(browser, "/bots/new", {"name": bot.name, "provider": bot.provider})
    form = {"name": bot.name, "model": trial.model, "access": Access.OPEN.value}
    leads = await send(browser, setup, form | {"version": _found(_VERSION, (await browser.get(setup)).text)})
    told = json.loads(html.unescape(_found(_SEAL, (await browser.get(leads)).text)))
    call = _sealed(told, bot)
    began = time.perf_counter()
    async with asyncio.timeout(LIVE_SECONDS):
        launched = await browser.post(f"/call{leads}", json=call)
        if launched.status_code != httpx2.codes.OK:
            raise NoFigureError(f"a launch was answered with {launched.status_code}")
        await _until_live(browser, launched.json()["next"])
    return time.perf_counter() - began


async def _until_live(browser: httpx2.AsyncClient, page: str) -> None:
    """Opens a bot's page and follows its events. Raises :class:`NoFigureError`."""
    await browser.get(page)
    async with browser.stream("GET", f"{page}/live") as events:
        async for line in events.aiter_lines():
            if line.startswith("data: ") and json.loads(line.removeprefix("data: ")).get("kind") == "live":
                return
    raise NoFigureError("the events of a bot's page have ended before it was live")


async def send(browser: httpx2.AsyncClient, target: str, form: Mapping[str, str]) -> str:
    """A form; where it leads. Raises :class:`NoFigureError` when it leads nowhere."""
    answer = await browser.post(target, data=form)
    if answer.status_code != httpx2.codes.SEE_OTHER:
        raise NoFigureError(f"a form was answered with {answer.status_code}")
    return answer.headers["location"]


def _found(wanted: re.Pattern[str], page: str) -> str:
    found = wanted.search(page)
    if found is None:
        raise NoFigureError("a page does not hold what its script needs")
    return found[1]


def _sealed(told: dict[str, Any], bot: Bot) -> dict[str, Any]:
    """The call of the page's script, from what the page tells it."""
    secrets = {
        ItemName.CHANNEL_TOKEN: bot.token,
        ItemName.PROVIDER_KEY: bot.key,
        ItemName.PROMPT: "You are helpful.",
        ItemName.PEOPLE: dump(People()).reveal(),
    }
    items = []
    for name, text in secrets.items():
        about = told["items"][name.value]
        binding = Binding(
            key_id=told["key_id"],
            region=told["region"],
            tenant=told["tenant"],
            bot=told["bot"],
            name=name,
            version=about["version"],
            hosts=tuple(about["hosts"]),
        )
        blob = seal(told["public"], binding, Secret(text))
        about = {"version": about["version"], "hosts": about["hosts"], "key_id": told["key_id"]}
        items.append(about | {"name": name.value, "sealed": blob.sealed})
    return {"version": told["version"], "items": items}


async def _newcomer() -> float:
    """Seconds of the walk in Chromium, from the first page to *live*, without anybody's thinking or typing."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.browser.newcomer", cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WALK_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise NoFigureError("the newcomer's walk does not end") from None
    try:
        return float(said)
    except ValueError:
        raise NoFigureError(f"the newcomer's walk ended with {process.returncode}") from None
