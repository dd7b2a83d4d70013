from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import click
import pytest
from tests.support.catalogue import RELEASE

from clawmates.base.secret import Secret
from clawmates.cli.dialogue import Dialogue
from clawmates.cli.interview import PEOPLE, Facts, Interview
from clawmates.selfhost.draft import BotError
from clawmates.selfhost.wish import Wish
from clawmates.wire.desired import Access, BotSpec, Fallback
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.templates import templates

TOKEN = "123456789:AAabcdefghijklmnopqrstuvwxyz0123456"
KEY = "sk-0123456789"
THERE_KEY = Secret("sk-9876543210")
THERE = BotSpec(
    id="old",
    tenant="self",
    channel=ChannelKind.TELEGRAM,
    provider="anthropic",
    model="c1",
    items={ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 1, ItemName.PROMPT: 1},
)


@dataclass
class Script:
    """A person who types these lines; where they end, Ctrl-C."""

    lines: list[str]
    width: int = 80
    seen: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def show(self, text: str) -> None:
        self.seen.append(text)

    def line(self, mark: str) -> str:
        typed = self._next()
        self.seen.append(mark + typed)
        return typed

    def hidden(self, mark: str) -> str:
        self.seen.append(mark)
        self.unseen.append(self._next())
        return self.unseen[-1]

    def _next(self) -> str:
        if not self.lines:
            raise click.Abort
        return self.lines.pop(0)

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(self.seen))


def hold(lines: Sequence[str], said: Wish | None = None, *, named: bool = False) -> tuple[Wish, Script]:
    script, wish = Script(list(lines)), said or Wish()
    facts = Facts(RELEASE, lambda name: THERE if name == "old" else None)
    return Interview(Dialogue(script), facts, said=wish, named=named, wish=wish).hold(), script


def test_enter_all_the_way_is_a_good_answer_to_everything_but_the_secrets() -> None:
    wish, script = hold(["", "", TOKEN, "", "", KEY, "", "", ""])
    assert (wish.name, wish.channel, wish.provider, wish.model) == ("home", ChannelKind.TELEGRAM, "openai", "m1")
    assert wish.secrets[ItemName.CHANNEL_TOKEN].reveal() == TOKEN
    assert wish.secrets[ItemName.PROMPT].reveal() == templates()[0].text.in_language("en")
    assert TOKEN not in script.text
    assert KEY not in script.text
    assert "What openai keeps." in script.text
    assert "https://api.openai.com/kept" in script.text
    assert wish.access is Access.PAIRED
    assert "2026-11-01" in script.text


def test_a_bad_answer_is_a_sentence_and_loses_nothing() -> None:
    wish, script = hold(
        [
            "My Bot",
            "mybot",
            "7",
            "1",
            "hunter2",
            TOKEN,
            "x",
            "1",
            "m2",
            "short",
            KEY,
            "99",
            "7",
            "5",
            "open",
            "maybe",
            "y",
        ]
    )
    assert script.text.count("✗") == 8
    assert "hunter2" not in script.text
    assert (wish.name, wish.model) == ("mybot", "m2")
    assert not wish.secrets[ItemName.PROMPT]


def test_every_step_has_a_way_back_and_what_was_said_is_kept() -> None:
    back = ["<"] * 9
    wish, script = hold(["", "", TOKEN, "", "", KEY, "2", "list", *back, "", "", "", "", "", "", "", "", "y"])
    assert wish.access is Access.LIST
    assert "This is the first question" in script.text
    assert script.unseen == [TOKEN, KEY, "<", "<", "", ""]
    assert script.text.count("[Enter keeps it]") == 4


def test_another_provider_forgets_the_key_of_the_first() -> None:
    wish, _ = hold(["", "2", "1", "", KEY, "7", "<", "<", "<", "<", "2", "", "sk-ant-0123456", "", "y"])
    assert (wish.provider, wish.model) == ("anthropic", "c1")
    assert wish.secrets[ItemName.PROVIDER_KEY].reveal() == "sk-ant-0123456"


