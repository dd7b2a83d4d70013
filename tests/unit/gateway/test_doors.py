from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawmates.base.http.client import ClosedError, Connection, HttpError
from clawmates.base.http.server import Peer
from clawmates.base.shape import encode_json
from clawmates.gateway import door as door_module
from clawmates.gateway import events as events_module
from clawmates.gateway.doors import prepare
from clawmates.gateway.listen import InUseError, bind, refuse_second
from clawmates.wire.codes import Code, Event
from clawmates.wire.desired import Limits
from clawmates.wire.door import Refusal, TurnAnswer, TurnBegin, TurnEnd, Verdict
from clawmates.wire.gateway_client import GatewayClient, GatewayDownError, GatewayRefusedError
from clawmates.wire.gatewayctl import EVENTS_WAIT_SECONDS

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import House


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def begin(house: House, turn: str) -> str:
    status, answer = await house.call("POST", "/turn/begin", TurnBegin(turn=turn))
    assert status == 200
    return str(json.loads(answer)["verdict"])


class TestFolder:
    async def test_modes(self, house: House) -> None:
        await house.client.put(house.spec())
        folder = house.doors / "bot-1"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert stat.S_IMODE((folder / "door.sock").stat().st_mode) == 0o666
        assert stat.S_IMODE(house.client.path.stat().st_mode) == 0o600
        assert [one.name for one in folder.iterdir()] == ["door.sock"]

    async def test_delete_removes_the_folder_and_every_connection(self, house: House) -> None:
        await house.client.put(house.spec())
        mate = await house.knock()
        await house.client.delete("bot-1")
        assert not (house.doors / "bot-1").exists()
        assert await mate.reader.read(1) == b""
        assert (await house.client.status()).doors == ()
        await mate.close()

    async def test_delete_of_an_unknown_bot(self, house: House) -> None:
        await house.client.delete("never-seen")
        (house.doors / "left-over").mkdir()
        await house.client.delete("left-over")
        assert not (house.doors / "left-over").exists()

    async def test_existing_folder_is_kept_and_stale_sockets_go(self, house: House) -> None:
        folder = house.doors / "bot-1"
        folder.mkdir()
        inode = folder.stat().st_ino
        (folder / "door.sock.txt").write_text("not a socket")
        bind(folder / "door.sock", 0o666).close()
        bind(folder / ".door.sock.1", 0o666).close()
        prepare(house.doors)
        assert [one.name for one in folder.iterdir()] == ["door.sock.txt"]
        await house.client.put(house.spec())
        assert folder.stat().st_ino == inode
        assert await begin(house, "1") == "go"
        (folder / "door.sock.txt").unlink()

    async def test_folder_that_is_something_else_is_refused(self, house: House, run_folder: Path) -> None:
        (house.doors / "bot-1").symlink_to(run_folder)
        with pytest.raises(GatewayRefusedError):
            await house.client.put(house.spec())
        (house.doors / "bot-2").write_text("")
        with pytest.raises(GatewayRefusedError):
            await house.client.put(house.spec("bot-2"))
        assert (await house.client.status()).doors == ()

    async def test_folder_that_cannot_be_removed_says_so(self, house: House) -> None:
        await house.client.put(house.spec())
        (house.doors / "bot-1" / "foreign").write_text("")
        with pytest.raises(GatewayRefusedError):
            await house.client.delete("bot-1")

    async def test_two_hundred_doors_leave_nothing_behind(self, house: House) -> None:
        before = descriptors()
        for crowd in range(2):
            names = [f"bot-{crowd}-{number}" for number in range(100)]
            for name in names:
                await house.client.put(house.spec(name))
            assert len((await house.client.status()).doors) == len(names)
            for name in names:
                await house.client.delete(name)
        assert descriptors() <= before + 2
        assert list(house.doors.iterdir()) == []


