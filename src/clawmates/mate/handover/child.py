"""``python -I -m clawmates.mate.handover.child seal|open``: the one program in the image that holds keys of its own.

It lives for one hand-over, and the only module of a mate that loads a cryptography library: 12 MiB that no idle mate
pays for. In and out go frames, four bytes of big-endian length each:

======== ============================================================ ===========================================
``seal`` the heir's public key, the info, the context                 → the sealed context
``open`` first → the public key of a pair that is born here, then the
         info, the sealed context                                     → the context
======== ============================================================ ===========================================

HPKE (RFC 9180) in base mode: X25519, HKDF-SHA256, AES-256-GCM; sealed is enc ‖ ciphertext. Who sealed it and whose the
key is, the mates prove to each other (:mod:`clawmates.mate.handover.proof`). What does not open ends it with 1.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from clawmates.base.hardening import harden

if TYPE_CHECKING:
    from typing import BinaryIO

LENGTH_BYTES = 4
MOST = 4 << 20
FAILED = 1


class FrameError(Exception):
    """The mate has gone, or says something else than was agreed."""


def read_frame(stream: BinaryIO) -> bytes:
    """The next frame; raises :class:`FrameError`."""
    size = int.from_bytes(_exactly(stream, LENGTH_BYTES), "big")
    if size > MOST:
        raise FrameError
    return _exactly(stream, size)


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Says one frame."""
    stream.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
    stream.flush()


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise FrameError
    return data


def run(what: str, source: BinaryIO, target: BinaryIO) -> int:
    """One hand-over's half; the exit code."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - after the process is hardened
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite  # noqa: PLC0415

    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    try:
        match what:
            case "seal":
                public = X25519PublicKey.from_public_bytes(read_frame(source))
                info = read_frame(source)
                write_frame(target, suite.encrypt(read_frame(source), public, info))
            case "open":
                private = X25519PrivateKey.generate()
                write_frame(target, private.public_key().public_bytes_raw())
                info = read_frame(source)
                write_frame(target, suite.decrypt(read_frame(source), private, info))
            case _:
                return FAILED
    except (FrameError, InvalidTag, ValueError, OSError):
        return FAILED
    return 0


if __name__ == "__main__":
    harden()
    os.environ.clear()
    sys.exit(run(sys.argv[1] if len(sys.argv) == 2 else "", sys.stdin.buffer, sys.stdout.buffer))
