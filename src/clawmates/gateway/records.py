"""The first handshake message of a TLS stream, put together from records as bytes arrive (RFC 8446 §5.1).

Pure and incremental: nothing is opened, nothing is decrypted, and no byte is looked at twice however it was split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.gateway.decision import Decision, deny
from clawmates.wire.door import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HELD = 64 * 1024
"""Bytes held before a verdict; what is longer is no hello."""
MAX_FRAGMENT = 1 << 14
CLIENT_HELLO, SERVER_HELLO = 1, 2
_HEADER = 5
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE = 20, 21, 22
_RECORD_VERSIONS = frozenset({b"\x03\x01", b"\x03\x02", b"\x03\x03"})
_PROTOCOL_VERSION_ALERT = 70


class HelloReader:
    """Collects one handshake message of type ``kind`` and has it judged.

    After an ALLOW or RETRY, :attr:`hello` holds the records up to the message's end and :attr:`rest` what followed.
    """

    __slots__ = ("_at", "_judge", "_kind", "_may_skip", "_message", "decision", "held", "rest")

    def __init__(self, kind: int, judge: Callable[[bytes], Decision], *, second: bool = False) -> None:
        """``second``: this flight follows a HelloRetryRequest, so a dummy change_cipher_spec may precede it."""
        self._kind = kind
        self._judge = judge
        self._may_skip = second
        self._at = 0
        self._message = bytearray()
        self.held = bytearray()
        self.rest = b""
        self.decision: Decision | None = None

    @property
    def hello(self) -> bytes:
        """The records that were judged, as they came."""
        return bytes(self.held[: self._at])

    @property
    def message(self) -> bytes:
        """The body of the message that was judged."""
        return bytes(self._message[4:])

    def feed(self, data: bytes) -> Decision | None:
        """Takes the next bytes; returns the verdict once there is one. Must not be fed after that."""
        room = MAX_HELD - len(self.held)
        self.held += data[:room]
        self.decision = self._read()
        if self.decision is None and len(self.held) == MAX_HELD:
            self.decision = deny(Refusal.NOT_TLS)
        if self.decision is not None:
            self.rest = bytes(self.held[self._at :]) + data[room:]
        return self.decision

    def finish(self) -> Decision:
        """The verdict when no more bytes come: an unfinished hello is none."""
        return self.decision or deny(Refusal.NOT_TLS)

    def _read(self) -> Decision | None:
        while len(self.held) > self._at:
            kind = self.held[self._at]
            if kind not in {_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE}:
                return deny(Refusal.NOT_TLS)
            if len(self.held) < self._at + _HEADER:
                return None
            size = int.from_bytes(self.held[self._at + 3 : self._at + _HEADER], "big")
            version = bytes(self.held[self._at + 1 : self._at + 3])
            if version not in _RECORD_VERSIONS or not 1 <= size <= MAX_FRAGMENT:
                return deny(Refusal.NOT_TLS)
            end = self._at + _HEADER + size
            if len(self.held) < end:
                return None
            decision = self._take(kind, bytes(self.held[self._at + _HEADER : end]))
            self._at = end
            if decision is not None:
                return decision
        return None

    def _take(self, kind: int, fragment: bytes) -> Decision | None:
        """One whole record; returns a verdict when it settles the matter."""
        if kind == _HANDSHAKE:
            return self._assemble(fragment)
        if kind == _CHANGE_CIPHER_SPEC and self._may_skip and fragment == b"\x01" and not self._message:
            self._may_skip = False
            return None
        if kind == _ALERT and self._kind == SERVER_HELLO and len(fragment) == 2:
            # The server declines to shake hands, and says why.
            return deny(Refusal.TLS_TOO_OLD if fragment[1] == _PROTOCOL_VERSION_ALERT else Refusal.UNREACHABLE)
        return deny(Refusal.NOT_TLS)

    def _assemble(self, fragment: bytes) -> Decision | None:
        self._message += fragment
        if self._message[0] != self._kind:
            return deny(Refusal.NOT_TLS)
        if len(self._message) < 4:
            return None
        size = 4 + int.from_bytes(self._message[1:4], "big")
        if len(self._message) < size:
            return deny(Refusal.NOT_TLS) if size > MAX_HELD else None
        decision = self._judge(bytes(self._message[4:size]))
        if len(self._message) > size and decision.reason is None:
            # A key change follows either hello, and no message may share a record across one (RFC 8446 §5.1).
            return deny(Refusal.NOT_TLS)
        return decision
