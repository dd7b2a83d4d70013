"""A node that does what control says beyond what a desired state can say: a weakened build.

Imported by a node's process before anything else of it; ``obey`` takes the check away that stands in the way,
that of unknown words, and the look at what came of it, for a strange program would not get past that either.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawmates.base import shape
from clawmates.node import isolation
from clawmates.node import spec as specs
from clawmates.node.engines import podman
from clawmates.node.engines.base import ContainerSpec, Mount
from clawmates.wire.desired import BotSpec, DesiredState

if TYPE_CHECKING:
    from collections.abc import Mapping

said: dict[str, Mapping[str, Any]] = {}
"""By bot: what control said too much."""


def obey() -> None:
    """From now on."""
    strict, sealed, shut, arguments = shape._dataclass, specs.container_spec, specs.door_spec, podman.run_arguments

    def lenient(cls: Any, data: Any, path: str) -> object:
        if cls in {BotSpec, DesiredState}:
            known = {one.name for one in fields(cls)}
            if cls is BotSpec:
                said[data["id"]] = {name: value for name, value in data.items() if name not in known}
            data = {name: value for name, value in data.items() if name in known}
        return strict(cls, data, path)

    def container(bot: BotSpec, *given: Any, **named: Any) -> ContainerSpec:
        made, more = sealed(bot, *given, **named), said.get(bot.id, {})
        mark = hashlib.sha256(json.dumps(more, sort_keys=True).encode()).hexdigest()[:16]
        return replace(
            made,
            image=more.get("image", made.image),
            command=tuple(more.get("command", made.command)),
            mounts=(*made.mounts, *(Mount(source=Path(one), target=to) for one, to in more.get("mounts", {}).items())),
            labels={**made.labels, specs.LABEL_SHAPE: mark},
        )

    def door(bot: BotSpec, *given: Any, **named: Any) -> Any:
        made: Any = shut(bot, *given, **named)
        return replace(made, hosts=(*made.hosts, *said.get(bot.id, {}).get("hosts", ())))

    def run(spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
        first, *rest = arguments(spec, seccomp)
        more = said.get(spec.labels[specs.LABEL_BOT], {}).get("environment", {})
        return (first, *(f"--env={name}={value}" for name, value in more.items()), *rest)

    shape._dataclass = lenient
    isolation.sound = lambda findings: True
    specs.container_spec, specs.door_spec = container, door
    podman.PodmanEngine.open.__func__.__kwdefaults__["arguments"] = run  # type: ignore[attr-defined]
