"""A master key in a key service: signature, name, and every answer it may give. The real server: integration."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # it has no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as TheirCredentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.vault.conftest import FakeClock

from clawmates.base.secret import Secret
from clawmates.vault import kms as module
from clawmates.vault.checks import StartError
from clawmates.vault.envelope import EnvelopeError, Layer
from clawmates.vault.kms import KmsMaster, open_kms, read_credentials
from clawmates.vault.kms_uri import parse
from clawmates.vault.master import MasterUnavailableError
from clawmates.vault.sigv4 import Credentials, Scope, signed_headers

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = Secret(b"k" * 32)
MOMENT = datetime(2026, 11, 22, 9, 0, 1, tzinfo=UTC)
PLAIN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


# The signature, held against the SDK's


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@given(body=st.binary(max_size=300), extra=st.text(alphabet="abc 123", max_size=20))
def test_we_sign_as_the_sdk_does(token: str, body: bytes, extra: str) -> None:
    headers = {
        "host": "kms.eu-central-1.amazonaws.com",
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": extra,
    }
    ours = signed_headers(
        headers, body, Credentials(PLAIN[0], Secret(PLAIN[1]), token), Scope("eu-central-1", "kms"), MOMENT
    )
    request = AWSRequest("POST", "https://kms.eu-central-1.amazonaws.com/", headers=headers, data=body)
    theirs = SigV4Auth(TheirCredentials(*PLAIN, token or None), "kms", "eu-central-1")
    request.context["timestamp"] = MOMENT.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    string = theirs.string_to_sign(request, theirs.canonical_request(request))
    assert ours["authorization"].rpartition("Signature=")[2] == theirs.signature(string, request)
    assert ours["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/eu-central-1/kms/aws4_request,"
    )
    assert PLAIN[1] not in "".join(ours.values())


# The name


def name(query: str = "credentials=/etc/cm/aws", arn: str = ARN) -> str:
    return f"aws-kms:{arn}?{query}"


def test_a_name_is_understood() -> None:
    uri = parse(name())
    assert (uri.arn, uri.region, uri.host, uri.port) == (ARN, "eu-central-1", "kms.eu-central-1.amazonaws.com", 443)
    assert (uri.credentials, uri.authority) == (Path("/etc/cm/aws"), None)
    own = parse(
        name(
            "credentials=/a&endpoint=https://kms.example:8443&authority=/ca.pem", ARN.replace("aws:", "aws-us-gov:", 1)
        )
    )
    assert (own.host, own.port, own.authority) == ("kms.example", 8443, Path("/ca.pem"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (name(arn="alias/vault"), "must be the ARN of a key"),
        (name(arn=ARN.replace("key/", "alias/")), "must be the ARN of a key"),
        (name(arn=ARN.replace("kms", "s3")), "must be the ARN of a key"),
        ("aws-kms:", "must be the ARN of a key"),
        (f"aws-kms:{ARN}", "must name credentials="),
        (name("credentials=aws"), "must name credentials="),
        (name("credentials=/a&authority=ca"), "must name authority="),
        (name("credentials=/a&credentials=/b"), "each once"),
        (name("credentials=/a&secret=x"), "nothing else"),
        (name("credentials="), "nothing else"),
        (name("credentials=/a&endpoint=http://kms.example"), "needs an endpoint of the form https"),
        (name("credentials=/a&endpoint=https://a..b"), "needs an endpoint of the form https"),
        (name("credentials=/a&endpoint=https://a:0"), "needs an endpoint of the form https"),
        (name("credentials=/a&endpoint=https://a:65536"), "needs an endpoint of the form https"),
        (name("credentials=/a&endpoint=https://a/path"), "needs an endpoint of the form https"),
    ],
)
def test_what_is_not_one_key_over_tls_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(StartError, match=sentence):
        parse(text)


# Credentials


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    path = tmp_path / "aws"
    path.write_text(f"[default]\naws_access_key_id = {PLAIN[0]}\naws_secret_access_key = {PLAIN[1]}%x\n")
    path.chmod(0o600)
    return path


def test_credentials_come_from_a_private_file(credentials: Path) -> None:
    read = read_credentials(credentials)
    assert (read.id, read.secret.reveal(), read.token) == (PLAIN[0], PLAIN[1] + "%x", "")
    assert PLAIN[1] not in repr(read)
    credentials.write_text(credentials.read_text() + "aws_session_token = t\n")
    assert read_credentials(credentials).token == "t"
    credentials.chmod(0o640)
    with pytest.raises(StartError, match="open to others"):
        read_credentials(credentials)


@pytest.mark.parametrize(
    "content", [b"", b"[other]\nx = 1\n", b"no section", b"[default]\naws_access_key_id = a\n", b"\xff"]
)
def test_a_file_without_credentials_is_refused_without_quoting_it(credentials: Path, content: bytes) -> None:
    credentials.write_bytes(content)
    with pytest.raises(StartError, match="holds no AWS credentials") as caught:
        read_credentials(credentials)
    assert "no section" not in str(caught.value)


def test_a_missing_file_stops_the_start(credentials: Path, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot read the credentials"):
        open_kms(name(f"credentials={tmp_path}/nothing"))
    with pytest.raises(StartError, match=r"authority .* cannot be used"):
        open_kms(name(f"credentials={credentials}&authority={tmp_path}/nothing"))
    assert open_kms(name(f"credentials={credentials}")).batch == 2


# Answers


@dataclass
class Service:
    """Stands where the connection is; ``answer`` is made from the request's fields."""

    answer: Callable[[dict[str, Any]], tuple[int, bytes]]
    seen: list[dict[str, Any]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    made: int = 0
    closed: int = 0
    broken: int = 0
    """So many requests fail before one is answered."""

    def __call__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext) -> Service:
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert timeout == module.CALL_SECONDS
        self.made += 1
        return self

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        assert (method, path) == ("POST", "/")
        if self.broken:
            self.broken -= 1
            raise ConnectionResetError
        self.heads.append(headers)
        self.seen.append(json.loads(body))

    def getresponse(self) -> Service:
        self.status, self.content = self.answer(self.seen[-1])
        return self

    def read(self, limit: int) -> bytes:
        return self.content[:limit]

    def close(self) -> None:
        self.closed += 1


