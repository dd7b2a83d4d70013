"""Fills templates: escaped, strict about what is missing, in the reader's language."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from clawmates.control.static import asset
from clawmates.control.texts.catalogue import LANGUAGES, choose, words

if TYPE_CHECKING:
    from fastapi import Request
    from jinja2.environment import TemplateModule

LANGUAGE_COOKIE = "__Host-language"
NAMES = (("en", "English"), ("de", "Deutsch"))
"""Every language calls itself by its own name."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # templates change with the software, and nobody looks at files for every page
    )
    environment.globals.update({"asset": asset, "languages": NAMES})
    return environment


@cache
def _parts(language: str) -> TemplateModule:
    """The macros, in one language: made once, because every page uses them."""
    return _environment().get_template("parts.html").make_module({"t": words(language)})


def language_of(request: Request) -> str:
    """What the person chose, else what the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else choose(request.headers.get("accept-language", ""))


def page(request: Request, template: str, *, status: int = 200, **fields: object) -> HTMLResponse:
    """A page. Every template has ``t`` (words), ``parts`` (macros), ``person`` (or ``None``) and ``path``."""
    found = words(language_of(request))
    path = request.url.path
    known = {
        "t": found,
        "parts": _parts(found.language),
        "path": path,
        # Where the choice of language leads back to: what was sent with a form cannot be asked for again.
        "back": path if request.method == "GET" else "/",
        "person": getattr(request.state, "person", None),
    }
    return HTMLResponse(_environment().get_template(template).render(known | fields), status_code=status)
