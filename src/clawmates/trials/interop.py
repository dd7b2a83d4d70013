"""``make interop``: OpenClaw's own command validates what ``clawmates export --format openclaw`` writes, and both ways.

It is installed by ``scripts/interop``, pinned by hash. A control shows that its command does refuse: the same
configuration with one word misspelt. Its schema, as far as it speaks of what we write, lies in ``tests/interop``: so
`make test` holds every export against it without 650 MB of another program, and this holds that copy against the
real one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawmates.selfhost import arriving
from clawmates.selfhost.openclaw import going
from clawmates.selfhost.openclaw.words import CONFIG, VERSION
from clawmates.trials.interop_cases import CHECKOUT, FOLDER, cases, pruned
from clawmates.trials.interop_gateway import PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clawmates.selfhost.wish import Wish

PLACE = CHECKOUT / "build" / "interop"
SCHEMA = FOLDER / "schema.json"
THEIRS = FOLDER / "theirs"
NODE = PLACE / "node" / "bin" / "node"
MADE_UP = "4242:made-up-for-this-trial-and-of-no-use-0"
QUIETLY = ("OPENCLAW_DISABLE_BONJOUR", "OPENCLAW_NO_AUTO_UPDATE", "OPENCLAW_NO_RESPAWN")
PATIENCE = 180.0
"""Seconds for one command; each takes about six."""


class BrokenError(Exception):
    """The two do not understand each other; the text says where."""


@dataclass(frozen=True, slots=True)
class OpenClaw:
    """Its command, run with a state folder of its own and an environment that holds nothing else."""

    home: Path

    def run(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """What it said; its exit code tells whether it agrees."""
        return self._run(folder, self._command(*words))

    def gateway(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Its gateway's start and end, with every reference filled in (:mod:`clawmates.trials.interop_gateway`).

        With the trial, which is the first process of its namespace, all that the gateway has started ends. Whoever is
        not root makes a user namespace for it, as a network of one's own asks for.
        """
        alone = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net", "--pid", "--fork"]
        alone += ["--kill-child=KILL", "--mount-proc"]
        trial = [sys.executable, "-I", "-m", "clawmates.trials.interop_gateway"]
        command = self._command("gateway", "run", "--port", str(PORT), "--bind", "loopback")
        names = (line.partition("=")[0] for line in (folder / "env.example").read_text().splitlines())
        said = dict.fromkeys(names, MADE_UP) | dict.fromkeys(QUIETLY, "1")
        return self._run(folder, [*alone, *trial, *command], said)

    @staticmethod
    def _command(*words: str) -> list[str]:
        return [str(NODE), str(PLACE / "node_modules" / "openclaw" / "openclaw.mjs"), *words]

    def _run(
        self, folder: Path, command: list[str], said: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home),
            "PATH": f"{NODE.parent}:/usr/bin:/bin",
            "OPENCLAW_STATE_DIR": str(folder),
            "OPENCLAW_CONFIG_PATH": str(folder / CONFIG),
            "OPENCLAW_GATEWAY_TOKEN": MADE_UP,
            **({"OPENCLAW_CONFIG_READONLY": "1"} if said is None else said),
        }
        return subprocess.run(  # noqa: S603 - the pinned program, with words of ours
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def accepts(self, folder: Path, *, grumbling: bool = False) -> bool:
        """Whether the configuration in it is one; with a warning it is none of ours."""
        done = self.run(folder, "config", "validate", "--json")
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise BrokenError(f"`openclaw config validate` said no JSON: {done.stderr[-400:]}") from None
        if done.returncode == 0 and answer["valid"] and answer["warnings"] and not grumbling:
            raise BrokenError(f"warnings: {answer['warnings']}")
        return bool(done.returncode == 0 and answer["valid"])


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0 when everything holds."""
    parser = argparse.ArgumentParser(prog="make interop")
    parser.add_argument("--write", action="store_true", help="write the copy of the schema anew")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        openclaw = OpenClaw(work)
        for name, check in checks(openclaw, work, write=arguments.write):
            began = time.monotonic()
            try:
                check()
            except BrokenError as error:
                sys.stderr.write(f"✗ {name}: {error}\n")
                return 1
            sys.stdout.write(f"✓ {name} ({time.monotonic() - began:.0f} s)\n")
            sys.stdout.flush()
    sys.stdout.write(f"OpenClaw {VERSION} understands what we write, and we what it writes.\n")
    return 0


def checks(openclaw: OpenClaw, work: Path, *, write: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each by its name."""
    yield "the copy of its schema is its schema", lambda: _schema(openclaw, work, write=write)
    for number, (name, bots) in enumerate(cases().items()):
        yield f"out, {name}", lambda bots=bots, number=number: _goes(openclaw, bots, work / f"out-{number}")  # type: ignore[misc]
        yield f"out and back, {name}", lambda bots=bots: _returns(bots, work)  # type: ignore[misc]
    yield "it sees our bots", lambda: _sees(openclaw, cases()["every kind"], work / "out-0")
    yield "its audit finds nothing critical", lambda: _audited(openclaw, work / "out-0")
    yield "its gateway starts on it", lambda: _starts(openclaw, cases()["one"], work / "gateway")
    yield (
        "theirs is one of theirs",
        lambda: _demand(openclaw.accepts(THEIRS, grumbling=True), "it refuses our example of its own"),
    )
    yield "in, and out again", lambda: _goes(openclaw, arriving.read(THEIRS).bots, work / "back")
    yield "a misspelt word is refused", lambda: _refuses(openclaw, work / "misspelt")


def _goes(openclaw: OpenClaw, bots: Sequence[Wish], folder: Path) -> None:
    _unpack(bots, folder)
    if not openclaw.accepts(folder):
        raise BrokenError(openclaw.run(folder, "config", "validate").stderr[-2000:])


def _sees(openclaw: OpenClaw, bots: Sequence[Wish], folder: Path) -> None:
    """Its own list of agents: each bot with its model, and the account that leads to it."""
    done = openclaw.run(folder, "agents", "list", "--bindings", "--json")
    _demand(done.returncode == 0, done.stderr[-400:])
    seen = {one["id"]: (one["model"], one.get("bindingDetails", [])) for one in json.loads(done.stdout)}
    meant = {bot.name: (f"{bot.provider}/{bot.model}", [f"telegram accountId={bot.name}"]) for bot in bots}
    _demand(seen == meant, f"it sees {[one for one in meant if seen.get(one) != meant[one]]} otherwise than we mean")


def _audited(openclaw: OpenClaw, folder: Path) -> None:
    """Its own audit of a host: with a bot that is open to everybody among them, nothing critical."""
    done = openclaw.run(folder, "security", "audit", "--json")
    try:
        found = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError):
        raise BrokenError(f"`openclaw security audit` said no findings: {done.stderr[-400:]}") from None
    critical = [one["checkId"] for one in found if one["severity"] == "critical"]
    _demand(bool(found) and not critical, f"critical for it: {critical}")


