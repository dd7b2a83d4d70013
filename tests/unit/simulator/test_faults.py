"""What goes wrong below the services: connections, bytes, order of faults, the journal's bounds."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest

from clawmates.base.http.client import ClosedError, Connection
from clawmates.simulator.client import NothingCameError, SimulatorError
from clawmates.simulator.faults import Faults
from clawmates.simulator.journal import Bell, Journal
from clawmates.simulator.model import FOREVER, Failure, Fault, FaultKind, Service

TOKEN = "123456:" + "A" * 35
CHAT = 77

DELAY = Fault(kind=FaultKind.DELAY, seconds=1)
DROP = Fault(kind=FaultKind.DROP)


def test_faults_are_used_up_in_their_order() -> None:
    faults = Faults()
    faults.plan(DROP, times=2, method="sendMessage")
    faults.plan(DELAY, times=1)
    assert faults.take("getMe") is DELAY
    assert faults.take("getMe") is None
    assert [faults.take("SENDMESSAGE") for _ in range(3)] == [DROP, DROP, None]


def test_a_style_is_wrong_only_where_there_is_one() -> None:
    faults = Faults()
    wrong = Fault(kind=FaultKind.ERROR, failure=Failure.CANT_PARSE_ENTITIES)
    faults.plan(wrong, times=1, method="sendMessage")
    assert faults.take("sendMessage", styled=False) is None
    assert faults.take("sendMessage", styled=True) is wrong


def test_faults_may_be_for_one_chat_or_for_ever_and_can_be_cleared() -> None:
    faults = Faults()
    one = Fault(kind=FaultKind.DROP, chat_id=5)
    faults.plan(one, times=FOREVER)
    assert faults.take("sendMessage", 6) is None
    assert all(faults.take("sendMessage", 5) is one for _ in range(1000))
    faults.clear()
    assert faults.take("sendMessage", 5) is None


async def say_and_send(bench: Any) -> tuple[int, Any]:
    await bench.control.say(TOKEN, CHAT, "hello")
    answer: tuple[int, Any] = await bench.telegram("sendMessage", chat_id=CHAT, text="x")
    return answer


async def test_dropped_before_any_effect(bench: Any) -> None:
    await bench.control.set_fault(Service.TELEGRAM, DROP, method="sendMessage")
    with pytest.raises(ClosedError):
        await say_and_send(bench)
    assert await bench.control.sent(TOKEN, CHAT) == ()
    (call,) = await bench.control.wait_call(Service.TELEGRAM, "sendMessage", finished=True, timeout=5)
    assert (call.status, call.complete, call.fault) == (0, False, "drop")


async def test_dropped_after_its_effect(bench: Any) -> None:
    await bench.control.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.DROP_ANSWER), method="sendMessage")
    with pytest.raises(ClosedError):
        await say_and_send(bench)
    assert len(await bench.control.sent(TOKEN, CHAT)) == 1
    (call,) = await bench.control.wait_call(Service.TELEGRAM, "sendMessage", finished=True, timeout=5)
    assert (call.status, call.complete) == (0, False)


async def test_dropped_in_the_middle_of_the_answer(bench: Any) -> None:
    await bench.control.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.DROP_MIDWAY), method="sendMessage")
    with pytest.raises(ClosedError):
        await say_and_send(bench)
    (call,) = await bench.control.wait_call(Service.TELEGRAM, "sendMessage", finished=True, timeout=5)
    assert (call.status, call.complete) == (200, False)


async def test_an_answer_that_is_not_json(bench: Any) -> None:
    await bench.control.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.BAD_JSON), method="sendMessage")
    with pytest.raises(json.JSONDecodeError):
        await say_and_send(bench)


async def test_an_answer_that_stalls_is_whole_in_the_end(bench: Any) -> None:
    await bench.control.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.STALL, seconds=0.1), method="sendMessage")
    assert (await say_and_send(bench))[0] == 200
    (call,) = await bench.control.wait_call(Service.TELEGRAM, "sendMessage", finished=True, timeout=5)
    assert call.answered - call.first_byte >= 0.1


async def test_a_delayed_answer(bench: Any) -> None:
    await bench.control.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.DELAY, seconds=0.1), method="sendMessage")
    assert (await say_and_send(bench))[0] == 200
    (call,) = await bench.control.wait_call(Service.TELEGRAM, "sendMessage", finished=True, timeout=5)
    assert call.first_byte - call.received >= 0.1


async def test_cleared_faults_do_nothing(bench: Any) -> None:
    await bench.control.set_fault(Service.TELEGRAM, DROP, times=FOREVER)
    await bench.control.clear_faults(Service.TELEGRAM)
    assert (await say_and_send(bench))[0] == 200


async def test_one_connection_serves_many_requests(bench: Any) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        for _ in range(3):
            response = await connection.request("GET", f"/bot{TOKEN}/getMe")
            assert json.loads(await response.read(1 << 16))["ok"] is True
        assert connection.reusable
        assert (await bench.control.status()).connections == 1


@pytest.mark.parametrize("service", list(Service))
async def test_answers_do_not_wait_for_acknowledgements(bench: Any, service: Service) -> None:
    """Without TCP_NODELAY every answer took 44 ms, and so would every measurement."""
    async with bench.connect(service):
        (wire,) = bench.world.listeners[service].connections
        accepted = wire._transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


async def test_a_poller_that_goes_away_is_noticed(bench: Any) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        poll = asyncio.create_task(connection.request("GET", f"/bot{TOKEN}/getUpdates?offset=1&timeout=50"))
        await bench.control.wait_call(Service.TELEGRAM, "getUpdates", timeout=5)
        poll.cancel()
        await asyncio.wait({poll})
    (call,) = await bench.control.wait_call(Service.TELEGRAM, "getUpdates", finished=True, timeout=5)
    assert (call.complete, call.status) == (False, 0)


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_noise_is_answered_or_closed(bench: Any, noise: bytes) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        connection.writer.write(noise)
        async with asyncio.timeout(5):
            answer = await connection.reader.read()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


async def test_a_giant_body_is_413(bench: Any) -> None:
    async with bench.connect(Service.OPENAI) as connection:
        response = await connection.request("POST", "/v1/responses", body=b"x" * (17 << 20))
        assert response.status == 413


async def test_three_hundred_polls_at_once_cost_no_work(bench: Any) -> None:
    tokens = [f"{number}:{'C' * 35}" for number in range(1000, 1300)]
    for number, token in enumerate(tokens):
        await bench.control.add_bot(token, f"bot_{number:03}")

    async def poll(token: str) -> int:
        status, answer = await bench.telegram("getUpdates", token=token, offset=1, timeout=50)
        assert status == 200
        return len(answer["result"])

    async with asyncio.TaskGroup() as group:
        polls = [group.create_task(poll(token)) for token in tokens]
        await bench.control.wait_call(Service.TELEGRAM, "getUpdates", count=300, timeout=60)
        # Not a wait: half a second of idleness is what is measured.
        before = time.process_time()
        await asyncio.sleep(0.5)
        idle = time.process_time() - before
        for token in tokens:
            await bench.control.say(token, 5, "hello")
    assert [one.result() for one in polls] == [1] * 300
    assert idle < 0.1


def test_the_journal_is_a_ring(clock: Any) -> None:
    journal = Journal(Service.OPENAI, clock, calls=3)
    numbers = [journal.begin(method="m", caller="", tls="", headers={}, body="{}") for _ in range(5)]
    assert numbers == [1, 2, 3, 4, 5]
    assert [call.number for call in journal.since(0)] == [3, 4, 5]
    assert [call.number for call in journal.since(4)] == [5]
    assert journal.get(2) is None
    journal.note(2, status=500)
    journal.note(4, status=200)
    assert [call.status for call in journal.since(0)] == [0, 200, 0]
    journal.clear()
    assert journal.since(0) == []
    assert journal.begin(method="m", caller="", tls="", headers={}, body="{}") == 6


def test_the_journal_is_bounded_in_bytes(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.simulator.journal.JOURNAL_BYTES", 100)
    journal = Journal(Service.OPENAI, clock)
    for _ in range(5):
        journal.begin(method="m", caller="", tls="", headers={}, body="x" * 40)
    assert [call.number for call in journal.since(0)] == [4, 5]
    journal.begin(method="m", caller="", tls="", headers={}, body="x" * 400)
    assert [call.number for call in journal.since(0)] == [6]


def test_the_journal_keeps_headers_but_no_key(clock: Any) -> None:
    journal = Journal(Service.OPENAI, clock)
    journal.begin(method="m", caller="", tls="", headers={"authorization": "Bearer k", "accept": "x"}, body="{}")
    assert journal.since(0)[0].headers == {"accept": "x"}


def test_a_watch_finds_what_fits_as_it_comes(clock: Any) -> None:
    journal = Journal(Service.TELEGRAM, clock)
    watch = journal.watch(after=1, method="GETME", caller="a", finished=True)
    for method, caller in (("getMe", "a"), ("getMe", "a"), ("getMe", "b"), ("sendMessage", "a")):
        journal.begin(method=method, caller=caller, tls="", headers={}, body="{}")
    assert watch.count() == 0
    journal.note(2, answered=1.0)
    assert watch.count() == 1
    assert [call.number for call in watch.calls()] == [2]


async def test_a_bell_wakes_all_who_wait() -> None:
    bell, seen = Bell(), [0]
    waiting = [asyncio.create_task(bell.until(lambda: seen[0] or None, 5)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()
    await asyncio.sleep(0)
    seen[0] = 4
    bell.ring()
    assert await asyncio.gather(*waiting) == [4, 4, 4]


async def test_a_bell_gives_up_in_time_without_disturbing_others() -> None:
    bell, seen = Bell(), [0]
    patient = asyncio.create_task(bell.until(lambda: seen[0] or None, 5))
    assert await bell.until(lambda: seen[0] or None, 0.01) is None
    seen[0] = 1
    bell.ring()
    assert await patient == 1


async def test_waiting_in_vain_is_an_error(bench: Any) -> None:
    with pytest.raises(NothingCameError):
        await bench.control.wait_reply(TOKEN, CHAT, timeout=0.05)
    with pytest.raises(NothingCameError):
        await bench.control.wait_call(Service.OPENAI, "POST /v1/responses", timeout=0.05)


async def test_a_reply_is_waited_for(bench: Any) -> None:
    await bench.control.say(TOKEN, CHAT, "hello")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(bench.control.wait_reply(TOKEN, CHAT, timeout=5))
        await bench.result("sendMessage", chat_id=CHAT, text="one")
    async with asyncio.TaskGroup() as group:
        second = group.create_task(bench.control.wait_reply(TOKEN, CHAT, after=first.result().message_id, timeout=5))
        await bench.result("sendMessage", chat_id=CHAT, text="two")
    assert (first.result().text, second.result().text) == ("one", "two")
    assert [one.text for one in await bench.control.sent(TOKEN, CHAT)] == ["one", "two"]


async def test_a_long_journal_comes_in_pages(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.simulator.admin.PAGE_CALLS", 3)
    async with bench.connect(Service.TELEGRAM) as connection:
        for _ in range(8):
            response = await connection.request("GET", f"/bot{TOKEN}/getMe")
            await response.read(1 << 16)
    assert [call.number for call in await bench.control.journal(Service.TELEGRAM)] == list(range(1, 9))
    assert [call.number for call in await bench.control.journal(Service.TELEGRAM, after=6)] == [7, 8]
    waited = await bench.control.wait_call(Service.TELEGRAM, "getMe", count=8, timeout=5)
    assert [call.number for call in waited] == list(range(1, 9))


async def test_reset_forgets(bench: Any) -> None:
    await say_and_send(bench)
    await bench.control.set_fault(Service.TELEGRAM, DROP, times=FOREVER)
    await bench.control.set_style(words=5)
    await bench.control.reset()
    assert (await bench.telegram("getMe"))[0] == 401
    assert (await bench.openai(input="x"))[0] == 401
    calls = await bench.control.journal(Service.TELEGRAM)
    assert [call.number for call in calls] == [2]
    assert (await bench.control.status()).bots == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/nothing", b"{}"),
        ("/bots", b"{}"),
        ("/bots", b'{"token": "x", "username": "y"}'),
        ("/say", b'{"token": "1:x", "chat_id": 1, "text": "x"}'),
        ("/push", b'{"token": "1:x", "kind": "gossip", "body": "{}"}'),
        ("/push", b'{"token": "1:x", "kind": "message", "body": "{"}'),
        ("/faults", b'{"service": "telegram", "fault": {"kind": "drop"}, "times": 0}'),
        ("/tls", b'{"service": "telegram", "mode": "none"}'),
        ("/style", b'{"first_byte": 3}'),
    ],
)
async def test_the_control_socket_refuses_what_it_does_not_know(bench: Any, path: str, body: bytes) -> None:
    connection = await Connection.unix(str(bench.folder.admin))
    response = await connection.request("POST", path, body=body)
    assert response.status in {400, 404}
    assert b"error" in await response.read(1000)
    assert (await connection.request("GET", "/status")).status == 405
    await connection.close()


async def test_a_request_larger_than_one_comes_in_parts(bench: Any) -> None:
    text = 'ü"\\😀\n' * 200_000
    await bench.control.say(TOKEN, CHAT, text)
    body = json.dumps({"text": "x" * 1_000_000})
    await bench.control.push(TOKEN, "message", body)
    said, pushed = await bench.result("getUpdates")
    assert said["message"]["text"] == text
    assert pushed["message"] == json.loads(body)
    for path in ("/push?parts=unknown", "/say?parts="):
        connection = await Connection.unix(str(bench.folder.admin))
        assert (await connection.request("POST", path, body=b"{}")).status == 400
        await connection.close()


async def test_parts_are_bounded(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.simulator.admin.MAX_BYTES", 100_000)
    with pytest.raises(SimulatorError, match="/part was refused with 400"):
        await bench.control.say(TOKEN, CHAT, "x" * 200_000)


async def test_the_client_says_that_it_was_refused(bench: Any) -> None:
    with pytest.raises(SimulatorError, match="/say was refused with 400"):
        await bench.control.say("1:x", 1, "hello")


def test_the_control_socket_is_for_its_owner_only(bench: Any) -> None:
    assert bench.folder.admin.stat().st_mode & 0o777 == 0o600
