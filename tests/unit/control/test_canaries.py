"""Every field of every form and call carries a canary, and nothing keeps, says or shows one that it should not.

What counts as secret: all but what :mod:`tests.support.walk` lists by name, and what is sealed in the browser, of which
control gets ciphertext. Looked through, in every encoding that ``prove`` knows: each answer with its headers, the pages
of somebody else, all that the processes said, the vault's folder, and the database's bytes: SQLite's file with journal
and free pages, PostgreSQL's whole data directory with its write-ahead log, and its own log. Control has no metrics.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from sqlalchemy import update
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support import walk
from tests.support.authenticator import Authenticator
from tests.support.control import Counted, database_bytes, signed_in
from tests.support.launching import Bench, a_bench, about, draft, press, sealed
from tests.support.vault import running
from tests.support.walk import Canaries, Walk, Watched, planted, routes

from clawmates.base.shape import encode
from clawmates.control import frame
from clawmates.control.accounts import entry, links, sessions
from clawmates.control.accounts.tables import Account, Session
from clawmates.control.bots import secrets
from clawmates.control.bots.tables import Bot
from clawmates.control.jobs import handlers
from clawmates.control.nodes.api import build_nodes
from clawmates.control.outbox.worker import Worker
from clawmates.control.pages import language
from clawmates.control.rooms import ROOMS
from clawmates.control.web import build_web
from clawmates.proofs.canary import Canary, mint
from clawmates.wire.control import BotReport, BotTrouble, Count, Report
from clawmates.wire.names import ItemName, Role, ServiceName
from clawmates.wire.notary import Notary
from clawmates.wire.people import People, dump
from clawmates.wire.reading import Reader
from clawmates.wire.status import BotState

EVE = "eve@example.org"
STREAM = "/bots/{bot}/live"
NODES = frozenset({("GET", "/v1/desired"), ("POST", "/v1/report")})


@dataclass
class Stage:
    """An account with one of everything, so that every form is on one of its pages."""

    bench: Bench
    browser: httpx2.AsyncClient
    living: str
    paused: str
    drafted: str
    canaries: Canaries = field(default_factory=Canaries)
    sealed: Canary = field(default_factory=mint)
    """In the token, key and prompt that were sealed."""
    ours: list[str] = field(default_factory=list)
    """Secrets that control made itself: cookies, codes."""

    async def enter(self) -> None:
        """Later, and again proved."""
        place = self.bench.place
        place.clock.forward(minutes=16)
        async with place.database.writing() as session:
            proof, now = sessions.proof_of(str(self.browser.cookies.get(sessions.COOKIE))), place.clock.now()
            # As sessions.prove does, in one statement that says whether it is still there: it is done for every field.
            proving = update(Session).where(Session.proof == proof).values(proved_at=now, seen_at=now)
            found = (await session.execute(proving.returning(Session.proof))).one_or_none()
        if found is None:
            await signed_in(place, self.browser)
            self.ours.append(str(self.browser.cookies.get(sessions.COOKIE)))

    async def worked(self) -> None:
        context = self.bench.place.context
        state = self.bench.house.state
        notary = Notary("eu-test", state.identity("control"), state.authority)
        errands = handlers(context, notary)
        worker = Worker(database=context.database, clock=context.clock, random=Counted(), handlers=errands)
        while await worker.round():
            pass

    async def version(self, action: str) -> str:
        async with self.bench.place.database.reading() as session:
            bot = await session.get(Bot, action.split("/")[2])
            return str(bot.version) if bot is not None else ""


@asynccontextmanager
async def a_stage(folder: Path) -> AsyncIterator[Stage]:
    async with a_bench(folder, vault_of=running) as bench:
        place = bench.place
        place.context = replace(place.context, random=os.urandom)
        async with place.browser() as browser, place.browser() as second:
            yield await furnished(bench, browser, second)


async def furnished(bench: Bench, browser: httpx2.AsyncClient, second: httpx2.AsyncClient) -> Stage:
    place = bench.place
    await signed_in(place, browser)
    await signed_in(place, second)
    made = [await draft(browser) for _ in range(3)]
    living, paused, drafted = made
    stage = Stage(bench, browser, living, paused, drafted)
    mark = stage.sealed.mark
    texts = {ItemName.CHANNEL_TOKEN: mark, ItemName.PROVIDER_KEY: mark, ItemName.PROMPT: mark}
    for bot in made[:2]:
        told = about(await browser.get(f"/bots/{bot}/seal"))
        launched = await walk.call(
            browser, f"/call/bots/{bot}/seal", sealed(told, texts | {ItemName.PEOPLE: dump(People()).reveal()})
        )
        assert launched.status_code == 200
    await stage.worked()
    await press(browser, made[1], "pause")
    code = re.search(r'<code class="code">([A-Z0-9-]+)</code>', (await press(browser, made[0], "pair")).text)
    assert code is not None
    key = Authenticator()
    assert (await walk.call(browser, "/call/passkeys/add/finish", await created(browser, key))).status_code == 200
    stage.ours += [code[1], code[1].replace("-", "")]
    return stage


async def options(browser: httpx2.AsyncClient, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = (await walk.call(browser, f"/call/passkeys/{kind}/begin", {})).json()
    return found


async def created(browser: httpx2.AsyncClient, key: Authenticator) -> dict[str, Any]:
    return key.create(await options(browser, "add"))


async def example_seal(stage: Stage) -> Any:
    told = about(await stage.browser.get(f"/bots/{stage.living}/fallback/anthropic"))
    choice = {"choice": told["choice"] | {"model": "second-test"}}
    return sealed(told, {ItemName.FALLBACK_KEY: stage.sealed.mark}) | choice


async def example_read(stage: Stage) -> Any:
    reader = Reader(region="eu-test", tenant="any", bot=stage.living, name=ItemName.PROMPT)
    return {"name": "prompt", "public": reader.request.public}


async def nothing(_stage: Stage) -> Any:
    return {}


def signing(kind: str) -> Callable[[Stage], Awaitable[Any]]:
    async def example(stage: Stage) -> Any:
        key = Authenticator(id=b"j" * 32)
        if kind == "add":
            return await created(stage.browser, key)
        return key.get(await options(stage.browser, kind))

    return example


CALLS: dict[str, Callable[[Stage], Awaitable[Any]]] = {
    "/call/bots/{bot}/seal": example_seal,
    "/call/bots/{bot}/read": example_read,
    **{f"/call/passkeys/{kind}/begin": nothing for kind in ("add", "sign-in", "prove")},
    **{f"/call/passkeys/{kind}/finish": signing(kind) for kind in ("add", "sign-in", "prove")},
}
"""An example of each call of our own scripts. Whoever adds a call adds one here."""


def known_routes(stage: Stage) -> set[walk.Route]:
    return routes(build_web(stage.bench.place.context, ROOMS))


def template_of(action: str, paths: set[str]) -> str:
    """The route that a form goes to; one without a variable first."""
    fits = [path for path in paths if re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", path), action)]
    return min(fits, key=lambda path: path.count("{"))


async def pages(stage: Stage, browser: httpx2.AsyncClient, of: str = "") -> AsyncIterator[tuple[str, httpx2.Response]]:
    """Every page there is, for each bot; or those below ``of``."""
    for route in sorted(known_routes(stage), key=lambda one: one.path):
        wanted = route.method == "GET" and route.path != STREAM and not route.path.startswith("/static/")
        if wanted and route.path.startswith(of):
            for bot in (stage.living, stage.paused, stage.drafted) if "{bot}" in route.path else ("",):
                here = route.path.replace("{bot}", bot).replace("{provider}", "openai")
                yield here, await browser.get(here)


async def all_forms(stage: Stage) -> dict[str, walk.HtmlForm]:
    """By route; what deletes or cancels comes last."""
    wanted = {one.path for one in known_routes(stage) if one.takes == "form"}
    met: dict[str, walk.HtmlForm] = {}
    for below in ("", "/account"):
        async for here, page in pages(stage, stage.browser, below):
            for form in walk.forms(page, here):
                met.setdefault(template_of(form.action, wanted), form)
        await stage.browser.post("/account/email", data={"email": "ada@new.example"})  # now it can be cancelled
    for moment in (stage.bench.place.clock.now(), None):  # there are forms for who has cancelled
        async with stage.bench.place.database.writing() as session:
            await session.execute(update(Account).values(cancelled_at=moment))
        for here in ("/account", "/account/cancel"):
            for form in walk.forms(await stage.browser.get(here), here):
                met.setdefault(template_of(form.action, wanted), form)
    async with stage.bench.place.browser() as stranger:  # who is signed in is led on from here
        for here in ("/sign-in", "/enter"):
            for form in walk.forms(await stranger.get(here), here):
                met.setdefault(template_of(form.action, wanted), form)
    assert set(met) == wanted, "a form that is on no page of the stage"
    return dict(sorted(met.items(), key=lambda one: (one[0] in LAST, one[0])))


LAST = ("/account/cancel", "/account/cancel/destroy", "/account/resume", "/bots/{bot}/delete")
"""Afterwards there is nothing left to walk."""


async def walk_form(stage: Stage, noted: Walk, form: walk.HtmlForm) -> None:
    Watched.read.clear()
    await stage.enter()
    await stage.browser.post(form.action, data={walk.STRAY: stage.canaries.secret.mark})
    for name in sorted(form.fields.keys() | Watched.read | {walk.STRAY}):
        for value in stage.canaries.values(name):
            await stage.enter()
            fields = dict(form.fields)
            if "version" in fields:
                fields["version"] = await stage.version(form.action)
            noted.judge(await stage.browser.post(form.action, data=fields | {name: value}), form.action, name)
    # Two of one name, and what is no form at all.
    for body in (f"a={quote(stage.canaries.secret.mark)}&a=1", stage.canaries.secret.mark):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        noted.judge(await stage.browser.post(form.action, content=body.encode(), headers=headers), form.action, "body")


async def walk_calls(stage: Stage, noted: Walk) -> None:
    assert {one.path for one in known_routes(stage) if one.takes == "call"} == set(CALLS)
    for path, example in CALLS.items():
        await stage.enter()
        for name, body in planted(await example(stage), stage.canaries):
            answer = await walk.call(stage.browser, path.replace("{bot}", stage.living), body)
            noted.judge(answer, path, name)


async def walk_addresses(stage: Stage, noted: Walk) -> None:
    """What stands in an address or a header. An address is its sender's own, and may come back to them."""
    again, secret = stage.canaries.again, stage.canaries.secret
    for route in known_routes(stage):
        await stage.enter()
        here = re.sub(r"\{[a-z]+\}", quote(again.mark, safe=""), route.path) + f"?{again.stem}={quote(again.mark)}"
        if route.path != STREAM:
            noted.judge(await stage.browser.request(route.method, here), route.path, "temperature")
    word = secret.stem
    headers = dict.fromkeys(("Referer", "X-Forwarded-For", "Accept-Language", "Origin", "Content-Type"), word)
    async with stage.bench.place.browser() as stranger:
        for name in (sessions.COOKIE, "__Host-language", "__Host-next"):
            stranger.cookies.set(name, word, domain="localhost.local")
        for method, here in (("GET", "/"), ("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/enter")):
            noted.judge(await stranger.request(method, here, headers=headers), here, "header")
        await sign_in(stage, noted, stranger)


