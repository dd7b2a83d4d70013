"""Codes that let one person in: made here, shown once; only their slow hash is kept (:mod:`clawmates.wire.pairing`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from clawmates.base.secret import Secret
from clawmates.control.bots.tables import BotPairing
from clawmates.inventory import spans as kept
from clawmates.wire import pairing
from clawmates.wire.desired import MOST_PAIRINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A fresh code, for one page."""

    code: Secret[str]
    link: Secret[str]
    """Opens the bot in Telegram with the code; empty while nobody knows the bot's name there."""

    @property
    def grouped(self) -> str:
        """As people read it; either form is understood."""
        code = self.code.reveal()
        return f"{code[:4]}-{code[4:]}"

    def qr(self) -> str:
        """The link as a QR code (ISO/IEC 18004), an SVG without a style: dark on light in either theme."""
        import segno  # noqa: PLC0415 - 10 ms that only who is shown a code waits for

        return segno.make_qr(self.link.reveal(), error="m").svg_inline(
            scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None
        )


async def issue(session: AsyncSession, bot: str, username: str, now: datetime, random: Callable[[int], bytes]) -> Shown:
    """One more code; the oldest that pend give way, so that at most three do."""
    code = "".join(pairing.ALPHABET[byte % len(pairing.ALPHABET)] for byte in random(pairing.LENGTH))
    salt = random(32).hex()
    # A tenth of a second of work: beside the loop, not on it.
    digest = await asyncio.to_thread(pairing.digest, bot, salt, code)
    await session.execute(delete(BotPairing).where(BotPairing.bot_id == bot, BotPairing.ends_at <= now))
    pending = (await session.scalars(select(BotPairing).filter_by(bot_id=bot).order_by(BotPairing.ends_at))).all()
    for old in pending[: max(0, len(pending) - MOST_PAIRINGS + 1)]:
        await session.delete(old)
    session.add(BotPairing(salt=salt, bot_id=bot, digest=digest, ends_at=now + kept.PAIRING))
    await session.flush()
    link = f"https://t.me/{username}?start={code}" if username else ""
    return Shown(code=Secret(code), link=Secret(link))
