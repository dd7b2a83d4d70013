"""Control taken over, on a whole platform: what it tells a node, and what it reaches on the host that it runs on.

In its place is a program of the attacker's, with its certificate, at its address. Each thing that it tries fails, and
gets through to the container where the one check in its way was taken out of node or vault.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support import releases
from tests.support.compromise import FORGED
from tests.support.impostor import Impostor, instead, plain, taken_over, within_reach

from clawmates.node.engines.base import Running
from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.selfhost import bots, signing
from clawmates.simulator.model import Service
from clawmates.trials.hosted import free_port, hosted
from clawmates.trials.throwaway import RELEASE, Bot, Throwaway, throwaway
from clawmates.wire.codes import Trouble
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState, BotStatus

pytestmark = pytest.mark.timeout(400)
PERSON = 4711
VICTIM = "victim"
ELSEWHERE = Service.ANTHROPIC
UNLISTED = Service.GOOGLE.host
"""A host that a listener of ours answers for, and that is none of the bot's."""
IMPATIENT = "import clawmates.node.following as f; f.LONGEST_PAUSE = 0.2"
"""So that the next attempt need not wait for ten seconds after the last."""
OBEDIENT = "from tests.support import obedient; obedient.obey()"
"""Before any other module of node's is there."""
UNSIGNED = f"{IMPATIENT}\nimport clawmates.wire.releases as r; r._check_signature = lambda *_: None"
ANY_HOST = f"""import clawmates.vault.store as s
item = s.OpenItem
s.OpenItem = lambda **k: item(**(k | {{'hosts': (*k['hosts'], {ELSEWHERE.host!r})}}))"""
PYTHON = str(Path(sys.executable).resolve())
"""Where it lies for every user, and not in an environment of ours."""
KNOCK = """import socket, sys
with socket.socket(socket.AF_UNIX) as way:
    way.settimeout(20)
    way.connect(sys.argv[1])
    way.sendall(f'CONNECT {sys.argv[2]}:443 HTTP/1.1\\r\\nHost: {sys.argv[2]}:443\\r\\n\\r\\n'.encode())
    print(way.recv(4096).decode().splitlines()[0])
"""
OTHER_DIGEST = "sha256:" + "e" * 64
COMMAND = ["/usr/bin/python3", "-I", "-S", "-OO", "-c", "import time; time.sleep(600)", "evil"]
WORDS: dict[str, Any] = {
    "image": OTHER_DIGEST,
    "command": COMMAND,
    "mounts": {"/etc": "/etc/ssl"},
    "environment": {"EVIL": "1"},
    "hosts": [UNLISTED],
    "base_url": "https://keys.evil.example/v1",
}
"""What a desired state has no word for."""


async def trouble(trial: Throwaway, wanted: str) -> None:
    async with asyncio.timeout(60):
        while (await trial.live.status()).trouble != wanted:  # noqa: ASYNC110 - another process changes
            await asyncio.sleep(0.02)


async def running(trial: Throwaway, condition: Callable[[BotStatus], bool] = lambda _bot: True) -> BotStatus:
    return await trial.until(VICTIM, lambda bot: bot.pid > 0 and condition(bot))


async def answer(trial: Throwaway, bot: Bot, text: str) -> str:
    before = await trial.simulator.sent(bot.token, PERSON)
    await trial.simulator.say(bot.token, PERSON, text)
    after = before[-1].message_id if before else 0
    return (await trial.simulator.wait_reply(bot.token, PERSON, after=after, timeout=60)).text


async def calls(trial: Throwaway, service: Service) -> int:
    return len(await trial.simulator.journal(service))


def user_of(pid: int) -> int:
    found = re.search(r"^Uid:\t(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def connect(trial: Throwaway, host: str) -> bytes:
    """The first line that the bot's door says to a tunnel, asked as the bot's own user."""
    door = trial.platform.settings.run.doors / VICTIM / "door.sock"
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-I", "-c", KNOCK, str(door), host),
        stdout=asyncio.subprocess.PIPE,
        user=user_of((await running(trial)).pid),
        cwd="/",
        env={},
    )
    said, _ = await process.communicate()
    return said


def put_release(trial: Throwaway, folder: Path) -> None:
    """As whoever may write there; each file in one rename."""
    for source in (*folder.glob("*.tar"), folder / "release.json", folder / "release.sig"):
        fresh = trial.state.release / f".{source.name}.new"
        shutil.copyfile(source, fresh)
        fresh.rename(trial.state.release / source.name)


async def containers(trial: Throwaway) -> tuple[Running, ...]:
    files = PodmanFiles(trial.state.engine, trial.platform.settings.run.engine)
    engine = PodmanEngine(files, "")
    try:
        return tuple(one for one in await engine.list() if one.pid)
    finally:
        engine.close()


async def runs(trial: Throwaway, *images: str) -> tuple[Running, ...]:
    """Waits until there are containers of these images, and no others."""
    async with asyncio.timeout(120):
        while True:
            found = await containers(trial)
            if {one.image for one in found} == set(images):
                return found
            await asyncio.sleep(0.1)


async def words_of_its_own(trial: Trial) -> None:
    """An unknown word makes the whole document invalid, and the last one stays in force."""
    before = await running(trial.on)
    for more in ({}, *({name: word} for name, word in WORDS.items())):
        extra = {} if more else {"release": {"digest": OTHER_DIGEST}, "catalogue": [UNLISTED]}
        await trial.control.say(trial.victim | more, **extra)
        await trouble(trial.on, Trouble.DESIRED_INVALID)
        await trial.control.say(trial.victim)
        await trouble(trial.on, "")
    assert (await running(trial.on)).pid == before.pid
    assert b" 403 " in await connect(trial.on, UNLISTED)


