"""Where a configuration of OpenClaw lies: its state folder, the file in it, or a zip of both."""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.selfhost.draft import BotError
from clawmates.selfhost.openclaw import coming
from clawmates.selfhost.openclaw.section import Section
from clawmates.selfhost.openclaw.words import CONFIG
from clawmates.wire.vault import MAX_ITEM_BYTES

if TYPE_CHECKING:
    import zipfile

    from clawmates.selfhost.openclaw.coming import Arrived

MOST_BYTES = 1 << 20
"""Of the configuration; one that is written by hand has a few thousand."""
MOST_JSON5 = 1 << 18
"""Of one that is not plain JSON; these are read slowly, about 40,000 bytes a second."""
NO_CONFIG = f"that is no configuration of OpenClaw: give its `{CONFIG}`, the folder that it lies in, or a zip of both."
_BELOW = re.compile(r"(?:~|/.*)/\.openclaw[^/]*/(?P<rest>.+)")
"""A path as OpenClaw writes it, wherever its folder lies now."""


def read(path: Path) -> Arrived:
    """All bots in it. Raises :class:`BotError`, which quotes nothing of it, and ``OSError``."""
    folder = path if path.is_dir() else path.parent
    try:
        text = _text(folder, CONFIG if path.is_dir() else path.name, MOST_BYTES)
    except FileNotFoundError:
        raise BotError(NO_CONFIG) from None

    def beside(place: str) -> str | None:
        rest = place.removeprefix(f"{folder.absolute()}/")
        with suppress(OSError):
            return _text(folder, _relative(rest), MAX_ITEM_BYTES)
        return None

    return coming.read(Section(parse(text)), beside)


def unpack(package: zipfile.ZipFile) -> Arrived:
    """The same of a zip; raises :class:`BotError`, and what :mod:`zipfile` raises."""

    def packed(name: str, most: int) -> str | None:
        with package.open(name) as stream:
            return _decoded(stream.read(most + 1), most)

    def beside(place: str) -> str | None:
        name = _relative(place)
        return packed(name, MAX_ITEM_BYTES) if name in package.namelist() else None

    return coming.read(Section(parse(packed(CONFIG, MOST_BYTES))), beside)


def parse(text: str | None) -> object:
    """JSON5, of which JSON is a part: OpenClaw reads both. Raises :class:`BotError`."""
    text = (text or "").removeprefix("\ufeff")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > MOST_JSON5:
        raise BotError(NO_CONFIG)
    import json5  # noqa: PLC0415 - slow to import, and most files are plain JSON

    try:
        return json5.loads(text)
    except (ValueError, RecursionError, TypeError):
        raise BotError(NO_CONFIG) from None


def _relative(place: str) -> str:
    found = _BELOW.fullmatch(place)
    return found["rest"] if found else place


def _text(folder: Path, name: str, most: int) -> str | None:
    """A regular file below the folder, through no link: the folder is somebody's, and who reads may be root."""
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        return None
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            os.close(place)
            place = inner
        descriptor = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return _decoded(stream.read(most + 1), most)


def _decoded(raw: bytes, most: int) -> str | None:
    if len(raw) > most:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
