"""The name of a key in a token (RFC 7512, PKCS #11 URI). Pure.

``pkcs11:token=vault;object=master-1?module-path=/usr/lib/…/libsofthsm2.so&pin-source=file:/etc/clawmates/pin``
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from clawmates.vault.checks import StartError

SCHEME = "pkcs11:"
_FILE = "file:"
_IN_PATH = frozenset({"token", "serial", "manufacturer", "model", "object", "id", "type"})
_IN_QUERY = frozenset({"module-path", "pin-source"})
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUri:
    """Which key of which token; an empty field may be anything."""

    module: Path
    """The token's library."""
    pin: Path
    """A file that holds the PIN."""
    token: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    object: str = ""
    id: bytes = b""


def parse(text: str) -> TokenUri:
    """Raises :class:`StartError` for what cannot be one key of one token; its text never shows a value."""
    if not text.startswith(SCHEME):
        raise StartError(_say("does not begin with pkcs11:"))
    path, _, query = text.removeprefix(SCHEME).partition("?")
    if "pin-value" in query:
        raise StartError(_say("holds a PIN: put it into a file of the vault's own and name that as pin-source"))
    where = _attributes(path, ";", _IN_PATH)
    how = _attributes(query, "&", _IN_QUERY)
    if where.get("type", b"secret-key") != b"secret-key":
        raise StartError(_say("must name a secret-key"))
    if not (where.get("token") or where.get("serial")):
        raise StartError(_say("must name the token (token= or serial=)"))
    if not (where.get("object") or where.get("id")):
        raise StartError(_say("must name the key (object= or id=)"))
    return TokenUri(
        module=_file(how, "module-path"),
        pin=_file(how, "pin-source"),
        id=where.get("id", b""),
        **{name: _text(where, name) for name in ("token", "serial", "manufacturer", "model", "object")},
    )


def _attributes(text: str, between: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(between) if text else ():
        name, equals, value = part.partition("=")
        if name not in known or not equals:
            raise StartError(_say(f"knows {', '.join(sorted(known))}, and nothing else in that place"))
        if name in found:
            raise StartError(_say(f"names {name} twice"))
        if not _ESCAPES.fullmatch(value):
            raise StartError(_say(f"has a broken escape in {name}"))
        found[name] = unquote_to_bytes(value)
    return found


def _text(found: dict[str, bytes], name: str) -> str:
    try:
        return found.get(name, b"").decode()
    except UnicodeDecodeError:
        raise StartError(_say(f"has a {name} that is not UTF-8")) from None


def _file(found: dict[str, bytes], name: str) -> Path:
    path = Path(_text(found, name).removeprefix(_FILE))
    if not path.is_absolute():
        raise StartError(_say(f"must name {name} with an absolute path"))
    return path


def _say(what: str) -> str:
    return f"the pkcs11: master key {what}"
