"""Defects that keep what was said.

A mate itself finds no place to write to: its root is read-only, and its temp folder is the map's root's. What is left
is to send the text where somebody else keeps it.
"""

from __future__ import annotations

from clawmates.proofs.result import Claim
from clawmates.trials.mutation import Change, Mutation

RELAY = "src/clawmates/mate/relay.py"

MUTATIONS = (
    Mutation(
        id="event-with-free-text",
        what="an event carries the message into the log",
        changes=(
            Change(
                file="src/clawmates/wire/codes.py",
                old='    number: int = 0\n    username: str = ""\n',
                new='    number: int = 0\n    username: str = ""\n    note: str = ""\n',
            ),
            Change(
                file=RELAY,
                old="    async def _reply(self, inbound: Inbound) -> None:\n",
                new="    async def _reply(self, inbound: Inbound) -> None:\n"
                "        await self.turns.say(Event(code=Code.LIVE, note=inbound.text))\n",
            ),
        ),
        claim=Claim.NO_STORAGE,
    ),
    Mutation(
        id="write-a-temp-file",
        what="what is typed into the terminal's console passes through a file that stays",
        changes=(
            Change(
                file="src/clawmates/selfhost/console.py",
                old="        try:\n            process.stdin.write(",
                new='        with open(self.environment["CONTAINERS_CONF"] + ".said", "a") as kept:\n'
                "            kept.write(text)\n"
                "        try:\n            process.stdin.write(",
            ),
        ),
        claim=Claim.NO_STORAGE,
        quick=True,
    ),
)
