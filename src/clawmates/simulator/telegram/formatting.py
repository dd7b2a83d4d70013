"""From the *text*, *parse_mode* and *entities* of a call to what a chat would show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.simulator.telegram import html, markdown
from clawmates.simulator.telegram.entities import Entity, checked, read, units
from clawmates.simulator.telegram.errors import BadRequestError

if TYPE_CHECKING:
    from clawmates.simulator.telegram.parameters import Parameters

MAX_TEXT_UNITS = 4096


def formatted(parameters: Parameters, *, empty_allowed: bool = False) -> tuple[str, tuple[Entity, ...]]:
    """The text after entity parsing, and its entities; raises :class:`BadRequestError`.

    1 to 4096 UTF-16 code units, 0 to 4096 with ``empty_allowed`` (a draft's "Thinking…").
    """
    source = parameters.text("text")
    mode = parameters.text("parse_mode").lower()
    if mode == "html":
        text, entities = html.parse(source)
        entities = checked(entities, text)
    elif mode == "markdownv2":
        text, entities = markdown.parse(source)
        entities = checked(entities, text)
    elif mode:
        raise BadRequestError("unsupported parse_mode")
    else:
        text, entities = source, read(parameters.items("entities"), source)
    if not text.strip() and not empty_allowed:
        raise BadRequestError("message text is empty")
    if units(text) > MAX_TEXT_UNITS:
        raise BadRequestError("message is too long")
    return text, entities
