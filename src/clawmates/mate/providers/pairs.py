"""Text that a provider cut in the middle of a character."""

from __future__ import annotations

_REPLACEMENT = "\ufffd"


class Pairs:
    """Joins the two halves of a surrogate pair across pieces; a half that stays alone becomes U+FFFD.

    JSON may escape half a pair (RFC 8259, 8.2), and no channel can send one.
    """

    def __init__(self) -> None:
        self._half = ""

    def join(self, text: str) -> str:
        """What can be passed on of ``text`` and what was held back before."""
        if not self._half and text.isascii():
            return text
        text = self._half + text
        self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._half, text = text[-1], text[:-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def end(self) -> str:
        """What is left when nothing more comes."""
        left, self._half = _REPLACEMENT if self._half else "", ""
        return left
