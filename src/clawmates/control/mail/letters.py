"""What stands in our mails: plain text, one link of ours at most, nothing that reports who read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.control.accounts import links
from clawmates.control.accounts.leave import leave_of

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.control.texts.catalogue import Words


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail. It refuses to print: it holds an address and a link."""

    recipient: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    link: str = field(repr=False, default="")
    """What the terminal shows where mails go nowhere else; a notice has none, and is not shown there."""


def letter(words: Words, purpose: links.Purpose, recipient: str, origin: str, code: str) -> Letter:
    """The mail that carries a link."""
    link = links.address(origin, code)
    text = words(
        "mail.frame",
        wish=words(f"mail.{purpose}.wish"),
        link=link,
        page=f"{origin}/enter",
        code=links.shown(code),
        ignore=words(f"mail.{purpose}.ignore"),
    )
    return Letter(recipient, words(f"mail.{purpose}.subject"), text, link)


def told(words: Words, what: str, recipient: str, origin: str, at: datetime, browser: str) -> Letter:
    """The mail that says what has happened: no code, and no link but to the page that one knows already."""
    leave = leave_of(at)
    fields = {"browser": browser, "until": _shown(leave.until), "gone": _shown(leave.gone)}
    text = words(
        "mail.notice.frame",
        what=words(f"mail.notice.{what}.text", **fields),
        at=_shown(at),
        otherwise=words(f"mail.notice.{what}.otherwise", page=origin),
    )
    return Letter(recipient, words(f"mail.notice.{what}.subject"), text)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
