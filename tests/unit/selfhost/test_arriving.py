"""What an export says of bots, and that one which says something else is refused with a sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clawmates.inventory.packing import ABOUT_FILE
from clawmates.selfhost import arriving
from clawmates.selfhost.draft import BotError
from clawmates.selfhost.leaving import BOT
from clawmates.selfhost.openclaw.words import CONFIG
from clawmates.selfhost.wish import Wish
from clawmates.wire.desired import Access, BotSpec, Fallback
from clawmates.wire.names import ChannelKind, ItemName

ABOUT = {"format": 1, "made": "2026-11-30T12:00:00.000Z", "software": "clawmates"}


def hosted(bot: str, name: str, **fields: Any) -> dict[str, list[dict[str, Any]]]:
    row = {"id": bot, "name": name, "channel": "telegram", "limits": '{"messages_per_day":5}', "access": "list"}
    return {"bots": [row | {"stage": "active"} | fields]}


def mind(bot: str, **fields: Any) -> dict[str, list[dict[str, Any]]]:
    row = {"id": bot, "provider": "openai", "model": "m-1", "temperature": 0.5, "max_output_tokens": None}
    return {"bots": [row | {"fallback_provider": None, "fallback_model": None} | fields]}


def export(folder: Path, **files: Any) -> Path:
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w") as package:
        for name, value in {"about": ABOUT, **files}.items():
            package.writestr(f"{name.replace('_', '-')}.json", json.dumps(value))
    return path


def test_a_hosted_bot_becomes_a_wish_without_any_key(tmp_path: Path) -> None:
    documents = {
        "documents": [{"bot": "b-1", "version": 2, "text": "Be kind."}, {"bot": "b-2", "version": 1, "text": "x"}]
    }
    fallback = {"fallback_provider": "anthropic", "fallback_model": "c-1"}
    path = export(
        tmp_path, bot=hosted("b-1", "Käpt'n Blaubär"), model_preference=mind("b-1", **fallback), system_prompt=documents
    )
    (wish,) = arriving.read(path).bots
    assert (wish.name, wish.channel, wish.access) == ("k-pt-n-blaub-r", ChannelKind.TELEGRAM, Access.LIST)
    assert (wish.provider, wish.model, wish.temperature) == ("openai", "m-1", 0.5)
    assert (wish.fallback, wish.limits) == (Fallback(provider="anthropic", model="c-1"), {"messages_per_day": 5})
    assert {name: text.reveal() for name, text in wish.secrets.items()} == {ItemName.PROMPT: "Be kind."}
    said = arriving.on_top(Wish(provider="google", limits={"messages_per_day": 9}), wish)
    assert (said.provider, said.model, said.limits) == ("google", None, {"messages_per_day": 9})


def test_of_several_bots_one_is_named(tmp_path: Path) -> None:
    two = {"bots": hosted("b-1", "Marvin")["bots"] + hosted("b-2", "Marvin")["bots"]}
    minds = {"bots": mind("b-1")["bots"] + mind("b-2")["bots"]}
    found = arriving.read(export(tmp_path, bot=two, model_preference=minds)).bots
    assert arriving.choose(found, "b-2").name == "b-2"
    with pytest.raises(BotError, match="b-1, b-2"):
        arriving.choose(found, None)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"bot": hosted("b-1", "x")},
        {"bot": {"bots": 3}, "model_preference": mind("b-1")},
        {"bot": hosted("b-1", "x", channel="carrier-pigeon"), "model_preference": mind("b-1")},
        {"bot": hosted("b-1", "x", limits="[canary"), "model_preference": mind("b-1")},
        {"selfhost_bots": {"bots": [{"id": "canary"}]}},
        {"about": []},
    ],
)
def test_what_is_no_export_is_a_sentence_that_quotes_nothing(files: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BotError, match="no export of ClawMates") as raised:
        arriving.read(export(tmp_path, **files))
    assert "canary" not in str(raised.value)


def test_half_a_file_a_later_format_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    whole = export(tmp_path, bot={"bots": []}, model_preference={"bots": []})
    with pytest.raises(BotError, match="no bot"):
        arriving.read(whole)
    whole.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(BotError, match="no export"):
        arriving.read(whole)
    with pytest.raises(BotError, match="another version"):
        arriving.read(export(tmp_path, about=ABOUT | {"format": 2}))


def packed(folder: Path) -> bytearray:
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("about.json", json.dumps(ABOUT | {"padding": "x" * 999}))
    return bytearray(path.read_bytes())


@pytest.mark.parametrize(
    ("place", "value"),
    [(6, 1), (8, 99), (40, 0xFF)],
    ids=["encrypted", "packed in an unknown way", "a damaged stream"],
)
def test_a_zip_that_cannot_be_unpacked_is_a_sentence_too(place: int, value: int, tmp_path: Path) -> None:
    """The offsets are those of a local header (APPNOTE.TXT, 4.3.7); the central one has flags and method two later."""
    raw = packed(tmp_path)
    raw[place] = value
    if place < 40:
        raw[raw.index(b"PK\x01\x02") + place + 2] = value
    (tmp_path / "export.zip").write_bytes(raw)
    with pytest.raises(BotError, match="no export"):
        arriving.read(tmp_path / "export.zip")


def test_a_huge_file_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "MOST_BYTES", 100)
    with pytest.raises(BotError, match="no export"):
        arriving.read(export(tmp_path, padding="x" * 200))


def test_the_schema_of_a_bot_has_its_fields() -> None:
    assert BOT.keys() == BotSpec.__dataclass_fields__.keys()
    assert ABOUT_FILE == "about.json"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_gives_out_more_than_was_asked_for_is_not_unpacked(method: int, tmp_path: Path) -> None:
    """Of bzip2 and LZMA :mod:`zipfile` unpacks 4 KiB at a time, to whatever that comes to: gigabytes."""
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", method) as package:
        package.writestr(ABOUT_FILE, json.dumps(ABOUT))
        package.writestr("bot.json", json.dumps(hosted("b-1", "x")))
        package.writestr("model-preference.json", json.dumps(mind("b-1")))
    with pytest.raises(BotError, match="no export of ClawMates"):
        arriving.read(path)
    with zipfile.ZipFile(path, "w", method) as package:
        package.writestr(CONFIG, '{"agents": {"list": [{"id": "main"}]}}')
    with pytest.raises(BotError, match="no export of ClawMates"):
        arriving.read(path)


def test_what_no_export_has_is_not_unpacked_and_all_of_it_together_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(tmp_path, bot=hosted("b-1", "x"), model_preference=mind("b-1"), more={"x": "no JSON of ours"})
    with zipfile.ZipFile(path, "a") as package:
        package.writestr("other.json", "[" * 100_000)
    assert arriving.read(path).bots, "a stranger's file is not even parsed"
    monkeypatch.setattr(arriving, "MOST_BYTES", 300)
    with pytest.raises(BotError, match="no export of ClawMates"):
        arriving.read(export(tmp_path, bot=hosted("b-1", "x"), model_preference=mind("b-1")))
