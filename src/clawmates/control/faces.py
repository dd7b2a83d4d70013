"""The two listeners: whom each lets in, and what it puts up with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.serving.limits import Callers, Limits
from clawmates.base.shape import encode_json
from clawmates.wire.callers import caller_of
from clawmates.wire.control import ControlRefusal
from clawmates.wire.names import Role, ServiceName

if TYPE_CHECKING:
    from clawmates.wire.callers import Caller

_MALFORMED = encode_json({"error": {"code": ControlRefusal.MALFORMED.value}})

WEB = Limits(
    head_seconds=10,
    max_head=32 * 1024,
    max_connections=2048,
    max_shaking=256,
    # Nobody is known by a certificate here, so nothing grows old; a page with live status stays open for long.
    connection_seconds=24 * 3600.0,
    keep_alive_seconds=20,
    grace_seconds=5,
    malformed=_MALFORMED,
)
NODES = Limits(
    head_seconds=10,
    max_head=16 * 1024,
    max_connections=1024,
    kept=768,
    max_shaking=256,
    connection_seconds=3600.0,
    keep_alive_seconds=40,
    grace_seconds=5,
    malformed=_MALFORMED,
)


def _is_node(caller: object) -> bool:
    return isinstance(caller, ServiceName) and caller.role is Role.NODE


def _nobody(_certificate: object) -> Caller | None:
    return None


BROWSERS = Callers(_nobody, known=lambda _caller: True)
SERVICES = Callers(caller_of, known=_is_node)
