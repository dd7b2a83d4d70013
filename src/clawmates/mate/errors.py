"""What can go wrong in a mate. Only a code survives: no text of a message, answer or key is in any of these."""

from __future__ import annotations

from clawmates.wire.codes import Code, Event


class MateError(Exception):
    """Something failed that the owner may be told of, as a code."""

    def __init__(self, code: Code, number: int = 0) -> None:
        self.code = code
        self.number = number
        """Seconds to wait or an HTTP status, where the code has one."""
        super().__init__(code.value)

    @property
    def event(self) -> Event:
        """The form in which it may leave the container."""
        return Event(code=self.code, number=min(max(self.number, 0), (1 << 31) - 1))


class DoorError(MateError):
    """The gateway refused or is not there."""


class GoneError(DoorError):
    """The bot's lease has ended: this mate is over."""


class BootError(MateError):
    """The mate could not get what it needs to work."""


class StaleError(BootError):
    """The vault knows a newer version, or has forgotten this life of the mate: only a new ticket helps."""


class ChannelError(MateError):
    """The messenger refused or is not there."""


class ProviderError(MateError):
    """The AI provider refused or is not there."""
