"""Enrolment tokens and what they are good for: one certificate for one node, once, soon."""

from __future__ import annotations

import fcntl
import hashlib
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.base.files import write_atomic
from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.base.x509 import Names
from clawmates.selfhost.pki import Leaf, load_authority, service_name
from clawmates.wire.enrolment import TOKEN_SECONDS, EnrolmentGrant
from clawmates.wire.names import NOBODY, Role, check_bot_id
from clawmates.wire.revoked import read_revoked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.wire.enrolment import EnrolmentRequest

TOKEN_BYTES = 32


class EnrolmentError(Exception):
    """The node cannot be enrolled; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A token that was given: only its hash is kept."""

    node: str
    proof: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    open: tuple[_Open, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Enrolments:
    """The local authority's desk. ``random`` gives so many bytes."""

    state: State
    region: str
    random: Callable[[int], bytes]

    def invite(self, node: str, now: datetime) -> Secret[str]:
        """A token for one node; an earlier one of the same node ends. Raises :class:`EnrolmentError`."""
        try:
            check_bot_id(node)
        except ValueError:
            raise EnrolmentError(f"{node!r} is no name for a node: use 1 to 40 of a-z, 0-9 and '-'.") from None
        if node == NOBODY:
            raise EnrolmentError(f"{NOBODY!r} is what a bot's node is called that runs nowhere: use another name.")
        token = urlsafe_b64encode(self.random(TOKEN_BYTES)).decode().rstrip("=")
        fresh = _Open(node=node, proof=_proof(token), until=stamp(now + timedelta(seconds=TOKEN_SECONDS)))
        with self._book(now) as book:
            book[node] = fresh
        return Secret(token)

    def admit(self, request: EnrolmentRequest, now: datetime) -> EnrolmentGrant:
        """Trades a token for a certificate; the token is spent even when the request turns out to be malformed.

        Raises :class:`EnrolmentError`.
        """
        proof = _proof(request.token.reveal())
        with self._book(now) as book:
            found = next((one for one in book.values() if compare_digest(one.proof, proof)), None)
            if found is None:
                raise EnrolmentError(
                    "the token is unknown, used or too old: get a new one with `clawmates node enrol`."
                )
            del book[found.node]
        authority = load_authority(self.state, now)
        uri = str(service_name(self.region, _leaf(found.node), read_revoked(self.state.revoked)))
        try:
            certificate = authority.certify(request.request.encode(), Names(uri=(uri,)), now)
        except ValueError as error:
            raise EnrolmentError(f"the node's request cannot be used: {error}.") from None
        return EnrolmentGrant(uri=uri, certificate=certificate.decode(), authority=authority.pair.certificate.decode())

    @contextmanager
    def _book(self, now: datetime) -> Iterator[dict[str, _Open]]:
        """The tokens that are still good, by node, kept again at the end; one command at a time."""
        path = self.state.enrolments
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                known = decode_json(_Book, path.read_bytes()).open
            except FileNotFoundError:
                known = ()
            except ShapeError:
                raise EnrolmentError(f"{path} is damaged: remove it, and make new tokens.") from None
            book = {one.node: one for one in known if datetime.fromisoformat(one.until) > now}
            yield book
            write_atomic(path, encode_json(_Book(open=tuple(book.values()))), mode=0o600)
        finally:
            os.close(lock)


def _leaf(node: str) -> Leaf:
    return Leaf("node", Role.NODE, node)


def _proof(token: str) -> str:
    return hashlib.sha256(b"clawmates-enrolment-v1\0" + token.encode(errors="replace")).hexdigest()