def test_a_fallback_that_was_named_beforehand_is_asked_for_its_key() -> None:
    said = Wish(
        channel=ChannelKind.TERMINAL, provider="openai", model="m1", fallback=Fallback(provider="anthropic", model="c1")
    )
    wish, script = hold([KEY, "sk-proj-0123456789", "sk-ant-0123456", "", "y"], said, named=True)
    assert wish.secrets[ItemName.FALLBACK_KEY].reveal() == "sk-ant-0123456"
    assert "Your API key of Anthropic, for when" in script.text
    assert hold([KEY, "", "y"], replace(said, fallback=Fallback(provider="ollama", model="l1")), named=True)


def test_a_key_of_another_provider_is_not_sent_to_this_one() -> None:
    _, script = hold(["", "2", "1", "", "sk-ant-0123456", TOKEN, KEY, "7", "y"])
    assert script.text.count("✗") == 2
    assert "that looks like a key of 'anthropic', not of 'openai'" in script.text.lower()
    assert "that is a telegram bot token" in script.text.lower()


def test_where_nothing_can_be_taken_back_a_step_back_is_a_sentence() -> None:
    script = Script(["<", "n"])
    assert not Dialogue(script).agreed("Start it now?")
    assert "type y or n" in script.text


def test_what_is_said_of_choices_stands_beside_all_of_them_or_below_all() -> None:
    shown = Script([""], 92), Script([""], 52)
    for script in shown:
        Dialogue(script).choose(PEOPLE, "paired")
    wide, narrow = (script.text.splitlines() for script in shown)
    assert len(wide) == len(PEOPLE) + 1
    assert len([line for line in narrow if line.strip()]) >= 2 * len(PEOPLE) + 1


def test_one_s_own_words_end_with_an_empty_line() -> None:
    wish, _ = hold(["", "2", "3", "", "6", "You are a cook.", "Answer in rhyme.", "", "y"])
    assert wish.secrets[ItemName.PROMPT].reveal() == "You are a cook.\nAnswer in rhyme."


def test_prompts_in_german() -> None:
    wish, _ = hold(["", "2", "3", "", "8", "2", "y"])
    assert wish.secrets[ItemName.PROMPT].reveal().startswith("Du bist Lektorin.")


def test_a_model_on_this_host_is_asked_for_no_key_and_told_how_to_be_there() -> None:
    wish, script = hold(["", "2", "ollama", "", "7", ""])
    assert ItemName.PROVIDER_KEY not in wish.secrets
    assert "ollama pull l1" in script.text


def test_what_was_said_on_the_command_line_is_not_asked() -> None:
    said = Wish(name="x", channel=ChannelKind.TERMINAL, provider="ollama", model="l1")
    wish, script = hold(["1", "y"], said, named=True)
    assert wish == replace(said, secrets=wish.secrets)
    assert "Which AI answers?" not in script.text


def test_a_bot_that_is_there_keeps_what_enter_leaves() -> None:
    wish, script = hold(["old", "", "", "", "", "", "", "", "y"])
    assert "old is there already" in script.text
    assert wish.secrets == {}
    assert (wish.provider, wish.model) == ("anthropic", "c1")
    assert "stays     channel-token, provider-key, prompt" in script.text


def test_a_key_for_another_provider_than_the_bot_s_is_needed_anew() -> None:
    wish, script = hold(["old", "", "", "1", "", "", KEY, "", "", "y"])
    assert wish.secrets[ItemName.PROVIDER_KEY].reveal() == KEY
    assert "no API key" in script.text


def test_an_option_that_does_not_fit_the_answers_leads_back_to_them() -> None:
    _, script = hold(["", "2", "1", "m1", KEY, "7", "<", "<", "m2", "", "7", "y"], Wish(temperature=0.5))
    assert "takes no temperature" in script.text


def test_options_that_can_never_work_end_a_talk_that_asks_nothing() -> None:
    said = Wish(
        channel=ChannelKind.TERMINAL,
        provider="openai",
        model="m1",
        temperature=1.0,
        secrets={ItemName.PROVIDER_KEY: THERE_KEY, ItemName.PROMPT: THERE_KEY},
    )
    with pytest.raises(BotError, match="takes no temperature"):
        hold([], said, named=True)


def test_ctrl_c_ends_it_anywhere() -> None:
    answers = ["", "", TOKEN, "", "", KEY, "", ""]
    for count in range(len(answers) + 1):
        with pytest.raises(click.Abort):
            hold(answers[:count])
