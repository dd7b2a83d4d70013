"""Fills templates: escaped, strict about what is missing, in the reader's language."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from clawmates.control.static import asset
from clawmates.control.texts.catalogue import LANGUAGES, choose, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request
    from jinja2.environment import TemplateModule

    from clawmates.control.texts.catalogue import Words

LANGUAGE_COOKIE = "__Host-language"
NAMES = (("en", "English"), ("de", "Deutsch"))
"""Every language calls itself by its own name."""


_SAID = re.compile(r"""\b(t|asset)\((["'])([A-Za-z0-9._-]+)\2\)""")


class _InWords(FileSystemLoader):
    """Templates in one language: what a template says without asking anything stands in it before it is compiled."""

    def __init__(self, folder: Path, texts: Words) -> None:
        super().__init__(folder)
        self._texts = texts

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """With ``t("key")`` and ``asset("name")`` replaced by what they are; raises ``KeyError`` for what is not there.

        A text becomes a string of Jinja's, whose escapes are those of JSON: it is data there, escaped like any other.
        """
        source, path, fresh = super().get_source(environment, template)
        return _SAID.sub(self._said, source), path, fresh

    def _said(self, found: re.Match[str]) -> str:
        what, _, name = found.groups()
        return json.dumps(self._texts(name) if what == "t" else asset(name))


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=_InWords(Path(__file__).parent / "templates", words(language)),
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
    return _environment(language).get_template("parts.html").make_module({"t": words(language)})


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
    return HTMLResponse(_environment(found.language).get_template(template).render(known | fields), status_code=status)
