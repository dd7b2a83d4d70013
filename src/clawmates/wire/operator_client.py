"""Asking control as an operator, over its unix socket: a thin client of :mod:`clawmates.wire.operator`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from clawmates.base.shape import ShapeError, decode_json
from clawmates.wire.asking import FOREIGN, MAX_ANSWER, AwayError, ask
from clawmates.wire.audit import Entries, Lines, Witnesses
from clawmates.wire.backups import MOST_BYTES
from clawmates.wire.operator import Accounts, AuditView, Bots, Due, Leaving, Nodes, Retention, Standing

T = TypeVar("T")
CALL_SECONDS = 15.0
BACKUP_SECONDS = 300.0
"""Ten thousand accounts take some seconds, a busy host longer."""
_FOREIGN = FOREIGN.format("Control")


class ControlNotRunningError(Exception):
    """Control does not run here, or does not answer."""


@dataclass(frozen=True, slots=True)
class OperatorClient:
    """``socket`` is ``Settings.run.control``; only root and control's own user are let in.

    Every call raises :class:`ControlNotRunningError`. Ids and numbers are the caller's to check.
    """

    socket: Path

    async def accounts(self, after: str, most: int) -> Accounts:
        """A page of accounts."""
        return await self._ask(Accounts, f"/v1/accounts?after={after}&most={most}")

    async def account(self, account: str) -> Accounts:
        """One account, or none."""
        return await self._ask(Accounts, f"/v1/accounts/{account}")

    async def erase(self, account: str) -> Leaving | None:
        """An account is deleted; ``None`` where there is none."""
        return await self._call(Leaving, "POST", f"/v1/accounts/{account}/erase")

    async def bots(self, after: str, most: int) -> Bots:
        """A page of bots."""
        return await self._ask(Bots, f"/v1/bots?after={after}&most={most}")

    async def nodes(self) -> Nodes:
        """All nodes."""
        return await self._ask(Nodes, "/v1/nodes")

    async def drain(self, node: str, *, wanted: bool) -> Nodes | None:
        """A node is to be empty, or not any more; ``None`` where there is no such node."""
        return await self._call(Nodes, "POST", f"/v1/nodes/{node}/{'drain' if wanted else 'keep'}")

    async def backup(self) -> bytes:
        """Control's part of a backup."""
        try:
            status, answer = await ask(
                self.socket, "control", "POST", "/v1/backup", seconds=BACKUP_SECONDS, most=MOST_BYTES
            )
        except AwayError:
            raise ControlNotRunningError from None
        if status != 200:
            raise ControlNotRunningError("Control can make no backup now: its database or the vault does not answer.")
        return answer

    async def backup_due(self) -> bool:
        """Whether the daily backup is this host's to make now."""
        found = await self._call(Due, "POST", "/v1/backups/due")
        return found is not None and found.due

    async def backup_made(self) -> None:
        """One was made."""
        await self._call(Due, "POST", "/v1/backups/made")

    async def retention(self) -> Retention:
        """The retention jobs."""
        return await self._ask(Retention, "/v1/retention")

    async def standing(self) -> Standing:
        """Whether they are in time."""
        return await self._ask(Standing, "/v1/standing")

    async def audit(self, most: int) -> AuditView:
        """The newest entries."""
        return await self._ask(AuditView, f"/v1/audit?most={most}")

    async def entries(self, after: int) -> Entries:
        """A page of the chain."""
        return await self._ask(Entries, f"/v1/chain/entries/{after}")

    async def witnesses(self, after: int) -> Witnesses:
        """A page of the vault's words on it."""
        return await self._ask(Witnesses, f"/v1/chain/witnesses/{after}")

    async def lines(self, after: int) -> Lines:
        """A page of what control has signed of the vault's chain."""
        return await self._ask(Lines, f"/v1/chain/lines/{after}")

    async def _ask(self, cls: type[T], target: str) -> T:
        found = await self._call(cls, "GET", target)
        if found is None:
            raise ControlNotRunningError(_FOREIGN)
        return found

    async def _call(self, cls: type[T], method: str, target: str) -> T | None:
        try:
            status, answer = await ask(self.socket, "control", method, target, seconds=CALL_SECONDS)
        except AwayError:
            raise ControlNotRunningError from None
        if status == 404:
            return None
        if status != 200:
            raise ControlNotRunningError(_FOREIGN)
        try:
            return decode_json(cls, answer, MAX_ANSWER)
        except ShapeError:
            raise ControlNotRunningError(_FOREIGN) from None