async def a_provider_of_its_own(trial: Trial) -> None:
    await trial.control.say(trial.victim | {"provider": "evil"})
    await trial.on.until(VICTIM, lambda bot: bot.code == Trouble.UNKNOWN_PROVIDER and not bot.pid)
    await trial.control.say(trial.victim)
    await trial.on.until_live(VICTIM)


async def a_provider_of_somebody_elses(trial: Trial) -> None:
    """A signed one, that the key was not sealed for. The mate keeps it to itself."""
    await trial.control.say(trial.victim | trial.other)
    async with asyncio.timeout(60):
        while True:
            before = await calls(trial.on, Service.OPENAI)
            await answer(trial.on, trial.bot, "to whom?")
            if await calls(trial.on, Service.OPENAI) == before:
                break
    assert await calls(trial.on, ELSEWHERE) == 0
    await instead(trial.on, "vault", ANY_HOST)  # the weakened build
    await trial.control.say(trial.victim | trial.other | {"restarts": 1})
    async with asyncio.timeout(120):
        while not await calls(trial.on, ELSEWHERE):
            await answer(trial.on, trial.bot, "and now?")
    await instead(trial.on, "vault")
    third = await running(trial.on)
    await trial.control.say(trial.victim | {"restarts": 2})
    await running(trial.on, lambda bot: bot.state is BotState.LIVE and bot.pid != third.pid)


async def a_release_of_its_own(trial: Trial, forged: Path) -> str:
    """Where it could even put one in its place. Returns the other image, which the weakened build has loaded."""
    fresh = releases.another_image(RELEASE, forged, 33)
    signing.write(forged, fresh, FORGED)
    before = await running(trial.on)
    put_release(trial.on, forged)
    await trouble(trial.on, Trouble.RELEASE_UNSIGNED)
    assert (await running(trial.on)).pid == before.pid
    await instead(trial.on, "node", UNSIGNED)  # the weakened build
    await runs(trial.on, fresh.image.config)
    put_release(trial.on, RELEASE)
    return fresh.image.config


async def obeyed(trial: Trial, image: str) -> None:
    """The weakened build of :func:`words_of_its_own`: every word of it is done."""
    await instead(trial.on, "node", OBEDIENT)
    await trial.control.say()
    await runs(trial.on)
    await trial.control.say(trial.victim | WORDS | {"image": image, "restarts": 3})
    (there,) = await runs(trial.on, image)
    here = Path(f"/proc/{there.pid}")
    async with asyncio.timeout(60):
        while b"evil" not in (here / "cmdline").read_bytes():  # noqa: ASYNC110 - for a moment it is runc still
            await asyncio.sleep(0.02)
    assert b"EVIL=1" in (here / "environ").read_bytes().split(b"\0")
    assert " /etc/ssl " in (here / "mountinfo").read_text()
    assert b" 200 " in await connect(trial.on, UNLISTED)


async def files_of_the_host(trial: Trial) -> None:
    """With control's user, on the host that all others run on too."""
    state, run, bot = trial.on.state, trial.on.platform.settings.run, await running(trial.on)
    own = ("read", state.identity("control")[1])
    boot = run.boot / VICTIM / str(bot.generation) / "boot.json"
    processes = (bot.pid, *(trial.on.platform.supervisor.pid(name) for name in ("vault", "gateway", "node")))
    wishes = [
        own,
        ("read", boot),
        ("read", state.pki / "authority.key"),
        *(("read", state.identity(name)[1]) for name in ("vault", "node", "cli")),
        *(("read", state.vault / name) for name in ("master.key", "keys.db", "vault.db")),
        *(("read", Path(f"/proc/{pid}/{name}")) for pid in processes for name in ("mem", "environ")),
        *(("write", path) for path in (state.config, state.release / "release.json", state.authority)),
        *(("ask", path) for path in (run.node, run.gateway, run.doors / VICTIM / "door.sock")),
    ]
    assert [path for _, path in wishes if not path.exists()] == []
    assert await within_reach(trial.on, wishes) == {own}
    boot.chmod(0o444)
    for folder in (boot.parent, boot.parent.parent):
        folder.chmod(0o755)
    assert await within_reach(trial.on, wishes) == {own, ("read", boot)}, "with a ticket open to all it would be one"


@dataclass
class Trial:
    """A platform whose control is somebody else, with a bot that its owner launched before."""

    on: Throwaway
    control: Impostor
    bot: Bot
    victim: dict[str, Any]
    other: dict[str, Any]


async def test_what_a_taken_over_control_tells_a_node_and_reaches_on_its_host(tmp_path: Path) -> None:
    async with throwaway(settings=hosted(free_port())) as on, taken_over(on) as control:
        bot = Bot.invent(VICTIM, ChannelKind.TELEGRAM)
        await on.add([bot])
        model = on.model_of(ELSEWHERE.value)
        await on.stand_ins.at(ELSEWHERE).add_model(model, ELSEWHERE)
        await on.simulator.add_key(bot.key, ELSEWHERE)
        victim = plain(bots.find(bots.read(on.state), VICTIM))
        trial = Trial(on, control, bot, victim, {"provider": ELSEWHERE.value, "model": model})
        await instead(on, "node", IMPATIENT)
        await control.say(victim)
        await on.until_live(VICTIM)
        assert "hello" in await answer(on, bot, "hello")
        await files_of_the_host(trial)
        await words_of_its_own(trial)
        await a_provider_of_its_own(trial)
        await a_provider_of_somebody_elses(trial)
        await obeyed(trial, await a_release_of_its_own(trial, tmp_path / "forged"))
