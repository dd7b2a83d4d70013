"""A master key that never leaves a cloud's key service: AWS KMS ``Encrypt`` and ``Decrypt`` (KMS API Reference).

Imported only where the configuration names one. What a key is bound to goes along as encryption context, hashed,
because the service writes contexts into its logs. TLS 1.3 only, no proxy, nothing from the environment.
"""

from __future__ import annotations

import binascii
import configparser
import hashlib
import http.client
import json
import os
import ssl
import stat
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock, SystemClock
from clawmates.base.secret import Secret
from clawmates.base.shape import encode_json
from clawmates.base.tls import client_context
from clawmates.vault.checks import StartError, require_private
from clawmates.vault.envelope import EnvelopeError, Layer
from clawmates.vault.kms_uri import KmsUri, parse
from clawmates.vault.master import MasterUnavailableError
from clawmates.vault.sigv4 import Credentials, Scope, signed_headers

if TYPE_CHECKING:
    from pathlib import Path

CALL_SECONDS = 3.0
_MAX_ANSWER = 64 * 1024
_MAX_FILE = 16 * 1024
_FORMAT = b"\x02"
_DOES_NOT_OPEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


def open_kms(setting: str) -> KmsMaster:
    """Reads the credentials; asks nobody yet. Raises :class:`StartError`."""
    uri = parse(setting)
    try:
        tls = client_context(authority=uri.authority)
    except OSError:
        raise StartError(f"the authority {uri.authority} of the aws-kms: master key cannot be used") from None
    read_credentials(uri.credentials)
    # The machine's own clock: the service refuses signatures that are minutes off.
    return KmsMaster(uri, tls, SystemClock())


@dataclass(slots=True)
class KmsMaster:
    """One key of the service, over a connection that is kept; credentials are read again for every call."""

    uri: KmsUri
    tls: ssl.SSLContext
    clock: Clock
    _connection: http.client.HTTPSConnection | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """A hash of the key's name."""
        return hashlib.sha256(b"clawmates-master-kms-v1\0" + self.uri.arn.encode()).hexdigest()[:16]

    @property
    def batch(self) -> int:
        """Two calls each, over a network."""
        return 2

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        """Has the service seal ``key``."""
        return _FORMAT + self._ask("Encrypt", "Plaintext", "CiphertextBlob", layer.value + about, key.reveal())

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        """Has it opened again."""
        if not box.startswith(_FORMAT):
            raise EnvelopeError
        return Secret(self._ask("Decrypt", "CiphertextBlob", "Plaintext", layer.value + about, box[1:]))

    def _ask(self, action: str, given: str, wanted: str, about: bytes, value: bytes) -> bytes:
        body = encode_json(
            {
                "KeyId": self.uri.arn,
                given: b64encode(value).decode(),
                "EncryptionContext": {"clawmates": hashlib.sha256(about).hexdigest()},
            }
        )
        status, answer = self._call(action, body)
        try:
            fields = json.loads(answer)
            if status == http.client.OK and fields["KeyId"] == self.uri.arn:
                return b64decode(fields[wanted], validate=True)
            kind = str(fields["__type"]).rpartition("#")[2]
        except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
            raise MasterUnavailableError from None
        raise EnvelopeError if kind in _DOES_NOT_OPEN else MasterUnavailableError

    def _call(self, action: str, body: bytes) -> tuple[int, bytes]:
        """Twice at most: a kept connection may have been closed from the other side."""
        headers = signed_headers(
            {
                "host": self.uri.host
                if self.uri.port == http.client.HTTPS_PORT
                else f"{self.uri.host}:{self.uri.port}",
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": f"TrentService.{action}",
            },
            body,
            self._credentials(),
            Scope(self.uri.region, "kms"),
            self.clock.now(),
        )
        for _ in range(2):
            connection = self._connection or http.client.HTTPSConnection(
                self.uri.host, self.uri.port, timeout=CALL_SECONDS, context=self.tls
            )
            self._connection = None
            try:
                connection.request("POST", "/", body, headers)
                response = connection.getresponse()
                answer = response.read(_MAX_ANSWER + 1)
            except (OSError, http.client.HTTPException):
                connection.close()
                continue
            if len(answer) > _MAX_ANSWER:
                connection.close()
                break
            self._connection = connection
            return response.status, answer
        raise MasterUnavailableError

    def _credentials(self) -> Credentials:
        try:
            return read_credentials(self.uri.credentials)
        except StartError:
            raise MasterUnavailableError from None


def read_credentials(path: Path) -> Credentials:
    """Profile *default* of a shared credentials file that only the vault can read; raises :class:`StartError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StartError(f"cannot read the credentials {path}: {error.strerror}") from None
    try:
        require_private(path, os.fstat(descriptor), stat.S_IFREG)
        raw = os.read(descriptor, _MAX_FILE)
    finally:
        os.close(descriptor)
    profiles = configparser.ConfigParser(interpolation=None)
    try:
        profiles.read_string(raw.decode())
        profile = profiles["default"]
        return Credentials(
            profile["aws_access_key_id"],
            Secret(profile["aws_secret_access_key"]),
            profile.get("aws_session_token", ""),
        )
    except (configparser.Error, UnicodeDecodeError, KeyError):
        raise StartError(f"{path} holds no AWS credentials of the profile 'default'") from None