async def sign_in(stage: Stage, noted: Walk, stranger: httpx2.AsyncClient) -> None:
    """By a real link, with a browser that calls itself so."""
    place = stage.bench.place
    async with place.database.writing() as session:
        code = await links.make(session, place.context, links.Purpose.SIGN_IN, EVE)
    stage.ours += [code, links.shown(code)]
    agent = f"Mozilla/5.0 (X11; Linux) {stage.canaries.secret.mark} Firefox/131.0".encode()
    answer = await stranger.post("/enter", data={"code": code}, headers={b"User-Agent": agent})
    assert answer.status_code == 303
    noted.judge(answer, "/enter", "header")


async def walk_nodes(stage: Stage, noted: Walk) -> None:
    app = build_nodes(stage.bench.place.context, lambda _name: False)
    met = {(method, one.path) for one in app.routes for method in one.methods - {"HEAD"}}  # type: ignore[attr-defined]
    assert met == NODES, "a call that nodes may make and that is not walked"
    report = Report(
        run="0" * 32,
        number=1,
        revision=1,
        capacity=10,
        release=f"sha256:{'0' * 64}",
        bots=(BotReport(bot=stage.living, state=BotState.LIVE, code="bad-token", username="pirate_bot"),),
        counts=(Count(bot=stage.living, day="2026-11-30", messages=1, tokens=1),),
        troubles=(BotTrouble(bot=stage.living, code="filtered"),),
    )
    transport = httpx2.ASGITransport(as_node(app), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="https://control", trust_env=False) as node:
        assert (await node.post("/v1/report", json=encode(report))).status_code == 204
        for name, body in planted(encode(report), stage.canaries):
            noted.judge(await node.post("/v1/report", json=body), "/v1/report", name)
        for value in stage.canaries.values("after"):
            noted.judge(await node.get("/v1/desired", params={"after": value}), "/v1/desired", "after")


