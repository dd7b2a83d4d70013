"""What keeps an idle mate small and its start short. Imported before asyncio; `docs/mate.md` says what each part saves.

Nothing here changes what the standard library does: it changes when a part of it is loaded, and what it keeps for uses
that a mate has none of.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

LATER = ("inspect", "linecache", "locale")
"""Imported by asyncio and dataclasses for debugging and for subprocesses; with what they import themselves, a MiB."""
TLS_BUFFER = 32 * 1024
"""Bytes that a TLS connection reads at once: two records. asyncio sets aside 256 KiB a connection, and zeroes them."""


class Later(ModuleType):
    """A module that is loaded when something of it is wanted, not when it is imported.

    :class:`importlib.util.LazyLoader` would be for this, but its modules load at their second import (CPython 3.11).
    """

    def __getattr__(self, name: str) -> Any:
        """Only called for what is not there, so never again once it is loaded."""
        if self.__spec__ is None or self.__spec__.loader is None or self.__class__ is not Later:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def postpone(*names: str) -> None:
    """Lets modules that are not loaded yet be loaded when they are used."""
    for name in names:
        spec = find_spec(name)
        if spec is not None and name not in sys.modules:
            module = sys.modules[name] = Later(name)
            module.__spec__ = spec


def forget_tls_reasons() -> None:
    """Empties the tables of OpenSSL's error names: a mate says that TLS failed, and never why."""
    import _ssl  # noqa: PLC0415 - loading them is what makes the room that is freed here and used by what comes next

    _ssl.err_codes_to_names.clear()
    _ssl.err_names_to_codes.clear()
    _ssl.lib_codes_to_names.clear()


def small_tls_buffers() -> None:
    """Fits a connection's buffer to what a messenger's or a provider's words need."""
    from asyncio.sslproto import SSLProtocol  # noqa: PLC0415 - the others come before asyncio

    SSLProtocol.max_size = TLS_BUFFER


def hash_without_openssl() -> None:
    """Lets `hashlib` use the functions that are built in.

    OpenSSL's come with `_hashlib`, which only a pairing code wants, and loads itself then.
    """
    sys.modules["_hashlib"] = None  # type: ignore[assignment] # so that importing it fails
    import hashlib  # noqa: F401, PLC0415 - while OpenSSL's are out of sight
    import hmac  # noqa: F401, PLC0415

    del sys.modules["_hashlib"]


def slim() -> None:
    """All of it."""
    hash_without_openssl()
    postpone(*LATER)
    from clawmates.mate import ahead  # noqa: PLC0415 - dataclasses would load `inspect`

    ahead.take()
    forget_tls_reasons()
    small_tls_buffers()


def settle() -> None:
    """When everything is loaded: frees what only loading needed, and keeps the collector from what stays."""
    from clawmates.mate import ahead  # noqa: PLC0415 - as above

    ahead.drop()
    gc.collect()
    gc.freeze()
