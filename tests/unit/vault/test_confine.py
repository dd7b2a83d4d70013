"""Landlock, tried in processes of their own: it cannot be taken back."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from clawmates.base.paths import State
from clawmates.base.settings import Settings, Vault
from clawmates.vault import confine as confine_module
from clawmates.vault.confine import READ, Confinement, Reach, confine, reach_of

TRY = """
import json, os, socket, subprocess, sys
from pathlib import Path
import clawmates.base.hardening as h
from clawmates.vault.confine import Confinement, Reach, confine, runtime

inside, outside, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
connect, really = sys.argv[4:]
h.harden()

def tried(work):
    try:
        work()
    except OSError as error:
        return error.strerror
    return "done"

def call():
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass

result = Confinement.UNAVAILABLE
if really == "yes":
    result = confine(Reach(reads=(*runtime(), inside / "read"), writes=(inside / "write",), connect=connect == "yes"))
print(json.dumps({
    "result": result.value,
    "write inside": tried(lambda: (inside / "write" / "new").write_text("x")),
    "rename inside": tried(lambda: (inside / "write" / "new").rename(inside / "write" / "newer")),
    "remove inside": tried(lambda: (inside / "write" / "newer").unlink()),
    "make a folder inside": tried(lambda: (inside / "write" / "folder").mkdir()),
    "read": tried(lambda: (inside / "read" / "file").read_text()),
    "write where only reading is": tried(lambda: (inside / "read" / "file").write_text("x")),
    "write outside": tried(lambda: (outside / "new").write_text("x")),
    "read outside": tried(lambda: (outside / "file").read_text()),
    "list outside": tried(lambda: os.listdir(outside)),
    "truncate outside": tried(lambda: os.truncate(outside / "file", 0)),
    "run a program": tried(lambda: subprocess.run(["/usr/bin/true"], check=True)),
    "connect": tried(call),
    "import": tried(lambda: __import__("xmlrpc.client")),
}))
"""
DENIED = "Permission denied"


def run(tmp_path: Path, *, connect: bool = False, really: bool = True) -> dict[str, str]:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside / "read", inside / "write", outside):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        words = [str(inside), str(outside), port, "yes" if connect else "no", "yes" if really else "no"]
        done = subprocess.run([sys.executable, "-I", "-c", TRY, *words], check=True, capture_output=True, timeout=60)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("connect", [False, True])
def test_what_is_outside_is_out_of_reach(tmp_path: Path, connect: bool) -> None:  # noqa: FBT001 - a parameter
    found = run(tmp_path, connect=connect)
    if found["result"] == Confinement.UNAVAILABLE:
        # A kernel without landlock: the vault says so in its status, and nothing is promised.
        assert confine_module._landlock(confine_module._CREATE_RULESET, None, 0, 1) < 1
        return
    denied = {name for name, outcome in found.items() if outcome == DENIED}
    reachable = {"result", "write inside", "rename inside", "remove inside", "read", "import"}
    network = found["result"] == Confinement.FULL
    assert denied == set(found) - reachable - (set() if network else {"connect"})
    assert all(found[name] == "done" for name in reachable - {"result"})
    assert connect is not network


def test_without_it_everything_is_in_reach(tmp_path: Path) -> None:
    """The weakened build: the test above is red against it."""
    found = run(tmp_path, really=False)
    assert {outcome for name, outcome in found.items() if name != "result"} == {"done"}


def test_the_vault_reaches_its_own_places_and_calls_nobody(tmp_path: Path) -> None:
    state = State(tmp_path)
    reach = reach_of(state, Settings())
    assert reach is not None
    assert set(reach.writes) == {state.vault, state.log}
    assert not reach.connect
    assert state.pki not in reach.reads
    assert {state.authority, state.config, state.pki / "vault", state.release} <= set(reach.reads)
    elsewhere = reach_of(state, Settings(vault=Vault(master_key="file:/media/key/master.key")))
    assert elsewhere is not None
    assert Path("/media/key") in elsewhere.writes


def test_a_token_decides_itself_and_a_key_service_is_called(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert reach_of(state, Settings(vault=Vault(master_key="pkcs11:token=x"))) is None
    assert confine(None) is Confinement.OFF
    key = "aws-kms:arn:aws:kms:eu-central-1:111122223333:key/abc?credentials=/etc/clawmates/kms.json"
    abroad = reach_of(state, Settings(vault=Vault(master_key=key)))
    assert abroad is not None
    assert abroad.connect
    assert Path("/etc") in abroad.reads


def test_a_kernel_without_it_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing = Reach(reads=(), writes=())
    monkeypatch.setattr(confine_module, "_landlock", lambda *_: -1)
    assert confine(nothing) is Confinement.UNAVAILABLE


def test_a_kernel_that_refuses_half_way_is_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rules: list[int] = []
    answers = {"ruleset": -1, "restrict": 0}

    def kernel(number: int, *given: object) -> int:
        if number == confine_module._CREATE_RULESET:
            return 3 if given[0] is None else (answers["ruleset"] if answers["ruleset"] < 0 else _descriptor())
        if number == confine_module._RESTRICT_SELF:
            return answers["restrict"]
        rules.append(number)
        return 0

    monkeypatch.setattr(confine_module, "_landlock", kernel)
    (tmp_path / "file").write_text("x")
    reach = Reach(reads=(tmp_path, tmp_path / "file", tmp_path / "missing"), writes=())
    assert confine(reach) is Confinement.UNAVAILABLE
    answers["ruleset"] = 0
    assert confine(reach) is Confinement.FILES
    assert len(rules) == 2
    answers["restrict"] = -1
    assert confine(reach) is Confinement.UNAVAILABLE


def _descriptor() -> int:
    one, two = socket.socketpair()
    one.close()
    return two.detach()


@pytest.mark.parametrize(
    ("version", "more"), [(1, 0), (2, 1 << 13), (3, 3 << 13), (4, 3 << 13), (5, 7 << 13), (7, 7 << 13)]
)
def test_a_kernel_is_asked_for_what_it_knows(version: int, more: int) -> None:
    assert confine_module._handled(version) == (1 << 13) - 1 | more
    assert confine_module._handled(version) & READ == READ


def test_the_kernel_is_asked_in_its_own_words() -> None:
    """The question alone changes nothing; a kernel without the call says -1."""
    version = confine_module._landlock(confine_module._CREATE_RULESET, None, 0, confine_module._ASK_VERSION)
    assert version == -1 or version >= 1
