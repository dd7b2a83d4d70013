"""A configuration of OpenClaw as bots to be: one a Telegram account, and one a terminal for an agent that has none.

Whatever is not taken over is told, place by place. What is not sure to be meant as open, is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.selfhost.draft import HOTTEST, BotError
from clawmates.selfhost.naming import Names
from clawmates.selfhost.openclaw import losses
from clawmates.selfhost.openclaw.credentials import Credentials
from clawmates.selfhost.openclaw.people import whom
from clawmates.selfhost.openclaw.routes import Route, routes
from clawmates.selfhost.openclaw.words import APART, GATEWAY, HOME, NO_TOOLS, NOBODYS_TOOLS, PROMPT, RUNTIME, Lost
from clawmates.selfhost.wish import Wish
from clawmates.wire.desired import Fallback
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.people import dump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.selfhost.openclaw.section import Section

Files = Callable[[str], str | None]
"""The text of a file beside the configuration, by its path from there; ``None`` where there is none to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Bots to be, what of them could not be taken over, and credentials that lay there in the clear."""

    bots: tuple[Wish, ...]
    lost: tuple[Lost, ...] = ()
    loose: Mapping[str, Mapping[ItemName, Secret[str]]] = field(default_factory=dict)
    """By the bots' names; never among their secrets unless somebody asks for that (:func:`sealed`)."""

    def sealed(self, bot: Wish) -> Wish:
        """With the credentials that lay there, for those who want them in the vault."""
        return replace(bot, secrets={**self.loose.get(bot.name, {}), **bot.secrets})


def read(config: Section, files: Files) -> Arrived:
    """All bots in it. Raises :class:`BotError` where there is none."""
    found, names, credentials = routes(config), Names(), Credentials(config)
    bots, lost = [], list(found.lost)
    loose: dict[str, Mapping[ItemName, Secret[str]]] = {}
    for route in found.routes:
        name = names.give(route.name)
        wish, told = _bot(name, route, config, files, alone=len(found.agents) == 1)
        bots.append(wish)
        lost += told
        loose[name] = credentials.of(route, wish)
    if not bots:
        raise BotError("there is neither an agent nor a Telegram account in that configuration of OpenClaw.")
    _the_same(config)
    credentials.pass_over()
    lost += (Lost(place, losses.why(place)) for place in config.unasked())
    held = {name: secrets for name, secrets in loose.items() if secrets}
    return Arrived(bots=tuple(bots), lost=tuple(dict.fromkeys(lost)), loose=held)


def _bot(name: str, route: Route, config: Section, files: Files, *, alone: bool) -> tuple[Wish, list[Lost]]:
    agent, defaults = route.agent, config.inner("agents").inner("defaults")
    lost: list[Lost] = []
    provider, model, spare = _models(agent, defaults, lost)
    secrets: dict[ItemName, Secret[str]] = {}
    if prompt := _prompt(route, _workspace(route, defaults, alone=alone), files, lost):
        secrets[ItemName.PROMPT] = prompt
    access = None
    if route.account is not None:
        access, people = whom(route.account, lost)
        if people.people:
            secrets[ItemName.PEOPLE] = dump(people)
    params = [section.inner("params") for section in (agent, *_of_model(f"{provider}/{model}", agent, defaults))]
    temperature = next((one for each in params if (one := each.number("temperature")) is not None), None)
    most = next((one for each in params if (one := each.number("maxTokens")) is not None), None)
    if temperature is not None and not 0 <= temperature <= HOTTEST:
        temperature = None
        lost.append(Lost(agent.at("params"), "a temperature that does not lie between 0 and 2."))
    if most is not None and (most != int(most) or most < 1):
        most = None
        lost.append(Lost(agent.at("params"), "a length of answers that is no whole number of tokens."))
    return (
        Wish(
            name=name,
            channel=ChannelKind.TERMINAL if route.account is None else ChannelKind.TELEGRAM,
            provider=provider,
            model=model,
            fallback=spare,
            temperature=temperature,
            max_output_tokens=int(most) if most is not None else None,
            access=access,
            paused=route.paused,
            secrets=secrets,
        ),
        lost,
    )


def _models(agent: Section, defaults: Section, lost: list[Lost]) -> tuple[str | None, str | None, Fallback | None]:
    """Provider, model and fallback. An agent's own model brings its own fallbacks, or none."""
    aliases = {
        alias: one
        for one in defaults.inner("models").names()
        if (alias := defaults.inner("models").inner(one).text("alias")) is not None
    }
    where = agent if "model" in agent else defaults
    inner = where.inner("model")
    primary = where.text("model") or inner.text("primary")
    refs = [aliases.get(str(one), str(one)) for one in (primary or "", *(inner.listed("fallbacks") or ()))]
    pairs = [ref.partition("/")[::2] for ref in refs]
    if primary is not None and not all(pairs[0]):
        lost.append(Lost(where.at("model"), "no model written as PROVIDER/MODEL: choose one of this release."))
    spares = [pair for pair in pairs[1:] if all(pair) and pair != pairs[0]]
    if len(spares) > 1:
        lost.append(Lost(f"{inner.path}.fallbacks", "only the first: a bot here has one fallback."))
    first = Fallback(provider=spares[0][0], model=spares[0][1]) if spares else None
    return (*(pairs[0] if all(pairs[0]) else (None, None)), first)


def _of_model(model: str, agent: Section, defaults: Section) -> Iterator[Section]:
    """Where settings of that one model stand, the agent's own first."""
    for one in (agent, defaults):
        if model in one.inner("models").names():
            yield one.inner("models").inner(model)
    yield defaults


def _prompt(route: Route, workspace: str, files: Files, lost: list[Lost]) -> Secret[str] | None:
    for other, sentence in losses.FILES.items():
        if files(f"{workspace}/{other}"):
            lost.append(Lost(f"{route.name}: {other}", sentence))
    text = files(f"{workspace}/{PROMPT}")
    if text is None:
        lost.append(Lost(f"{route.name}: {PROMPT}", losses.NO_PROMPT))
    return Secret(text) if text else None


def _workspace(route: Route, defaults: Section, *, alone: bool) -> str:
    """Where an agent's files lie (its documentation, *Agent workspace*)."""
    own, base = route.agent.text("workspace"), defaults.text("workspace")
    if alone:
        return own or base or f"{HOME}/workspace"
    return own or (f"{base}/{route.agent_id}" if base else f"{HOME}/workspace-{route.agent_id}")


def _the_same(config: Section) -> None:
    """What is so here anyway, and what is nobody's loss."""
    agents = config.inner("agents")
    defaults = agents.inner("defaults")
    config.inner("session").is_ours("dmScope", APART)
    for name, value in GATEWAY.items():
        config.inner("gateway").is_ours(name, value)
    config.is_ours("tools", NOBODYS_TOOLS)
    defaults.inner("heartbeat").is_ours("every", "0m")
    each = [agents.inner("entries").inner(one) for one in agents.inner("entries").names()]
    for section in (config, defaults, *each, *agents.rows("list")):
        section.is_ours("tools", NO_TOOLS)
        section.is_ours("skills", [])
        # Prompts reach the model whole here.
        section.pass_over("bootstrapMaxChars", "bootstrapTotalMaxChars")
    for model, settings in RUNTIME.items():
        defaults.inner("models").is_ours(model, settings)
    agents.pass_over("ownership")
    defaults.pass_over("skipBootstrap")
    config.pass_over("$schema", "meta", "wizard")
