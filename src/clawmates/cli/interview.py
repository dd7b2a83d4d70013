"""The questions that make a bot, in their order. Nothing is written before the last one is answered."""

from __future__ import annotations

import locale
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.cli.dialogue import Back, Choice, Dialogue
from clawmates.selfhost.draft import (
    BotError,
    check,
    check_key,
    check_name,
    check_text,
    check_token,
    model_of,
    needs_key,
    provider_of,
)
from clawmates.selfhost.wish import Wish, fill
from clawmates.wire.desired import Access, BotSpec, Fallback
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.release import Release
from clawmates.wire.templates import templates

if TYPE_CHECKING:
    from clawmates.wire.release import Provider

CHANNELS = {
    ChannelKind.TELEGRAM: Choice("telegram", "Telegram", ("in the app you have; needs a bot token from @BotFather",)),
    ChannelKind.TERMINAL: Choice("terminal", "Terminal", ("here, with `clawmates chat`; needs no messenger",)),
}
PEOPLE = (
    Choice("paired", "Whom you let in", ("by a code, yourself first: scan it when the bot is live",)),
    Choice("list", "Whom you list", ("by number, with `clawmates bot people NAME --admit`",)),
    Choice("open", "Everybody who finds it", ("at your cost: give it a quota",)),
)
OWN, NONE, KEEP, OTHER_LANGUAGE = "own", "none", "keep", "language"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the questions need to know."""

    release: Release
    find: Callable[[str], BotSpec | None]
    """The bot of that name, as it is now."""
    language: str = "en"


@dataclass(slots=True)
class Interview:
    """Holds the talk. ``said`` was said beforehand and is not asked for; ``wish`` is what has been said by now."""

    dialogue: Dialogue
    facts: Facts
    said: Wish
    named: bool
    wish: Wish
    done: list[int] = field(default_factory=list)
    """The questions that were asked, by their places: the way back."""

    @property
    def before(self) -> BotSpec | None:
        """The bot that is there already under that name."""
        return self.facts.find(self.wish.name)

    @property
    def provider(self) -> Provider:
        """The one that was chosen."""
        return provider_of(self.facts.release, self.wish.provider or "")

    def hold(self) -> Wish:
        """Asks everything; raises ``click.Abort``."""
        steps = (
            self.name,
            self.channel,
            self.token,
            self.model_maker,
            self.model,
            self.key,
            self.spare_key,
            self.prompt,
            self.people,
            self.agree,
        )
        at = 0
        while at < len(steps):
            try:
                asked = steps[at]()
            except Back:
                if self.done:
                    at = self.done.pop()
                else:
                    self.dialogue.note("This is the first question; Ctrl-C ends it all.")
                continue
            if asked:
                self.done.append(at)
            at += 1
        return self.wish

    def name(self) -> bool:
        """What the bot is called on this host."""
        if self.named:
            return False
        self.dialogue.title("What shall the bot be called on this host?")
        self.dialogue.note("For your commands only, of a-z, 0-9 and '-'; in the messenger it has a name of its own.")
        name = self.dialogue.ask(check_name, self.wish.name)
        self.wish = replace(self.wish, name=name)
        if self.before is not None:
            self.dialogue.note(f"{name} is there already: Enter keeps what it has.")
        return True

    def channel(self) -> bool:
        """Where a person talks to it."""
        if self.said.channel is not None:
            return False
        self.dialogue.title("Where do you talk to it?")
        choices = [CHANNELS[one.kind] for one in self.facts.release.channels if one.kind in CHANNELS]
        present = self.wish.channel or (self.before.channel if self.before else ChannelKind.TELEGRAM)
        self.wish = replace(self.wish, channel=ChannelKind(self.dialogue.choose(choices, present.value)))
        return True

    def token(self) -> bool:
        """The messenger's token."""
        if self.wish.channel is not ChannelKind.TELEGRAM or ItemName.CHANNEL_TOKEN in self.said.secrets:
            return False
        self.dialogue.title("The bot's token")
        self.dialogue.note(
            "In Telegram, write /newbot to @BotFather (https://t.me/BotFather) and copy the line that looks like"
            " 123456789:AA… What you paste here is not shown."
        )
        return self._secret(ItemName.CHANNEL_TOKEN, check_token, same=self.wish.channel)

    def model_maker(self) -> bool:
        """The AI provider, beside what it keeps."""
        if self.said.provider is not None:
            provider_of(self.facts.release, self.said.provider)
            return False
        self.dialogue.title("Which AI answers?")
        self.dialogue.note("Whom you choose reads the conversation. What each of them keeps of it:")
        choices = [
            Choice(
                one.id,
                one.name,
                (one.keeps, f"Computes: {one.inference_region}. Its own words, read on {one.verified}:", one.source),
            )
            for one in self.facts.release.providers
        ]
        present = self.wish.provider or (self.before.provider if self.before else choices[0].key)
        chosen = self.dialogue.choose(choices, present)
        if chosen != self.wish.provider:
            self._forget(ItemName.PROVIDER_KEY)
            self.wish = replace(self.wish, provider=chosen, model=self.said.model)
        return True

    def model(self) -> bool:
        """One of its models."""
        if self.said.model is not None:
            model_of(self.provider, self.said.model)
            return False
        models = self.provider.models
        self.dialogue.title(f"Which model of {self.provider.name}?")
        present = self.wish.model or (self.before.model if self.before else "")
        known = present if self.provider.model(present) else models[0].id
        choices = [Choice(one.id, one.id, (f"reads up to {one.context_tokens:,} tokens",)) for one in models]
        self.wish = replace(self.wish, model=self.dialogue.choose(choices, known))
        if not needs_key(self.provider):
            self.dialogue.note(f"It must be there before the first message: `ollama pull {self.wish.model}`.")
        return True

    def key(self) -> bool:
        """The provider's key."""
        if not needs_key(self.provider) or ItemName.PROVIDER_KEY in self.said.secrets:
            return False
        self.dialogue.title(f"Your API key of {self.provider.name}")
        self.dialogue.note("It is not shown. It will be sealed to the vault at once, for this provider's hosts only.")
        whose = self.provider.id
        return self._secret(ItemName.PROVIDER_KEY, lambda key: check_key(key, whose), same=self.wish.provider)

    def spare_key(self) -> bool:
        """The key of a fallback that is another provider; only where one was named beforehand."""
        spare = self.wish.fallback
        if not isinstance(spare, Fallback) or spare.provider == self.wish.provider:
            return False
        provider = provider_of(self.facts.release, spare.provider)
        if not needs_key(provider) or ItemName.FALLBACK_KEY in self.said.secrets:
            return False
        self.dialogue.title(f"Your API key of {provider.name}, for when the bot's own model cannot answer")
        self.dialogue.note(
            "It is not shown, and sealed as the other. To do without: Ctrl-C, `clawmates bot add --fallback none`."
        )
        before = self.before if self.before is not None and ItemName.FALLBACK_KEY in self.before.items else None
        there = before is not None and before.fallback is not None and before.fallback.provider == spare.provider
        kept = there or ItemName.FALLBACK_KEY in self.wish.secrets
        given = self.dialogue.secret(lambda key: check_key(key, provider.id), kept=kept)
        if given is not None:
            self._keep(ItemName.FALLBACK_KEY, given)
        return True

    def prompt(self) -> bool:
        """Who the assistant is."""
        if ItemName.PROMPT in self.said.secrets:
            return False
        language = self.facts.language
        while True:
            self.dialogue.title("Who shall it be?")
            self.dialogue.note("Its system prompt, sealed like a key; `clawmates bot prompt NAME --edit` changes it.")
            chosen = self.dialogue.choose(self._prompts(language), KEEP if self._has(ItemName.PROMPT) else "everyday")
            if chosen == OTHER_LANGUAGE:
                language = "en" if language == "de" else "de"
                continue
            if chosen == KEEP:
                return True
            try:
                text = self._own_words() if chosen == OWN else _template(chosen, language)
            except Back:
                continue
            self._keep(ItemName.PROMPT, Secret(text))
            return True

    def people(self) -> bool:
        """Who may talk to it; at the terminal that is whoever may run the command."""
        if self.said.access is not None or self.wish.channel is not ChannelKind.TELEGRAM:
            return False
        self.dialogue.title("Who may talk to it?")
        self.dialogue.note("Anybody can find a bot in Telegram. A stranger gets one line from it and costs nothing.")
        present = self.wish.access or (self.before.access if self.before else Access.PAIRED)
        self.wish = replace(self.wish, access=Access(self.dialogue.choose(PEOPLE, present.value)))
        return True

    def agree(self) -> bool:
        """What was said, once more, before anything is done."""
        draft = fill(self.wish, self.before)
        try:
            check(draft, self.facts.release)
        except BotError as error:
            # An option of the command line does not fit an answer; without answers there is nothing to change here.
            if not self.done:
                raise
            self.dialogue.trouble(str(error))
            raise Back from None
        self.dialogue.title("This is what will be made")
        provider = provider_of(self.facts.release, draft.provider)
        sealed = [name.value for name in ItemName if name in draft.secrets]
        kept = [name.value for name in ItemName if name in draft.held and name not in draft.secrets]
        rows = [
            ("bot", draft.name),
            ("channel", CHANNELS[draft.channel].title),
            ("answers", f"{provider.name}, {draft.model}"),
            *([("people", _whom(draft.access))] if draft.access is not None else []),
            ("sealed", ", ".join(sealed) or "nothing"),
            *([("stays", ", ".join(kept))] if kept else []),
        ]
        for name, value in rows:
            self.dialogue.note(f"{name:<9} {value}")
        if not self.dialogue.agreed("Make it?", back=True):
            raise Back
        return True

    def _secret(self, name: ItemName, check_it: Callable[[Secret[str]], None], *, same: str | None) -> bool:
        before = self.before
        there = before is not None and name in before.items and same in {before.channel, before.provider}
        given = self.dialogue.secret(check_it, kept=there or name in self.wish.secrets)
        if given is not None:
            self._keep(name, given)
        return True

    def _has(self, name: ItemName) -> bool:
        if name in self.wish.secrets:
            return bool(self.wish.secrets[name])
        return self.before is not None and name in self.before.items

    def _keep(self, name: ItemName, secret: Secret[str]) -> None:
        self.wish = replace(self.wish, secrets={**self.wish.secrets, name: secret})

    def _forget(self, name: ItemName) -> None:
        rest = {one: secret for one, secret in self.wish.secrets.items() if one is not name}
        self.wish = replace(self.wish, secrets=rest)

    def _prompts(self, language: str) -> list[Choice]:
        here = [Choice(one.id, one.title.in_language(language)) for one in templates()]
        if self._has(ItemName.PROMPT):
            here.insert(0, Choice(KEEP, "The prompt it has now"))
        return [
            *here,
            Choice(OWN, "Your own words"),
            Choice(NONE, "No prompt at all"),
            Choice(OTHER_LANGUAGE, "The same in English" if language == "de" else "Dasselbe auf Deutsch"),
        ]

    def _own_words(self) -> str:
        self.dialogue.note("Write it; an empty line ends it.")
        while True:
            text = self.dialogue.text()
            try:
                check_text(ItemName.PROMPT, Secret(text))
            except BotError as error:
                self.dialogue.trouble(str(error))
            else:
                return text


def _whom(access: Access) -> str:
    title = next(one.title for one in PEOPLE if one.key == access.value)
    return title[:1].lower() + title[1:]


def _template(chosen: str, language: str) -> str:
    return next((one.text.in_language(language) for one in templates() if one.id == chosen), "")


def language_here() -> str:
    """The terminal's language, where we speak it."""
    return "de" if (locale.getlocale()[0] or "").startswith("de") else "en"
