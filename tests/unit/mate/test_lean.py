"""What keeps a mate small changes when things are loaded, and nothing of what they do.

What an idle mate has loaded in the end is looked at in the image itself: ``tests/integration/test_image.py``.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from types import ModuleType

import pytest

from clawmates.mate import lean


def alone(program: str) -> list[str]:
    """What a program prints, line by line, in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_module_is_loaded_when_something_of_it_is_wanted() -> None:
    assert alone(
        "import sys\n"
        "from clawmates.mate.lean import Later, postpone\n"
        "postpone('colorsys')\n"
        "import colorsys\n"
        "import colorsys as again\n"
        "print(type(colorsys) is Later, colorsys is again)\n"
        "print(colorsys.rgb_to_hsv(0, 0, 0))\n"
        "print(type(colorsys) is Later, colorsys is sys.modules['colorsys'])\n"
        "print(hasattr(colorsys, 'no_such_thing'))\n"
    ) == ["True True", "(0.0, 0.0, 0)", "False True", "False"]


def test_what_is_loaded_already_or_nowhere_is_left_alone() -> None:
    lean.postpone("subprocess", "no_such_module")
    assert sys.modules["subprocess"] is subprocess
    assert "no_such_module" not in sys.modules


def test_a_module_from_nowhere_has_nothing() -> None:
    with pytest.raises(AttributeError):
        _ = lean.Later("nothing").anything
    assert isinstance(lean.Later("nothing"), ModuleType)


def test_tls_still_fails_where_it_must_and_works_where_it_may() -> None:
    """The same failure with and without the tables of reasons: an error of the same kind, without its text."""
    program = (
        "{first}\n"
        "import socket, ssl\n"
        "ours, theirs = socket.socketpair()\n"
        "theirs.sendall(b'HTTP/1.1 400 Bad Request and more of it')\n"
        "try:\n"
        "    ssl.create_default_context().wrap_socket(ours, server_hostname='a.example')\n"
        "except ssl.SSLError as error:\n"
        "    print(type(error).__name__, error.errno, error.reason)\n"
    )
    assert alone(program.format(first="")) == ["SSLError 1 WRONG_VERSION_NUMBER"]
    assert alone(program.format(first="from clawmates.mate.lean import slim; slim()")) == ["SSLError 1 None"]


def test_a_connection_sets_less_aside() -> None:
    (size,) = alone(
        "from clawmates.mate.lean import slim\n"
        "slim()\n"
        "import asyncio, ssl\n"
        "from asyncio.sslproto import SSLProtocol\n"
        "loop = asyncio.new_event_loop()\n"
        "protocol = SSLProtocol(loop, asyncio.Protocol(), ssl.create_default_context(), None, False, 'a.example')\n"
        "print(len(protocol.get_buffer(-1)))\n"
        "loop.close()\n"
    )
    assert int(size) == lean.TLS_BUFFER


def test_openssls_hashes_are_loaded_by_a_pairing_code_and_not_before() -> None:
    assert alone(
        "import sys\n"
        "from clawmates.mate.lean import slim\n"
        "slim()\n"
        "import hashlib, hmac\n"
        "import clawmates.mate.gate, clawmates.mate.credentials\n"
        "print('_hashlib' in sys.modules, hashlib.blake2b(b'').hexdigest()[:8])\n"
        "from clawmates.wire import pairing\n"
        "pairing.ROUNDS = 10\n"
        "print('_hashlib' in sys.modules, pairing.digest('home', 'ab' * 32, 'ABCD2345')[:8])\n"
    ) == ["False 786a02f7", "True " + sha("ABCD2345")[:8]]


def sha(code: str) -> str:
    bound = b"clawmates-pairing-v1\0home\0" + bytes.fromhex("ab" * 32)
    return hashlib.pbkdf2_hmac("sha256", code.encode(), bound, 10).hex()
