"""A master key that never leaves its token: AES-256-GCM inside a PKCS#11 module, the nonce and the context from here.

Imported only where the configuration names a token. The token must take a nonce from outside (CKM_AES_GCM with
CK_GCM_PARAMS, PKCS #11 v2.40); some that are locked to FIPS mode insist on their own and cannot be used.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import PKCS11Error, UserAlreadyLoggedIn

from clawmates.base.secret import Secret
from clawmates.vault.checks import StartError, require_private
from clawmates.vault.envelope import KEY_BYTES, NONCE_BYTES, TAG_BYTES, EnvelopeError, Layer, Random
from clawmates.vault.master import MasterUnavailableError
from clawmates.vault.token_uri import TokenUri, parse

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = b"\x01"
_TAG_BITS = 8 * TAG_BYTES
_MAX_PIN = 256


class _AesKey(Protocol):
    """What we use of a key: the library mixes these in when it has looked at the key's own attributes."""

    label: str
    id: bytes

    def encrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes: ...

    def decrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes: ...


def open_token(setting: str, random: Random) -> TokenMaster:
    """Logs in and finds the key; raises :class:`StartError`, or MasterUnavailableError when the token is absent."""
    uri = parse(setting)
    master = TokenMaster(uri, random)
    master.login()
    return master


@dataclass(slots=True)
class TokenMaster:
    """One key of one token; logs in again when the token has forgotten us."""

    uri: TokenUri
    random: Random
    id: str = ""
    _session: pkcs11.Session | None = field(default=None, repr=False)
    _key: _AesKey | None = field(default=None, repr=False)

    @property
    def batch(self) -> int:
        """About a millisecond each in a small token."""
        return 16

    def login(self) -> None:
        """Opens a session and looks the key up; raises as :func:`open_token`."""
        pin = _read_pin(self.uri.pin)
        try:
            token = self._token(pkcs11.lib(str(self.uri.module)).get_slots(token_present=True))
            try:
                self._session = token.open(user_pin=pin.reveal())
            except UserAlreadyLoggedIn:
                # By the other master key, while one takes over: the login is the whole process's.
                self._session = token.open()
            self._key = self._find(self._session)
            name = b"\0".join((token.serial, self._key.label.encode(), self._key.id))
        except (PKCS11Error, RuntimeError):
            raise MasterUnavailableError from None
        self.id = hashlib.sha256(b"clawmates-master-token-v1\0" + name).hexdigest()[:16]

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        """Seals ``key`` inside the token."""
        nonce = self.random(NONCE_BYTES)
        try:
            box = self._encrypt(nonce, layer.value + about, key.reveal())
        except PKCS11Error:
            self._login_again()
            try:
                box = self._encrypt(nonce, layer.value + about, key.reveal())
            except PKCS11Error:
                raise MasterUnavailableError from None
        return _FORMAT + nonce + box

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        """Opens it again; raises EnvelopeError only while the token is known to be in order."""
        if len(box) < len(_FORMAT) + NONCE_BYTES + TAG_BYTES or not box.startswith(_FORMAT):
            raise EnvelopeError
        nonce, sealed = box[1 : 1 + NONCE_BYTES], box[1 + NONCE_BYTES :]
        for again in (True, False):
            try:
                return Secret(self._decrypt(nonce, layer.value + about, sealed))
            except PKCS11Error:
                # Tokens name a wrong tag differently (SoftHSM2: a general error), so the token itself is asked.
                if self._answers():
                    raise EnvelopeError from None
                if again:
                    self._login_again()
        raise MasterUnavailableError

    def _login_again(self) -> None:
        try:
            self.login()
        except StartError:
            # What would have stopped a start (a PIN that is gone, another key) makes a running vault wait.
            raise MasterUnavailableError from None

    def _encrypt(self, nonce: bytes, about: bytes, plaintext: bytes) -> bytes:
        params = GCMParams(nonce, about, _TAG_BITS)
        return self._held().encrypt(plaintext, mechanism=Mechanism.AES_GCM, mechanism_param=params)

    def _decrypt(self, nonce: bytes, about: bytes, sealed: bytes) -> bytes:
        params = GCMParams(nonce, about, _TAG_BITS)
        return self._held().decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=params)

    def _answers(self) -> bool:
        try:
            self._encrypt(self.random(NONCE_BYTES), b"", b"?")
        except PKCS11Error:
            return False
        return True

    def _held(self) -> _AesKey:
        if self._key is None:
            raise MasterUnavailableError
        return self._key

    def _token(self, slots: list[pkcs11.Slot]) -> pkcs11.Token:
        uri = self.uri
        tokens: list[pkcs11.Token] = [
            token
            for token in (slot.get_token() for slot in slots)
            if (not uri.token or token.label == uri.token)
            and (not uri.serial or token.serial.decode(errors="replace").strip() == uri.serial)
            and (not uri.manufacturer or token.manufacturer_id == uri.manufacturer)
            and (not uri.model or token.model == uri.model)
        ]
        if not tokens:
            raise MasterUnavailableError
        if len(tokens) > 1:
            raise StartError("the pkcs11: master key fits several tokens: add serial=")
        return tokens[0]

    def _find(self, session: pkcs11.Session) -> _AesKey:
        wanted: dict[Attribute, object] = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES}
        if self.uri.object:
            wanted[Attribute.LABEL] = self.uri.object
        if self.uri.id:
            wanted[Attribute.ID] = self.uri.id
        keys = list(session.get_objects(wanted))
        if len(keys) != 1:
            found = "no AES key" if not keys else "several AES keys"
            raise StartError(f"the pkcs11: master key names {found} of the token: look at object= and id=")
        key = keys[0]
        if key[Attribute.VALUE_LEN] != KEY_BYTES:
            raise StartError("the pkcs11: master key is not a 256-bit AES key")
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise StartError("the pkcs11: master key may leave its token: make one that is sensitive, not extractable")
        return cast(_AesKey, key)


def _read_pin(path: Path) -> Secret[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StartError(f"cannot read the PIN file {path}: {error.strerror}") from None
    try:
        require_private(path, os.fstat(descriptor), stat.S_IFREG)
        raw = os.read(descriptor, _MAX_PIN + 1)
    finally:
        os.close(descriptor)
    try:
        pin = raw.decode().rstrip("\n")
    except UnicodeDecodeError:
        pin = ""
    if not pin or len(raw) > _MAX_PIN:
        raise StartError(f"{path} does not hold a PIN")
    return Secret(pin)
