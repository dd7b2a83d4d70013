"""Defects that keep what was said.

A mate itself finds no place to write to: its root is read-only, and its temp folder is the map's root's. What is left
is to send the text where somebody else keeps it, or what lies around the container: consoles, and who adds a bot.
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
    Mutation(
        id="conversation-across-a-restart",
        what="a bot leaves its conversation beside its door, and goes on with it in its next life",
        changes=(
            Change(
                file="src/clawmates/wire/door.py",
                old="    input_tokens: int = 0\n    output_tokens: int = 0\n\n    def __post_init__",
                new="    input_tokens: int = 0\n    output_tokens: int = 0\n"
                '    said: str = ""\n\n    def __post_init__',
            ),
            Change(
                file="src/clawmates/gateway/doors.py",
                old="            door = self._make(spec)\n",
                new='            door = self._make(spec)\n            door.said = folder / "said"\n',
            ),
            Change(
                file="src/clawmates/gateway/doors.py",
                old="            (folder / SOCKET_NAME).unlink(missing_ok=True)\n",
                new="            (folder / SOCKET_NAME).unlink(missing_ok=True)\n"
                '            (folder / "said").unlink(missing_ok=True)\n',
            ),
            Change(
                file="src/clawmates/gateway/door.py",
                old="                self.ledger.end(request.json(TurnEnd))\n",
                new="                end = request.json(TurnEnd)\n"
                "                self.ledger.end(end)\n"
                "                self.said.write_text(end.said)\n"
                "                self.said.chmod(0o644)\n",
            ),
            Change(
                file=RELAY,
                old="                TurnEnd(turn=inbound.turn, input_tokens=used.input_tokens,",
                new="                TurnEnd(turn=inbound.turn,\n"
                "                    said=str(self.memory.window(inbound.chat, inbound.message, 1000)[-1].text),\n"
                "                    input_tokens=used.input_tokens,",
            ),
            Change(
                file=RELAY,
                old="                answered = await self._composer.compose(writing, reply)\n",
                new="                if not self.memory.knows(inbound.chat):\n"
                "                    with suppress(OSError):\n"
                '                        before = Text(open("/run/door/said").read())\n'
                "                        for author in (Author.USER, Author.ASSISTANT):\n"
                "                            self.memory.remember(inbound.chat, Message(author, (before,)))\n"
                "                answered = await self._composer.compose(writing, reply)\n",
            ),
        ),
        claim=Claim.NO_STORAGE,
    ),
    Mutation(
        id="console-through-the-engine",
        what="the terminal's console is started by the engine, whose monitor keeps what passes in its memory",
        changes=(
            Change(
                file="src/clawmates/selfhost/talk.py",
                old='(str(files.storage / runtime), "exec", "--detach", "--user",',
                new='("podman", "exec", "--interactive", "--user",',
            ),
        ),
        claim=Claim.NO_STORAGE,
    ),
    Mutation(
        id="prompt-beside-the-bot",
        what="whoever adds a bot keeps its prompt in a file, to change it more easily later",
        changes=(
            Change(
                file="src/clawmates/selfhost/bots.py",
                old="        versions[name] = await _put(vault, key, binding, secret)\n",
                new="        versions[name] = await _put(vault, key, binding, secret)\n"
                "        if name is ItemName.PROMPT:\n"
                '            (state.root / f"{draft.name}.prompt").write_text(secret.reveal())\n',
            ),
        ),
        claim=Claim.NO_STORAGE,
    ),
)
