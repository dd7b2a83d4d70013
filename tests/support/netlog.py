"""What a browser has sent, by its own account, searched as `clawmates prove` searches."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawmates.proofs.search import Found, Patterns, search
from clawmates.proofs.sources import Piece

if TYPE_CHECKING:
    from playwright.async_api import Page

    from clawmates.proofs.canary import Canary

MOST = 1 << 20


@dataclass
class NetLog:
    """Every request as Chromium's own protocol tells of it (CDP, domain *Network*): address, headers, body."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    async def of(cls, page: Page) -> NetLog:
        log = cls()
        session = await page.context.new_cdp_session(page)
        await session.send("Network.enable", {"maxPostDataSize": MOST})
        for event in ("requestWillBeSent", "requestWillBeSentExtraInfo", "webSocketFrameSent"):
            session.on(f"Network.{event}", log.keep)
        return log

    def keep(self, event: dict[str, Any]) -> None:
        self.sent.append(event)

    @property
    def addresses(self) -> list[str]:
        return [one["request"]["url"] for one in self.sent if "request" in one]

    def bodies(self) -> list[str]:
        return [one["request"].get("postData", "") for one in self.sent if "request" in one]

    def search(self, canary: Canary) -> list[str]:
        """In which encodings the canary stands in any request, also inside what is packed."""
        found = []
        for one in self.sent:
            # A body that is JSON itself is searched as it went, not as JSON within JSON.
            body = one.get("request", {}).get("postData", "")
            raw = json.dumps(one, ensure_ascii=False).encode() + b"\n" + body.encode()
            found += [hit.encoding for hit in search(Piece(raw), Patterns.of(canary)) if isinstance(hit, Found)]
        return found
