"""Fills templates: escaped, strict about what is missing, in the reader's language."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from clawmates.control.texts.catalogue import LANGUAGES, choose, words

if TYPE_CHECKING:
    from fastapi import Request

LANGUAGE_COOKIE = "__Host-language"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def language_of(request: Request) -> str:
    """What the person chose, else what the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else choose(request.headers.get("accept-language", ""))


def page(request: Request, template: str, *, status: int = 200, **fields: object) -> HTMLResponse:
    """A whole page. In every template: ``t`` (words), ``person`` (who is signed in, or ``None``), ``path``."""
    found = words(language_of(request))
    known = {"t": found, "path": request.url.path, "person": getattr(request.state, "person", None)}
    return HTMLResponse(_environment().get_template(template).render(known | fields), status_code=status)
