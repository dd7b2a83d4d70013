"""What ``selfhost init`` and ``hosted init`` have in common: where a new platform goes, and how it is started then."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawmates.base.paths import DEFAULT_RUN, DEFAULT_STATE, State
from clawmates.base.settings import Vault
from clawmates.cli.options import state_option
from clawmates.selfhost.install import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT_RELEASE = Path(__file__).resolve().parents[3] / "build" / "release"
INSTALLED_RELEASE = Path(sys.prefix).parent / "release"
"""Beside the virtual environment, where `make install` puts it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a platform shall be, and the signed release that it shall run."""

    state: State
    run: Path
    release: Path
    listen: str
    """Where the vault listens."""

    def plan(self, **settings: dict[str, object]) -> Plan:
        """What is to be installed there: these sections of the configuration, beside those that every platform has."""
        shared: dict[str, dict[str, object]] = {"platform": {"run": str(self.run)}, "vault": {"listen": self.listen}}
        named = {name: shared.get(name, {}) | settings.get(name, {}) for name in shared | settings}
        return Plan(state=self.state, release=self.release, settings=named)

    @property
    def up(self) -> str:
        """The command that starts it."""
        root = self.state.root
        if root == DEFAULT_STATE:
            return "clawmates up"
        with suppress(ValueError):
            root = root.relative_to(Path.cwd())
        return f"clawmates up --state {root}"


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--state``, ``--run``, ``--release`` and ``--listen``, given to the command as a :class:`Place`."""

    @state_option
    @click.option(
        "--run",
        type=click.Path(path_type=Path, resolve_path=True),
        default=DEFAULT_RUN,
        show_default=True,
        help="Runtime folder.",
    )
    @click.option(
        "--release",
        type=click.Path(path_type=Path, file_okay=False),
        default=CHECKOUT_RELEASE if CHECKOUT_RELEASE.exists() else INSTALLED_RELEASE,
        show_default="the checkout's or the installation's own",
        help="The signed release to run.",
    )
    @click.option("--listen", default=Vault().listen, show_default=True, help="Where the vault listens; port 0 is any.")
    @wraps(command)
    def run(*arguments: Any, state: State, run: Path, release: Path, listen: str, **options: Any) -> Any:
        return command(*arguments, place=Place(state, run, release, listen), **options)

    return run
