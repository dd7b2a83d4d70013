"""What an export says of bots, to make them anew on this host: never a token or a key, which are asked for.

Also what OpenClaw's configuration says of them (:mod:`clawmates.selfhost.openclaw`).
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode
from clawmates.inventory.packing import ABOUT_FILE, FORMAT
from clawmates.selfhost.draft import BotError
from clawmates.selfhost.naming import fitting
from clawmates.selfhost.openclaw import source
from clawmates.selfhost.openclaw.coming import Arrived
from clawmates.selfhost.openclaw.words import CONFIG
from clawmates.selfhost.wish import Wish
from clawmates.wire.desired import Access, Fallback, Limits
from clawmates.wire.names import ChannelKind, ItemName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import IO

MOST_BYTES = 16 << 20
"""Of what is read of an export, unpacked."""
PLAIN = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of every other packing :mod:`zipfile` unpacks 4 KiB at a time to whatever they come to, also when less was asked for:
of bzip2 gigabytes."""
BOTS, MINDS, ROWS = "selfhost-bots.json", "model-preference.json", "bot.json"
PROMPTS, LISTS = "system-prompt.json", "people.json"
READ = frozenset({ABOUT_FILE, BOTS, MINDS, ROWS, PROMPTS, LISTS})
NO_EXPORT = (
    "that is no export of ClawMates: give the zip that `clawmates export` or the page *What we hold on you* made."
)
_MALFORMED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError, TypeError, AttributeError, ValueError)
"""What reading a strange file raises: :mod:`zipfile` says ``RuntimeError`` of one that is encrypted or packed in an
unknown way, :mod:`json` of one nested too deeply; a damaged stream is ``zlib.error``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bot:
    """A bot as either kind of export describes it."""

    id: str
    channel: ChannelKind
    provider: str
    model: str
    name: str = ""
    access: Access = Access.PAIRED
    paused: bool = False
    temperature: float | None = None
    max_output_tokens: int | None = None
    fallback: Fallback | None = None
    limits: Limits


def read(path: Path) -> Arrived:
    """Bots to be, of either program. Raises :class:`BotError`, which quotes nothing of it, and ``OSError``."""
    if path.is_dir() or path.suffix == ".json":
        return source.read(path)
    with path.open("rb") as stream:
        return unpack(stream)


def unpack(stream: IO[bytes]) -> Arrived:
    """The bots of a zip. Raises :class:`BotError`."""
    try:
        with zipfile.ZipFile(stream) as package:
            if not {one.compress_type for one in package.infolist()} <= PLAIN:
                raise BotError(NO_EXPORT)
            if CONFIG in package.namelist():
                return source.unpack(package)
            files = _files(package)
        if files[ABOUT_FILE]["format"] != FORMAT:
            raise BotError("that export was made by another version of ClawMates: use that one to move.")
        bots = tuple(_bots(files))
        names = [_name(one) for one in bots]
        found = tuple(
            _wish(one, name if names.count(name) == 1 else one.id, files) for one, name in zip(bots, names, strict=True)
        )
    except _MALFORMED:
        raise BotError(NO_EXPORT) from None
    if not found:
        raise BotError("there is no bot in that export.")
    return Arrived(bots=found)


def choose(found: tuple[Wish, ...], name: str | None) -> Wish:
    """The bot of that name, or the only one. Raises :class:`BotError` that lists those there are."""
    if name is None and len(found) == 1:
        return found[0]
    chosen = [one for one in found if one.name == name]
    if len(chosen) != 1:
        known = ", ".join(one.name for one in found)
        raise BotError(f"say which bot of the export with --bot; there are: {known}.")
    return chosen[0]


def on_top(said: Wish, arrived: Wish) -> Wish:
    """What was said on the command line, and for the rest what the export says."""
    return replace(
        arrived,
        channel=said.channel or arrived.channel,
        provider=said.provider or arrived.provider,
        model=said.model or (arrived.model if said.provider in {None, arrived.provider} else None),
        temperature=arrived.temperature if said.temperature is None else said.temperature,
        max_output_tokens=arrived.max_output_tokens if said.max_output_tokens is None else said.max_output_tokens,
        fallback=arrived.fallback if said.fallback is None else said.fallback,
        access=said.access or arrived.access,
        paused=arrived.paused,
        limits={**arrived.limits, **said.limits},
        secrets={**arrived.secrets, **said.secrets},
    )


def _files(package: zipfile.ZipFile) -> dict[str, Any]:
    """Those that are asked for, and no other: together they are bounded, whatever else lies there."""
    found, left = {}, MOST_BYTES
    for name in sorted(READ.intersection(package.namelist())):
        with package.open(name) as stream:
            raw = stream.read(left + 1)
        left -= len(raw)
        if left < 0:
            raise ValueError
        found[name] = json.loads(raw)
    return found


def _bots(files: Mapping[str, Any]) -> Iterator[_Bot]:
    try:
        if BOTS in files:
            for one in files[BOTS]["bots"]:
                yield decode(_Bot, _known(one))
            return
        minds = {one["id"]: one for one in files[MINDS]["bots"]}
        for one in files[ROWS]["bots"]:
            yield decode(_Bot, _known(_hosted({**one, **minds[one["id"]]})))
    except ShapeError:
        raise ValueError from None


def _hosted(row: dict[str, Any]) -> dict[str, Any]:
    """As a self-hosted platform would write it: there limits and fallback are objects."""
    spare = {"provider": row["fallback_provider"], "model": row["fallback_model"]}
    fallback = spare if row["fallback_provider"] and row["fallback_model"] else None
    return {**row, "limits": json.loads(row["limits"]), "fallback": fallback}


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _Bot.__dataclass_fields__ if name in row}


def _wish(bot: _Bot, name: str, files: Mapping[str, Any]) -> Wish:
    limits = {name: getattr(bot.limits, name) for name in Limits.__dataclass_fields__}
    return Wish(
        name=name,
        channel=bot.channel,
        provider=bot.provider,
        model=bot.model,
        temperature=bot.temperature,
        max_output_tokens=bot.max_output_tokens,
        fallback=bot.fallback,
        access=bot.access,
        paused=bot.paused,
        limits={name: value for name, value in limits.items() if value is not None},
        secrets={
            item: Secret(text)
            for item, file in ((ItemName.PROMPT, PROMPTS), (ItemName.PEOPLE, LISTS))
            if (text := _document(bot, files, file))
            and (item is ItemName.PROMPT or bot.channel is ChannelKind.TELEGRAM)
        },
    )


def _document(bot: _Bot, files: Mapping[str, Any], file: str) -> str:
    """An export without scripts has none of these."""
    found = (one["text"] for one in files.get(file, {"documents": []})["documents"] if one["bot"] == bot.id)
    return str(next(found, ""))


def _name(bot: _Bot) -> str:
    """What its owner calls it, as a name on this host may be written; else its number."""
    return fitting(bot.name) or bot.id