class TestPeers:
    @pytest.mark.parametrize(("first", "count"), [(-1, 1), (1, 5)])
    async def test_stranger_is_closed_without_a_byte(self, house: House, first: int, count: int) -> None:
        await house.client.put(house.spec(uid_first=house.uid + first, uid_count=count))
        mate = await house.knock()
        assert await mate.reader.read() == b""
        await mate.close()

    @pytest.mark.parametrize(("first", "count"), [(-1, 2), (0, 1), (-5, 6)])
    async def test_peer_within_the_range_is_served(self, house: House, first: int, count: int) -> None:
        await house.client.put(house.spec(uid_first=house.uid + first, uid_count=count))
        assert (await house.call("GET", "/nothing"))[0] == 404

    async def test_range_that_does_not_hold_the_peer(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        await house.client.put(house.spec(uid_first=house.uid + 1))
        with pytest.raises(HttpError):
            await house.call("GET", "/nothing")
        monkeypatch.setattr(door_module.Door, "_knows", lambda self, uid: True)
        assert (await house.call("GET", "/nothing"))[0] == 404, "weakened, the same peer is served"

    async def test_control_socket_serves_root_and_its_own_user_only(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("clawmates.base.http.server.peer_of", lambda writer: Peer(1, os.geteuid() + 1, 0))
        with pytest.raises(GatewayDownError):
            await house.client.status()
        for uid in (0, os.geteuid()):
            monkeypatch.setattr("clawmates.base.http.server.peer_of", lambda writer, uid=uid: Peer(1, uid, 0))
            assert (await house.client.status()).doors == ()

    async def test_too_many_connections_are_closed_unread(self, house: House) -> None:
        await house.client.put(house.spec())
        limits = house.gateway.settings.gateway.limits
        most = limits.connections + limits.parked + door_module.SPARE_CONNECTIONS
        mates = [await house.knock() for _ in range(most + 1)]
        statuses = []
        for mate in mates:
            try:
                statuses.append((await mate.request("GET", "/nothing")).status)
            except ClosedError:
                statuses.append(0)
        assert statuses == [404] * most + [0]
        for mate in mates:
            await mate.close()


class TestTurns:
    async def test_way(self, house: House) -> None:
        await house.client.put(house.spec())
        assert [await begin(house, "1"), await begin(house, "1"), await begin(house, "1")] == ["go", "go", "give-up"]
        assert (await house.call("POST", "/turn/end", TurnEnd(turn="2", input_tokens=3, output_tokens=4)))[0] == 204
        assert await begin(house, "2") == "done"
        status = (await house.client.status()).doors[0]
        assert (status.turns, status.input_tokens, status.output_tokens) == (2, 3, 4)

    async def test_limits_follow_the_specification(self, house: House) -> None:
        await house.client.put(house.spec(limits=Limits(messages_per_day=0)))
        assert await begin(house, "1") == "over"
        await house.client.put(house.spec())
        assert await begin(house, "1") == "go"

    async def test_tells_whether_a_chat_was_answered_of_late(self, house: House) -> None:
        await house.client.put(house.spec())
        for turn, met in (("1", False), ("2", True)):
            status, answer = await house.call("POST", "/turn/begin", TurnBegin(turn=turn, chat="a"))
            assert (status, json.loads(answer)) == (200, {"verdict": "go", "met": met})
            await house.call("POST", "/turn/end", TurnEnd(turn=turn))

    async def test_a_mate_that_names_no_chats_reads_what_it_always_read(self, house: House) -> None:
        await house.client.put(house.spec())
        _status, answer = await house.call("POST", "/turn/begin", {"turn": "1"})
        assert json.loads(answer) == {"verdict": "go"}

    async def test_ledger_survives_the_mate_but_not_the_bot(self, house: House) -> None:
        await house.client.put(house.spec())
        await house.call("POST", "/turn/end", TurnEnd(turn="1"))
        await house.client.put(house.spec(revision=2))
        assert await begin(house, "1") == "done"
        await house.client.delete("bot-1")
        await house.client.put(house.spec())
        assert await begin(house, "1") == "go"

    async def test_bots_know_nothing_of_each_other(self, house: House) -> None:
        await house.client.put(house.spec())
        await house.client.put(house.spec("bot-2"))
        await house.call("POST", "/turn/end", TurnEnd(turn="1"))
        status, answer = await house.call("POST", "/turn/begin", TurnBegin(turn="1"), bot="bot-2")
        assert (status, json.loads(answer)) == (200, {"verdict": TurnAnswer(verdict=Verdict.GO).verdict})


class TestBadInput:
    @pytest.mark.parametrize(
        ("method", "target", "body", "status"),
        [
            ("POST", "/turn/begin", {"turn": ""}, 400),
            ("POST", "/turn/begin", {"turn": "x" * 129}, 400),
            ("POST", "/turn/begin", {"turn": 1}, 400),
            ("POST", "/turn/begin", {"turn": "1", "chat": "x" * 129}, 400),
            ("POST", "/turn/begin", {"turn": "1", "text": "what the person said"}, 400),
            ("POST", "/turn/begin", None, 400),
            ("POST", "/turn/end", {"turn": "1", "input_tokens": -1}, 400),
            ("POST", "/event", {"code": "anything goes"}, 400),
            ("POST", "/event", {"code": "live", "username": "free text!"}, 400),
            ("POST", "/event", {"code": "live", "note": "free text"}, 400),
            ("GET", "/config?after=minus", None, 400),
            ("GET", "/status", None, 404),
            ("GET", "/turn/begin", None, 404),
            ("PUT", "/bots/bot-1", {}, 404),
        ],
    )
    async def test_door(self, house: House, method: str, target: str, body: object, status: int) -> None:
        await house.client.put(house.spec())
        assert (await house.call(method, target, body))[0] == status
        assert (await house.client.events(0, "")).events == ()

    @pytest.mark.parametrize(
        ("method", "target", "body", "status"),
        [
            ("PUT", "/bots/bot-1", b"{}", 400),
            ("PUT", "/bots/bot-1", b"{", 400),
            ("PUT", "/bots/..%2f", b"{}", 400),
            ("DELETE", "/bots/../../etc", b"", 400),
            ("DELETE", "/bots/", b"", 400),
            ("GET", "/events?after=x", b"", 400),
            ("GET", "/bots/bot-1", b"", 404),
            ("CONNECT", "vault:443", b"", 405),
        ],
    )
    async def test_control(self, house: House, method: str, target: str, body: bytes, status: int) -> None:
        node = await Connection.unix(str(house.client.path))
        assert (await node.request(method, target, body=body)).status == status
        await node.close()

    async def test_specification_for_another_bot(self, house: House) -> None:
        spec = house.spec("bot-2")
        node = await Connection.unix(str(house.client.path))
        assert (await node.request("PUT", "/bots/bot-1", body=encode_json(spec))).status == 400
        await node.close()


class TestEvents:
    async def test_reach_node_and_the_log(self, house: House) -> None:
        await house.client.put(house.spec())
        event = Event(code=Code.LIVE, username="my_bot", life=7)
        assert (await house.call("POST", "/event", event))[0] == 204
        found = await house.client.events(0, "")
        assert [(one.number, one.bot, one.event) for one in found.events] == [(1, "bot-1", event)]
        log = next(house.gateway.state.log.glob("gateway-*.jsonl"))
        line = json.loads(log.read_text())
        assert line.pop("at")[:16] == found.events[0].at[:16]
        assert line == {
            "bot": "bot-1",
            "process": "gateway",
            "code": "live",
            "life": 7,
            "number": 0,
        }, "its name at the messenger leads to it long after its owner is gone, and is for node alone"

    async def test_poll_waits_for_the_next(self, house: House) -> None:
        await house.client.put(house.spec())
        instance = (await house.client.events(0, "")).instance
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.client.events(0, instance))
            await house.call("POST", "/event", Event(code=Code.STARTING))
            assert (await waiting).events[0].event.code is Code.STARTING
        later = await house.client.events(0, instance)
        assert later.events[0].number == 1

    async def test_poll_ends_empty(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        defaults = events_module.EventRing.poll.__defaults__
        assert defaults == (EVENTS_WAIT_SECONDS,)
        monkeypatch.setattr(events_module.EventRing.poll, "__defaults__", (0.02,))
        instance = (await house.client.events(0, "")).instance
        assert (await house.client.events(0, instance)).events == ()

    async def test_other_instance_is_told_at_once_and_everything(self, house: House) -> None:
        await house.client.put(house.spec())
        await house.call("POST", "/event", Event(code=Code.LIVE))
        found = await house.client.events(17, "an-older-one")
        assert found.instance != "an-older-one"
        assert len(found.events) == 1

    async def test_rate(self, house: House) -> None:
        await house.client.put(house.spec())
        statuses = [(await house.call("POST", "/event", Event(code=Code.LIVE)))[0] for _ in range(25)]
        assert statuses[:20] == [204] * 20
        assert 429 in statuses[20:]

    async def test_ring_is_bounded(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(door_module, "EVENT_BURST", 10_000)
        await house.client.put(house.spec())
        mate = await house.knock()
        for _ in range(events_module.AT_ONCE + 5):
            answer = await mate.request("POST", "/event", body=b'{"code":"live"}')
            assert (answer.status, await answer.read(1)) == (204, b"")
        found = await house.client.events(0, "")
        assert len(found.events) == events_module.AT_ONCE
        rest = await house.client.events(found.events[-1].number, found.instance)
        assert [one.number for one in rest.events] == list(range(501, 506))
        await mate.close()


class TestConfig:
    async def test_at_once_when_newer(self, house: House) -> None:
        await house.client.put(house.spec(revision=3))
        for after in ("", "?after=0", "?after=2"):
            status, answer = await house.call("GET", f"/config{after}")
            assert (status, json.loads(answer)["revision"]) == (200, 3)

    async def test_waits_for_the_next(self, house: House) -> None:
        await house.client.put(house.spec())
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.call("GET", "/config?after=1"))
            await house.call("GET", "/nothing")
            await house.client.put(house.spec(revision=2))
            assert json.loads((await waiting)[1])["revision"] == 2

    async def test_ends_empty(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(door_module, "CONFIG_WAIT_SECONDS", 0.02)
        await house.client.put(house.spec())
        assert (await house.call("GET", "/config?after=1"))[0] == 204


class TestStopping:
    async def test_no_new_tunnels_but_running_turns_may_end(self, house: House) -> None:
        house.gateway.drain_seconds = 20
        await house.client.put(house.spec())
        assert await begin(house, "1") == "go"
        mate, poll = await house.knock(), asyncio.create_task(house.call("GET", "/config?after=1"))
        await house.call("GET", "/nothing")
        house.stop.set()
        assert (await poll)[0] == 204
        assert await house.tunnel(mate) == (502, Refusal.DRAINING.value)
        assert not house.task.done()
        assert (await house.call("POST", "/turn/end", TurnEnd(turn="1")))[0] == 204
        await asyncio.wait_for(house.task, 5)
        assert await mate.reader.read(1) == b""
        await mate.close()

    async def test_bounded(self, house: House) -> None:
        await house.client.put(house.spec())
        assert await begin(house, "never ends") == "go"
        house.stop.set()
        await asyncio.wait_for(house.task, 5)
        with pytest.raises(GatewayDownError):
            await house.client.status()


class TestListening:
    async def test_defect_met_by_one_connection_stays_there(
        self, house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await house.client.put(house.spec())
        with monkeypatch.context() as defect:
            defect.setattr(door_module.Door, "_admit", lambda self, peer: Verdict("a secret"))
            mate = await house.knock()
            assert await mate.reader.read() == b""
            await mate.close()
        assert await begin(house, "1") == "go"
        said = capsys.readouterr().err
        assert said.startswith("connection failed: ValueError at ")
        assert "secret" not in said

    def test_second_gateway_is_refused(self, run_folder: Path) -> None:
        path = run_folder / "one.sock"
        refuse_second(path)
        with bind(path, 0o600), pytest.raises(InUseError):
            refuse_second(path)
        refuse_second(path)

    def test_bind_replaces_what_lay_there(self, run_folder: Path) -> None:
        path = run_folder / "one.sock"
        first = bind(path, 0o600)
        second = bind(path, 0o600)
        assert [one.name for one in run_folder.iterdir()] == ["one.sock"]
        first.close()
        second.close()

    def test_failed_bind_leaves_nothing(self, run_folder: Path) -> None:
        (run_folder / "one.sock").mkdir()
        with pytest.raises(OSError, match="directory"):
            bind(run_folder / "one.sock", 0o600)
        assert [one.name for one in run_folder.iterdir()] == ["one.sock"]
        (run_folder / "one.sock").rmdir()

    async def test_client_without_a_gateway(self, run_folder: Path) -> None:
        with pytest.raises(GatewayDownError):
            await GatewayClient(run_folder / "nobody.sock").status()

    async def test_client_of_something_else(self, run_folder: Path) -> None:
        async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            writer.close()

        async with await asyncio.start_unix_server(nonsense, str(run_folder / "x.sock")):
            with pytest.raises(GatewayRefusedError):
                await GatewayClient(run_folder / "x.sock").status()
