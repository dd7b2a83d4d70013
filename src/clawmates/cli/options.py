"""Options that many commands share."""

from __future__ import annotations

import asyncio
import os
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawmates.base.paths import DEFAULT_STATE, State
from clawmates.base.settings import Settings, load
from clawmates.cli.answers import AS_ROOT, CommandError, Exit, as_command_error, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--state``, given to the command as a :class:`State`."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_STATE,
        show_default=True,
        callback=lambda _context, _parameter, value: State(value.absolute()),
        help="The platform's state folder.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``: JSON alone on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON alone on stdout.")(command)


def settings_of(state: State) -> Settings:
    """The platform's settings; a state folder without a platform has a remedy of its own."""
    if not state.config.exists():
        raise CommandError(
            f"there is no platform in {state.root}.",
            code="not-installed",
            remedy="Make one with `clawmates selfhost init`, or name its folder with --state.",
            exit_code=Exit.CONFIGURATION,
        )
    return load(state.config)


def need_root() -> None:
    """Raises :class:`CommandError` where containers with full limits cannot be made, nor a platform's files read."""
    if os.geteuid() != 0:
        raise CommandError(
            "this needs root: containers with their own users and limits cannot be made without.",
            code="needs-root",
            remedy=AS_ROOT,
            exit_code=Exit.MISSING,
        )


def answered(command: Callable[..., Coroutine[Any, Any, None] | None]) -> Callable[..., None]:
    """Runs a command and turns expected errors into answers.

    One that asks questions is no coroutine: an event loop would keep Ctrl-C from what waits for a line.
    """

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            running = command(*arguments, **options)
            if running is not None:
                asyncio.run(running)
        except KeyboardInterrupt:
            raise click.Abort from None
        except Exception as error:
            known = as_command_error(error)
            if known is None:
                raise
            fail(known, as_json=bool(options.get("as_json")))

    return run
