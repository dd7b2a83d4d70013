"""The two ceremonies of WebAuthn Level 3: what an authenticator is asked, and whether its answer counts. No database.

The library and its decoders take a tenth of a second to load, so this module is imported when somebody uses a passkey.
An answer is bytes of a stranger, read by a dozen decoders that quote it in what they raise: here all of that becomes
:class:`PasskeyRefused`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from clawmates.control.errors import PasskeyRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webauthn.helpers.structs import AuthenticationCredential

RP_NAME = "ClawMates"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What an authenticator has made."""

    id: str
    public_key: bytes
    sign_count: int


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001 - see the top of this file
        raise PasskeyRefused from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """Both of them, for one relying party: us."""

    host: str
    """Its id: without scheme and port (section 5.1.2)."""
    origin: str
    milliseconds: int
    """How long a challenge is good for."""

    def creation(self, challenge: bytes, account_id: str, email: str, known: Iterable[str]) -> str:
        """Options for ``navigator.credentials.create()``: a key that its authenticator keeps and asks its owner for."""
        return options_to_json(
            generate_registration_options(
                rp_id=self.host,
                rp_name=RP_NAME,
                user_id=account_id.encode(),
                user_name=email,
                challenge=challenge,
                timeout=self.milliseconds,
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.REQUIRED,
                    user_verification=UserVerificationRequirement.REQUIRED,
                ),
                exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known],
            )
        )

    def request(self, challenge: bytes) -> str:
        """Options for ``navigator.credentials.get()``. No key is named: the authenticator knows whose it holds."""
        return options_to_json(
            generate_authentication_options(
                rp_id=self.host,
                challenge=challenge,
                timeout=self.milliseconds,
                user_verification=UserVerificationRequirement.REQUIRED,
            )
        )

    def challenge_in(self, credential: dict[str, Any]) -> bytes:
        """What an answer says it answers."""
        with _refusing():
            return parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"])).challenge

    def created(self, challenge: bytes, credential: dict[str, Any]) -> NewKey:
        """A key that was made on our origin, for this challenge, with its owner verified (section 7.1)."""
        with _refusing():
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        return NewKey(
            id=bytes_to_base64url(verified.credential_id),
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
        )

    def parsed(self, credential: dict[str, Any]) -> AuthenticationCredential:
        """Which key has signed, and for whom; nothing of it is believed yet."""
        with _refusing():
            return parse_authentication_credential_json(credential)

    def signed(self, challenge: bytes, answer: AuthenticationCredential, public_key: bytes, sign_count: int) -> int:
        """Its counter now, if it has signed this challenge on our origin, with its owner verified (section 7.2)."""
        with _refusing():
            return verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.origin,
                credential_public_key=public_key,
                credential_current_sign_count=sign_count,
                require_user_verification=True,
            ).new_sign_count
