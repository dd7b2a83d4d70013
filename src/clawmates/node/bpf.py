"""Runs a classic BPF program over one system call, as the kernel does for a seccomp filter.

Only the instructions that seccomp filters are made of; any other is an error, never a guess. linux/filter.h,
linux/seccomp.h, seccomp(2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_INSTRUCTION = struct.Struct("=HBBI")
_CALL = struct.Struct("=iIQ6Q")
_WORDS = struct.Struct("=16I")
DENYING = frozenset({0x8000_0000, 0x0000_0000, 0x0003_0000, 0x0005_0000})
"""SECCOMP_RET_KILL_PROCESS, KILL_THREAD, TRAP, ERRNO; everything else lets the call happen, or another decide."""
_ACTION = 0xFFFF_0000

LOAD_WORD, RETURN, AND = 0x20, 0x06, 0x54
JUMP, JUMP_EQUAL, JUMP_GREATER, JUMP_NOT_LESS, JUMP_BITS = 0x05, 0x15, 0x25, 0x35, 0x45


class FilterError(ValueError):
    """A filter that is not understood; so it is not known what it allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call: its number, the architecture (AUDIT_ARCH_*) and the first argument; the others are 0."""

    number: int
    architecture: int
    first: int = 0


Program = tuple[tuple[int, int, int, int], ...]


def parse(raw: bytes) -> Program:
    """An array of ``struct sock_filter``. Raises :class:`FilterError`."""
    if not raw or len(raw) % _INSTRUCTION.size:
        raise FilterError("not a program")
    return tuple(_INSTRUCTION.iter_unpack(raw))


def allows(program: Program, call: Call) -> bool:
    """Whether the filter lets the call through. Raises :class:`FilterError`."""
    words = _WORDS.unpack(_CALL.pack(call.number, call.architecture, 0, call.first, 0, 0, 0, 0, 0))
    value = place = 0
    # Jumps only lead forward, so a program has an end.
    while place < len(program):
        code, on_true, on_false, number = program[place]
        place += 1
        match code:
            # The commonest first: a filter is a long list of numbers to compare with.
            case _ if code == JUMP_EQUAL:
                place += on_true if value == number else on_false
            case _ if code == LOAD_WORD and number % 4 == 0 and number < len(words) * 4:
                value = words[number // 4]
            case _ if code == RETURN:
                return number & _ACTION not in DENYING
            case _ if code == AND:
                value &= number
            case _ if code == JUMP:
                place += number
            case _ if code == JUMP_GREATER:
                place += on_true if value > number else on_false
            case _ if code == JUMP_NOT_LESS:
                place += on_true if value >= number else on_false
            case _ if code == JUMP_BITS:
                place += on_true if value & number else on_false
            case _:
                raise FilterError(f"unknown instruction {code:#x}")
    raise FilterError("a program without an end")
