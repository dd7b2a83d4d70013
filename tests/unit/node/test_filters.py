"""System call filters as the kernel holds them; ``tests/integration/test_isolation.py`` reads real containers'."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.node import filters
from clawmates.node.bpf import Call, FilterError, allows, parse
from clawmates.node.engines.seccomp import DENIED, FAMILIES, NAMESPACE_FLAGS
from clawmates.node.facts import parse_status
from clawmates.node.filters import EVERYTHING, UNREADABLE, forbidden_calls, passing

ALLOW, ERRNO, KILL, LOG, TRACE = 0x7FFF_0000, 0x0005_0026, 0x8000_0000, 0x7FFC_0000, 0x7FF0_0000
NUMBER, ARCHITECTURE, FIRST_LOW, FIRST_HIGH = 0, 4, 16, 20
NATIVE = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}[platform.machine()]
LOAD, RETURN, AND, JUMP, EQUAL, GREATER, NOT_LESS, BITS = 0x20, 0x06, 0x54, 0x05, 0x15, 0x25, 0x35, 0x45


def program(*instructions: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)


def returning(verdict: int) -> bytes:
    return program((RETURN, 0, 0, verdict))


def denying(*names: str) -> bytes:
    """Allows everything of this machine's own architecture but the named calls, and nothing of any other."""
    library = ctypes.CDLL("libseccomp.so.2")
    numbers = [library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(NATIVE), name.encode()) for name in names]
    deny = [(EQUAL, 0, 1, number) for number in numbers if number >= 0]
    body = [part for one in deny for part in (one, (RETURN, 0, 0, ERRNO))]
    start = ((LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, NATIVE), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER))
    x32 = ((NOT_LESS, 0, 1, 0x4000_0000), (RETURN, 0, 0, KILL))
    return program(*start, *x32, *body, (RETURN, 0, 0, ALLOW))


@pytest.mark.parametrize(
    ("verdict", "lets"), [(ALLOW, True), (LOG, True), (TRACE, True), (ERRNO, False), (KILL, False), (0, False)]
)
def test_only_what_denies_for_certain_is_a_denial(verdict: int, lets: bool) -> None:  # noqa: FBT001 - a parameter
    assert allows(parse(returning(verdict)), Call(number=1, architecture=NATIVE)) is lets


@pytest.mark.parametrize(
    ("jump", "operand", "taken"),
    [
        (EQUAL, 7, True),
        (EQUAL, 8, False),
        (GREATER, 6, True),
        (GREATER, 7, False),
        (NOT_LESS, 7, True),
        (NOT_LESS, 8, False),
        (BITS, 2, True),
        (BITS, 8, False),
    ],
)
def test_jumps(jump: int, operand: int, taken: bool) -> None:  # noqa: FBT001 - a parameter
    made = program((LOAD, 0, 0, NUMBER), (jump, 1, 0, operand), (RETURN, 0, 0, ERRNO), (RETURN, 0, 0, ALLOW))
    assert allows(parse(made), Call(number=7, architecture=NATIVE)) is taken


def test_arguments_masks_and_long_jumps() -> None:
    made = program(
        (LOAD, 0, 0, FIRST_LOW),
        (AND, 0, 0, 0x7E02_0000),
        (JUMP, 0, 0, 1),
        (RETURN, 0, 0, KILL),
        (EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO),
    )
    parsed = parse(made)
    assert allows(parsed, Call(number=1, architecture=NATIVE, first=0x0000_0F00))
    assert not allows(parsed, Call(number=1, architecture=NATIVE, first=0x1000_0000))


def test_high_words_of_arguments() -> None:
    made = program((LOAD, 0, 0, FIRST_HIGH), (EQUAL, 0, 1, 1), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO))
    assert allows(parse(made), Call(number=1, architecture=NATIVE, first=1 << 32))


@pytest.mark.parametrize(
    "raw",
    [b"", b"1234567", program((0x07, 0, 0, 0)), program((LOAD, 0, 0, 64)), program((LOAD, 0, 0, 2)), program()],
    ids=["nothing", "half an instruction", "unknown", "past the end", "between words", "empty"],
)
def test_what_is_not_understood_is_an_error_and_no_guess(raw: bytes) -> None:
    with pytest.raises(FilterError):
        allows(parse(raw), Call(number=1, architecture=NATIVE))


