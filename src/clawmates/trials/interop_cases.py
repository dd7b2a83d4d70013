"""Bots of every kind, as they leave for OpenClaw: what ``make interop`` and the tests hold against its schema."""

from __future__ import annotations

import tomllib
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawmates.base.secret import Secret
from clawmates.selfhost.openclaw.words import WHOLE
from clawmates.selfhost.wish import Wish
from clawmates.wire.desired import Access, Fallback
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.people import People, dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECKOUT = Path(__file__).resolve().parents[3]
FOLDER = CHECKOUT / "tests" / "interop"
LISTED = dump(People(owner="7", people=("7", "12345678901")))


def cases() -> Mapping[str, tuple[Wish, ...]]:
    """Each provider of the catalogue with each way to let people in, all in one configuration; and small ones."""
    return {
        "every kind": tuple(_kinds()),
        "one": (_bot("home", "openai", Access.PAIRED),),
        "the console alone": (Wish(name="home", channel=ChannelKind.TERMINAL, provider="ollama", model="m"),),
    }


def _kinds() -> Iterator[Wish]:
    catalogue = tomllib.loads((CHECKOUT / "image" / "catalogue.toml").read_text())
    for provider, access, held in product(catalogue["providers"], Access, (True, False)):
        name = f"{provider['id']}-{access.value}-{'some' if held else 'none'}"
        yield _bot(name, provider["id"], access, provider["models"][0]["id"], **({"people": LISTED} if held else {}))
    yield _bot("default", "openai", Access.PAIRED)
    yield _bot("x" * 40, "openai", Access.OPEN, paused=True, prompt="é" * (WHOLE + 1))
    spare = Fallback(provider="anthropic", model="claude-haiku-5-5")
    yield _bot("tuned", "ollama", Access.LIST, fallback=spare, temperature=0.5, max_output_tokens=99)


def _bot(name: str, provider: str, access: Access, model: str = "m-1", **said: Any) -> Wish:
    documents = {ItemName.PROMPT: Secret(said.pop("prompt", "Be kind.")), ItemName.PEOPLE: said.pop("people", None)}
    return Wish(
        name=name,
        channel=ChannelKind.TELEGRAM,
        provider=provider,
        model=model,
        access=access,
        secrets={item: text for item, text in documents.items() if text is not None},
        **said,
    )


def pruned(schema: Any, documents: list[Any]) -> Any:
    """Of a JSON schema, the part that says something of these documents: other properties and all words left out."""
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name not in {"title", "description", "default", "$schema"}}
    objects = [one for one in documents if isinstance(one, dict)]
    known = kept.get("properties", {})
    if "properties" in kept:
        kept["properties"] = {
            name: pruned(inner, [one[name] for one in objects if name in one])
            for name, inner in sorted(known.items())
            if any(name in one for one in objects)
        }
    others = [value for one in objects for name, value in one.items() if name not in known]
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = pruned(kept["additionalProperties"], others) if others else {}
    if "items" in kept:
        kept["items"] = pruned(kept["items"], [row for one in documents if isinstance(one, list) for row in one])
    for branches in ("anyOf", "oneOf", "allOf"):
        if branches in kept:
            kept[branches] = [pruned(one, documents) for one in kept[branches]]
    return kept