def _starts(openclaw: OpenClaw, bots: Sequence[Wish], folder: Path) -> None:
    """In a folder of its own, because it makes its databases there."""
    _unpack(bots, folder)
    done = openclaw.gateway(folder)
    _demand(done.returncode == 0, done.stderr[-2000:])


def _returns(bots: Sequence[Wish], work: Path) -> None:
    package = work / "there.zip"
    package.write_bytes(going.pack(bots, datetime.now(UTC)))
    arrived = arriving.read(package)
    _demand(not arrived.lost, f"lost on the way: {[str(one) for one in arrived.lost]}")
    _demand(going.config(arrived.bots) == going.config(bots), "what came back is not what went out")


def _refuses(openclaw: OpenClaw, folder: Path) -> None:
    _unpack(cases()["one"], folder)
    path = folder / CONFIG
    path.write_text(path.read_text().replace('"dmPolicy"', '"dmPolcy"'))
    _demand(not openclaw.accepts(folder), "it accepts a configuration with a misspelt word, so its yes says nothing")


def _schema(openclaw: OpenClaw, work: Path, *, write: bool) -> None:
    done = openclaw.run(work, "config", "schema")
    _demand(done.returncode == 0, done.stderr[-400:])
    now = schema_of(json.loads(done.stdout))
    if write:
        SCHEMA.write_text(now)
    _demand(SCHEMA.read_text() == now, f"{SCHEMA} is another: look what changed, then `make interop WRITE=1`")


def schema_of(whole: Any) -> str:
    """The copy of it, as text."""
    documents = [going.config(bots) for bots in cases().values()]
    return json.dumps(pruned(whole, documents), indent=1, sort_keys=True) + "\n"


def _unpack(bots: Sequence[Wish], folder: Path) -> None:
    for name, text in going.files(bots):
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(text)


def _demand(holds: bool, sentence: str) -> None:  # noqa: FBT001 - a condition is what it is
    if not holds:
        raise BrokenError(sentence)


if __name__ == "__main__":
    sys.exit(main())