@given(st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=30), st.integers(0, 500))
def test_any_program_ends(instructions: list[bytes], number: int) -> None:
    try:
        answer = allows(parse(b"".join(instructions)), Call(number=number, architecture=NATIVE))
    except FilterError:
        return
    assert answer in {True, False}


def test_without_a_filter_everything_passes() -> None:
    assert passing(()) == (EVERYTHING,)


def test_a_filter_that_allows_everything_passes_every_call_by_name() -> None:
    found = set(passing((returning(ALLOW),)))
    assert {"unknown architectures", "unknown calls", "clone", "unshare", "ptrace", "keyctl"} <= found
    assert found >= DENIED - {"clone", "ipc", "umount"} - {name for name in DENIED if name.endswith("64")}


def test_a_filter_that_denies_everything_lets_nothing_through() -> None:
    assert passing((returning(ERRNO),)) == ()


def test_one_filter_of_several_is_enough_to_deny() -> None:
    assert passing((returning(ALLOW), returning(KILL))) == ()


def test_a_single_call_left_out_is_named() -> None:
    every = sorted(DENIED - {"clone"})
    open_door = [name for name in every if name != "unshare"]
    found = set(passing((denying(*open_door),)))
    assert found == {"unknown calls", "clone", "socket", "unshare"}


def test_clone_is_judged_by_each_of_its_flags() -> None:
    """A filter that forgets one namespace is found."""
    library = ctypes.CDLL("libseccomp.so.2")
    clone = library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(NATIVE), b"clone")

    def masking(mask: int) -> bytes:
        return program(
            (LOAD, 0, 0, NUMBER),
            (EQUAL, 1, 0, clone),
            (RETURN, 0, 0, ERRNO),
            (LOAD, 0, 0, FIRST_LOW),
            (BITS, 0, 1, mask),
            (RETURN, 0, 0, ERRNO),
            (RETURN, 0, 0, ALLOW),
        )

    assert passing((masking(NAMESPACE_FLAGS),)) == ()
    assert passing((masking(NAMESPACE_FLAGS & ~0x1000_0000),)) == ("clone",)


def test_sockets_are_judged_by_each_of_their_families() -> None:
    """A filter that lets one family too many through is found."""
    library = ctypes.CDLL("libseccomp.so.2")
    socket = library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(NATIVE), b"socket")

    def letting(*families: int) -> bytes:
        each = [part for family in families for part in ((EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW))]
        start = ((LOAD, 0, 0, NUMBER), (EQUAL, 1, 0, socket), (RETURN, 0, 0, ERRNO), (LOAD, 0, 0, FIRST_LOW))
        return program(*start, *each, (RETURN, 0, 0, ERRNO))

    assert passing((letting(*FAMILIES),)) == ()
    vsock = 40
    assert passing((letting(*FAMILIES, vsock),)) == ("socket",)


def test_a_machine_whose_calls_are_not_known_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    with pytest.raises(FilterError):
        passing((returning(KILL), returning(KILL)))


def test_a_process_without_a_filter_is_read_and_runs_on() -> None:
    process = subprocess.Popen(["/bin/sleep", "100"])
    try:
        assert forbidden_calls(process.pid) == (EVERYTHING,)
        status = parse_status(Path(f"/proc/{process.pid}/status").read_text())
        assert status["TracerPid"] == "0"
        assert status["State"][0] in "RS"
    finally:
        process.kill()
        process.wait()


def test_a_process_that_is_gone_is_said_to_be() -> None:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    with pytest.raises(ProcessLookupError):
        forbidden_calls(process.pid)


def test_a_filter_that_cannot_be_read_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> tuple[bytes, ...]:
        raise PermissionError

    monkeypatch.setattr(filters, "_read", refuse)
    assert forbidden_calls(os.getpid()) == (UNREADABLE,)
    monkeypatch.setattr(filters, "_read", lambda _pid: (b"odd",))
    assert forbidden_calls(os.getpid()) == (UNREADABLE,)


def test_a_process_that_does_not_stop_in_time_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "STOP_SECONDS", -1.0)
    monkeypatch.setattr(os, "waitpid", lambda *_: (0, 0))
    process = subprocess.Popen(["/bin/sleep", "100"])
    try:
        assert forbidden_calls(process.pid) == (UNREADABLE,)
        while parse_status(Path(f"/proc/{process.pid}/status").read_text())["TracerPid"] != "0":
            continue  # the tracing thread is about to end; the test's own time limit bounds this
    finally:
        monkeypatch.undo()
        process.kill()
        process.wait()