def as_node(app: ASGIApp) -> ASGIApp:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = ServiceName("eu-test", Role.NODE, "node-1")
        await app(scope, receive, send)

    return known


async def look_at_pages(stage: Stage, noted: Walk) -> None:
    """Those of the owner, of somebody else, and of nobody."""
    async for here, page in pages(stage, stage.browser):
        noted.look(walk.whole(page), here, "secret", "again")
    async with stage.bench.place.browser() as eve, stage.bench.place.browser() as nobody:
        await signed_in(stage.bench.place, eve, EVE)
        for stranger in (eve, nobody):
            async for here, page in pages(stage, stranger):
                noted.look(walk.whole(page), f"{here} of somebody else", "secret", "again", "known")


async def look_at_the_rest(stage: Stage, noted: Walk, folder: Path, said: str) -> None:
    """All that is left when everything is done that was to be done."""
    await stage.worked()
    kept = database_bytes(folder)
    vault = b"".join(path.read_bytes() for path in stage.bench.house.state.root.rglob("*") if path.is_file())
    noted.look(kept, "database", "secret", "again")
    noted.look(vault, "vault", "secret", "again", "known")
    noted.look(said.encode(), "said", "secret", "again", "known")
    sealed_or_ours = (stage.sealed, *(Canary(one) for one in dict.fromkeys(stage.ours)))
    for where, raw in (("database", kept), ("vault", vault), ("said", said.encode())):
        noted.leaks += [f"{where}: sealed or ours, {how}" for how in walk.found(raw, *sealed_or_ours)]


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "dict", Watched, raising=False)


