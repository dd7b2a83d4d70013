"""DNS messages, as much of them as two questions need (RFC 1035 §4, EDNS padding: RFC 7830, RFC 8467 §4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

A, CNAME, AAAA, OPT = 1, 5, 28, 41
INTERNET = 1
NO_SUCH_NAME = 3
PADDED_TO = 128
"""A query says nothing about its name by its length."""
MOST_ALIASES = 8
_HEAD = 12
_RECURSION_DESIRED = 0x0100
_RESPONSE, _TRUNCATED, _RCODE = 0x8000, 0x0200, 0x000F
_PADDING_OPTION = 12
_POINTER = 0xC0
_MOST_JUMPS = 64


class MessageError(ValueError):
    """Not an answer to what was asked."""


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record of an answer. ``place`` is where its data begins in the message."""

    name: bytes
    kind: int
    data: bytes
    place: int


def query(number: int, host: str, kind: int) -> bytes:
    """A question for ``host``, padded. ``host`` is a lower-case DNS name; raises :class:`MessageError`."""
    question = encode_name(host) + kind.to_bytes(2, "big") + INTERNET.to_bytes(2, "big")
    head = b"".join(part.to_bytes(2, "big") for part in (number, _RECURSION_DESIRED, 1, 0, 0, 1))
    option = b"\0" + OPT.to_bytes(2, "big") + (1232).to_bytes(2, "big") + bytes(4)
    pad = -(len(head) + len(question) + len(option) + 6) % PADDED_TO
    padding = _PADDING_OPTION.to_bytes(2, "big") + pad.to_bytes(2, "big") + bytes(pad)
    return head + question + option + len(padding).to_bytes(2, "big") + padding


def encode_name(host: str) -> bytes:
    """Labels with their lengths; raises :class:`MessageError`."""
    labels = host.encode("ascii", "replace").split(b".")
    if len(host) > 253 or not all(1 <= len(label) <= 63 for label in labels):
        raise MessageError
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def number_of(message: bytes) -> int:
    """The number of the question that a message answers; raises :class:`MessageError`."""
    if len(message) < _HEAD:
        raise MessageError
    return int.from_bytes(message[:2], "big")


def addresses_in(message: bytes, host: str, kind: int) -> tuple[Address, ...]:
    """The addresses of ``host`` in an answer, aliases followed inside it; empty for a name without any.

    Raises :class:`MessageError` for anything but an answer to this very question.
    """
    number_of(message)
    flags, questions, answers = (int.from_bytes(message[at : at + 2], "big") for at in (2, 4, 6))
    if not flags & _RESPONSE or flags & _TRUNCATED or questions != 1:
        raise MessageError
    if flags & _RCODE == NO_SUCH_NAME:
        return ()
    if flags & _RCODE:
        raise MessageError
    name, at = _name(message, _HEAD)
    asked = host.encode("ascii", "replace")
    if name != asked or message[at : at + 4] != kind.to_bytes(2, "big") + INTERNET.to_bytes(2, "big"):
        raise MessageError
    return _resolve(message, _records(message, at + 4, answers), asked, kind)


def _resolve(message: bytes, records: list[Record], name: bytes, kind: int) -> tuple[Address, ...]:
    for _ in range(MOST_ALIASES):
        alias = next((one for one in records if one.name == name and one.kind == CNAME), None)
        if alias is None:
            break
        name, _end = _name(message, alias.place)
    found = [_address(one.data, kind) for one in records if one.name == name and one.kind == kind]
    return tuple(dict.fromkeys(found))


def _address(data: bytes, kind: int) -> Address:
    if len(data) != (4 if kind == A else 16):
        raise MessageError
    return IPv4Address(data) if kind == A else IPv6Address(data)


def _records(message: bytes, at: int, count: int) -> list[Record]:
    records = []
    for _ in range(count):
        name, at = _name(message, at)
        if at + 10 > len(message):
            raise MessageError
        kind, family = int.from_bytes(message[at : at + 2], "big"), int.from_bytes(message[at + 2 : at + 4], "big")
        size = int.from_bytes(message[at + 8 : at + 10], "big")
        at += 10
        if at + size > len(message):
            raise MessageError
        if family == INTERNET:
            records.append(Record(name, kind, message[at : at + size], at))
        at += size
    return records


def _name(message: bytes, at: int) -> tuple[bytes, int]:
    """The lower-case name at ``at``, and where what follows it begins. Pointers go backwards only."""
    labels: list[bytes] = []
    end = 0
    for _ in range(_MOST_JUMPS + 128):
        if at >= len(message):
            raise MessageError
        size = message[at]
        if size & _POINTER == _POINTER:
            end = end or at + 2
            target = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            if target >= at:
                raise MessageError
            at = target
            continue
        if size & _POINTER:
            raise MessageError
        label = message[at + 1 : at + 1 + size]
        at += 1 + size
        if not size:
            return b".".join(labels), end or at
        if len(label) != size or b"." in label:
            raise MessageError
        labels.append(label.lower())
    raise MessageError
