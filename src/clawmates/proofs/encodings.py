"""The shapes in which text is looked for.

Each :class:`Encoding` can plant a text (for tests and for the search's check of itself) and says how a text that
stands *inside* a longer one would look. Nothing is decoded: what is looked for is encoded, which is exact and quick.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way to write text down as bytes."""

    name: str
    plant: Callable[[str], bytes]
    """The text as a program would store it."""
    marker: Callable[[str], bytes]
    """The part of that which does not depend on what stands before and after the text."""


def _same(name: str, plant: Callable[[str], bytes]) -> Encoding:
    return Encoding(name, plant, plant)


def _base64(name: str, offset: int, encode: Callable[[bytes], bytes]) -> Encoding:
    """Base64 of a text whose first byte stands ``offset`` bytes after a multiple of three."""

    def plant(text: str) -> bytes:
        return encode(b"::"[:offset] + text.encode())

    def marker(text: str) -> bytes:
        whole = (offset + len(text.encode())) * 8 // 6
        return plant(text)[-(-offset * 8 // 6) : whole]

    return Encoding(f"{name}+{offset}", plant, marker)


def _wide(name: str, codec: str, head: int, tail: int) -> Encoding:
    """UTF-16 and UTF-32 without the zero bytes at the end (or start) that the neighbouring text may own."""

    def plant(text: str) -> bytes:
        return text.encode(codec)

    def marker(text: str) -> bytes:
        raw = plant(text)
        return raw[head : len(raw) - tail]

    return Encoding(name, plant, marker)


def _raw(text: str) -> bytes:
    return text.encode()


def _hex_lower(text: str) -> bytes:
    return text.encode().hex().encode()


def _hex_upper(text: str) -> bytes:
    return _hex_lower(text).upper()


def _json_lower(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()


def _json_upper(text: str) -> bytes:
    return re.sub(rb"\\u[0-9a-f]{4}", lambda found: b"\\u" + found[0][2:].upper(), _json_lower(text))


def _json_all_lower(text: str) -> bytes:
    raw = text.encode("utf-16-be")
    return b"".join(b"\\u%02x%02x" % (raw[at], raw[at + 1]) for at in range(0, len(raw), 2))


def _json_all_upper(text: str) -> bytes:
    raw = text.encode("utf-16-be")
    return b"".join(b"\\u%02X%02X" % (raw[at], raw[at + 1]) for at in range(0, len(raw), 2))


def _percent_upper(text: str) -> bytes:
    return quote(text, safe="").encode()


def _percent_lower(text: str) -> bytes:
    return re.sub(rb"%[0-9A-F]{2}", lambda found: found[0].lower(), _percent_upper(text))


def _percent_all_upper(text: str) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in text.encode())


def _percent_all_lower(text: str) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in text.encode())


def _reversed(text: str) -> bytes:
    return text[::-1].encode()


ENCODINGS: tuple[Encoding, ...] = (
    _same("raw", _raw),
    _same("hex-lower", _hex_lower),
    _same("hex-upper", _hex_upper),
    *(_base64("base64", offset, b64encode) for offset in range(3)),
    *(_base64("base64-url", offset, urlsafe_b64encode) for offset in range(3)),
    _same("json-lower", _json_lower),
    _same("json-upper", _json_upper),
    _same("json-all-lower", _json_all_lower),
    _same("json-all-upper", _json_all_upper),
    _same("percent-upper", _percent_upper),
    _same("percent-lower", _percent_lower),
    _same("percent-all-upper", _percent_all_upper),
    _same("percent-all-lower", _percent_all_lower),
    _wide("utf-16-le", "utf-16-le", 0, 1),
    _wide("utf-16-be", "utf-16-be", 1, 0),
    _wide("utf-32-le", "utf-32-le", 0, 3),
    _wide("utf-32-be", "utf-32-be", 3, 0),
    _same("reversed", _reversed),
)
"""UTF-32 is what CPython itself keeps text in once it holds a character beyond U+FFFF."""