@pytest.mark.raw
async def test_no_secret_of_any_field_is_kept_said_or_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with a_stage(tmp_path) as stage:
        noted = Walk(stage.canaries)
        forms = await all_forms(stage)
        for path, form in forms.items():
            if path not in LAST:
                await walk_form(stage, noted, form)
        await walk_calls(stage, noted)
        await walk_addresses(stage, noted)
        await walk_nodes(stage, noted)
        await look_at_pages(stage, noted)
        await look_at_the_rest(stage, noted, tmp_path, "".join(capfd.readouterr()))
        assert stage.canaries.known.stem.encode() in database_bytes(tmp_path), "it would be found where it is kept"
        for path in LAST:
            await walk_form(stage, noted, forms[path])
    assert noted.leaks == []


def prints_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    read = links.read
    monkeypatch.setattr(links, "read", lambda text: sys.stderr.write(text) and read(text))


def leads_back_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "back_to", lambda address: f"/{address}")


def keeps_what_a_browser_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "browser_of", lambda agent: agent)


def takes_text_for_ciphertext(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_is_text", lambda _blob: False)


@pytest.mark.sqlite_alone
@pytest.mark.parametrize(
    ("weaken", "path", "where"),
    [
        (prints_a_code, "/enter", "said: secret"),
        (leads_back_anywhere, "/language", "/language back"),
        (keeps_what_a_browser_says, "", "database: secret"),
        (takes_text_for_ciphertext, "", "database: secret"),
    ],
)
async def test_a_build_that_leaks_one_is_found_out(
    weaken: Callable[[pytest.MonkeyPatch], None],
    path: str,
    where: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weaken(monkeypatch)
    async with a_stage(tmp_path) as stage:
        noted = Walk(stage.canaries)
        if path:
            await walk_form(stage, noted, (await all_forms(stage))[path])
        else:
            await walk_calls(stage, noted)
            await walk_addresses(stage, noted)
        await look_at_the_rest(stage, noted, tmp_path, "".join(capfd.readouterr()))
    assert any(where in leak for leak in noted.leaks), noted.leaks