def good(asked: dict[str, Any]) -> tuple[int, bytes]:
    """Seals by turning around; opens by turning around again."""
    wanted, given = ("CiphertextBlob", "Plaintext") if "Plaintext" in asked else ("Plaintext", "CiphertextBlob")
    return 200, json.dumps({"KeyId": ARN, wanted: asked[given]}).encode()


def served(credentials: Path, monkeypatch: pytest.MonkeyPatch, service: Service) -> KmsMaster:
    monkeypatch.setattr(http.client, "HTTPSConnection", service)
    master = open_kms(name(f"credentials={credentials}&endpoint=https://127.0.0.1:9"))
    master.clock = FakeClock()
    return master


def test_a_key_goes_there_and_back_over_one_connection(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(good)
    master = served(credentials, monkeypatch, service)
    box = master.wrap(Layer.TENANT_KEY, b"about acme", KEY)
    assert box == b"\x02" + KEY.reveal()
    assert master.unwrap(Layer.TENANT_KEY, b"about acme", box) == KEY
    assert (service.made, service.closed) == (1, 0)
    assert [head["x-amz-target"] for head in service.heads] == ["TrentService.Encrypt", "TrentService.Decrypt"]
    assert service.heads[0]["host"] == "127.0.0.1:9"
    contexts = [seen["EncryptionContext"]["clawmates"] for seen in service.seen]
    assert contexts[0] == contexts[1]
    assert "acme" not in json.dumps(service.seen), "the service's own log learns no tenant's name"
    assert all(seen["KeyId"] == ARN for seen in service.seen)
    with pytest.raises(EnvelopeError):
        master.unwrap(Layer.TENANT_KEY, b"about acme", b"\x01" + box)
    assert master.id == open_kms(name(f"credentials={credentials}")).id


def test_the_default_port_is_not_said(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(good)
    monkeypatch.setattr(http.client, "HTTPSConnection", service)
    open_kms(name(f"credentials={credentials}")).wrap(Layer.CANARY, b"", KEY)
    assert service.heads[0]["host"] == "kms.eu-central-1.amazonaws.com"


def test_a_connection_that_was_closed_meanwhile_is_made_again(
    credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(good, broken=1)
    master = served(credentials, monkeypatch, service)
    master.wrap(Layer.CANARY, b"", KEY)
    assert (service.made, service.closed) == (2, 1)
    service.broken = 2
    with pytest.raises(MasterUnavailableError):
        master.wrap(Layer.CANARY, b"", KEY)
    master.wrap(Layer.CANARY, b"", KEY)


def failed(kind: str) -> Callable[[dict[str, Any]], tuple[int, bytes]]:
    return lambda _asked: (400, json.dumps({"__type": kind, "message": "sensitive words"}).encode())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failed("InvalidCiphertextException"), EnvelopeError),
        (failed("com.amazonaws.kms#IncorrectKeyException"), EnvelopeError),
        (failed("AccessDeniedException"), MasterUnavailableError),
        (failed("DisabledException"), MasterUnavailableError),
        (failed("ThrottlingException"), MasterUnavailableError),
        (lambda _: (500, b"{}"), MasterUnavailableError),
        (lambda _: (200, b"not json"), MasterUnavailableError),
        (lambda _: (200, b"[" * 30000), MasterUnavailableError),
        (lambda _: (200, b"[]"), MasterUnavailableError),
        (lambda _: (200, b"{}"), MasterUnavailableError),
        (lambda _: (200, json.dumps({"KeyId": ARN, "Plaintext": "?"}).encode()), MasterUnavailableError),
        (lambda _: (200, json.dumps({"KeyId": ARN, "Plaintext": 7}).encode()), MasterUnavailableError),
        (lambda _: (200, json.dumps({"KeyId": "another", "Plaintext": ""}).encode()), MasterUnavailableError),
        (lambda _: (200, b" " * (64 * 1024 + 1)), MasterUnavailableError),
    ],
)
def test_whatever_it_answers_is_one_of_two_errors_without_its_words(
    credentials: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, error: type[Exception]
) -> None:
    master = served(credentials, monkeypatch, Service(answer))
    with pytest.raises(error) as caught:
        master.unwrap(Layer.CANARY, b"", b"\x02box")
    assert str(caught.value) == ""


def test_an_answer_of_another_key_is_not_taken(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: without a look at KeyId, a key of somebody else's could stand in for ours."""
    other = ARN.replace("1234abcd", "00000000")

    def elsewhere(asked: dict[str, Any]) -> tuple[int, bytes]:
        return 200, json.dumps({"KeyId": other, "Plaintext": b64encode(b"theirs").decode()}).encode()

    master = served(credentials, monkeypatch, Service(elsewhere))
    with pytest.raises(MasterUnavailableError):
        master.unwrap(Layer.CANARY, b"", b"\x02box")
    careless = KmsMaster(parse(name(f"credentials={credentials}", other)), master.tls, master.clock)
    assert careless.unwrap(Layer.CANARY, b"", b"\x02box").reveal() == b"theirs"


def test_credentials_that_vanished_make_it_unavailable(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    master = served(credentials, monkeypatch, Service(good))
    text = credentials.read_text()
    credentials.unlink()
    with pytest.raises(MasterUnavailableError):
        master.wrap(Layer.CANARY, b"", KEY)
    descriptor = os.open(credentials, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, text.encode())
    os.close(descriptor)
    assert master.wrap(Layer.CANARY, b"", KEY)
