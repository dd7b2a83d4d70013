"""``clawmates node``: how another host joins. The operator carries the messages; no key travels."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from clawmates.base.shape import ShapeError, decode_json
from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import pki
from clawmates.selfhost.enrolment import Enrolments
from clawmates.wire.enrolment import TOKEN_SECONDS, EnrolmentRequest
from clawmates.wire.names import Role, ServiceName, check_bot_id

if TYPE_CHECKING:
    from clawmates.base.paths import State

MAX_REQUEST = 16 * 1024


@click.group()
def node() -> None:
    """Let other hosts join, and shut them out again."""


@node.command("enrol")
@click.argument("name")
@state_option
@json_option
@answered
async def enrol(state: State, name: str, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Print a token with which one node can get one certificate; only its hash is kept."""
    need_root()
    desk = Enrolments(state, settings_of(state).platform.region, os.urandom)
    token = desk.invite(name, datetime.now(UTC)).reveal()
    shown = {"node": name, "token": token, "expires_in": TOKEN_SECONDS}
    succeed(shown, as_json=as_json, text=f"{token}\n(for {name}: good once, for {TOKEN_SECONDS // 60} minutes)")


@node.command("admit")
@state_option
@json_option
@answered
async def admit(state: State, as_json: bool) -> None:  # noqa: FBT001
    """Read {"token", "request"} as JSON from standard input and print the node's certificate."""
    need_root()
    desk = Enrolments(state, settings_of(state).platform.region, os.urandom)
    try:
        request = decode_json(EnrolmentRequest, sys.stdin.buffer.read(MAX_REQUEST + 1), MAX_REQUEST)
    except ShapeError:
        raise CommandError(
            'standard input is not {"token": …, "request": …} as JSON.', code="bad-input", exit_code=Exit.USAGE
        ) from None
    grant = desk.admit(request, datetime.now(UTC))
    succeed(grant, as_json=as_json, text=grant.certificate + grant.authority)


@node.command("revoke")
@click.argument("name")
@state_option
@json_option
@answered
async def revoke(state: State, name: str, as_json: bool) -> None:  # noqa: FBT001
    """Let no certificate count that this node got until now; the vault obeys at once."""
    need_root()
    settings = settings_of(state)
    try:
        region = settings.platform.region
        fresh = pki.revoke(state, ServiceName(region, Role.NODE, check_bot_id(name)))
    except ValueError as error:
        raise CommandError(f"{error}.", code="usage", exit_code=Exit.USAGE) from None
    if name == settings.node.name:
        pki.ensure(state, region, settings.node.name, datetime.now(UTC), hosted=settings.hosted)
    succeed(
        {"node": name, "generation": fresh.generation}, as_json=as_json, text=f"{name}: earlier certificates are void"
    )
