"""``catalogue.toml``, strictly."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode
from clawmates.wire.release import Channel, Provider

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Which messengers and AI providers a release knows."""

    channels: tuple[Channel, ...]
    providers: tuple[Provider, ...]

    def __post_init__(self) -> None:
        kinds = [channel.kind for channel in self.channels]
        names = [provider.id for provider in self.providers]
        if len(set(kinds)) < len(kinds) or len(set(names)) < len(names):
            raise ValueError("a channel or provider stands twice")
        for provider in self.providers:
            models = [model.id for model in provider.models]
            if not provider.hosts or not models or len(set(models)) < len(models):
                raise ValueError(f"provider {provider.id}: needs a host and models, each once")
            if any(not 0 < model.output_tokens <= model.context_tokens for model in provider.models):
                raise ValueError(f"provider {provider.id}: a model's output does not fit into its context")


def load(path: Path) -> Catalogue:
    """Raises ``ShapeError`` with the place and the problem."""
    try:
        return decode(Catalogue, tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise ShapeError(path.name, f"not valid TOML: {error}") from None
