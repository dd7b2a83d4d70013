"""AWS KMS played by moto as a server process of its own, over TLS 1.3 on loopback."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from clawmates.base.clock import SystemClock
from clawmates.base.secret import Secret
from clawmates.base.tls import client_context
from clawmates.base.x509 import Authority, Names
from clawmates.vault.sigv4 import Credentials, Scope, signed_headers

REGION = "eu-central-1"


@dataclass
class Moto:
    folder: Path
    port: int
    process: asyncio.subprocess.Process

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def credentials(self) -> Path:
        return self.folder / "aws"

    def ask(self, action: str, fields: dict[str, object]) -> dict[str, object]:
        """One call as the account's owner."""
        body = json.dumps(fields).encode()
        headers = signed_headers(
            {
                "host": f"127.0.0.1:{self.port}",
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": f"TrentService.{action}",
            },
            body,
            Credentials("AKIDEXAMPLE", Secret("secret")),
            Scope(REGION, "kms"),
            SystemClock().now(),
        )
        tls = client_context(authority=self.authority)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=tls)
        try:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            answer: dict[str, object] = json.loads(response.read() or b"{}")
            assert response.status == 200, answer
        finally:
            connection.close()
        return answer

    def create_key(self) -> str:
        """The ARN of a new key."""
        made = self.ask("CreateKey", {})["KeyMetadata"]
        assert isinstance(made, dict)
        return str(made["Arn"])

    def setting(self, arn: str) -> str:
        options = f"credentials={self.credentials}&endpoint=https://127.0.0.1:{self.port}&authority={self.authority}"
        return f"aws-kms:{arn}?{options}"

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def moto() -> AsyncIterator[Moto]:
    """A server until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="cm-moto-") as name:
        folder = Path(name)
        authority = Authority.create("moto", datetime.now(UTC))
        pair = authority.issue(Names(dns=("127.0.0.1",)), datetime.now(UTC))
        (folder / "ca.pem").write_bytes(authority.pair.certificate)
        (folder / "cert.pem").write_bytes(pair.certificate)
        (folder / "key.pem").touch(0o600)
        (folder / "key.pem").write_bytes(pair.key)
        (folder / "aws").touch(0o600)
        (folder / "aws").write_text("[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        command = ("-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
        files = ("-c", str(folder / "cert.pem"), "-k", str(folder / "key.pem"))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *files,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while b"Running on" not in (line := await process.stderr.readline()):
                assert line, "moto ended"
        drain = asyncio.create_task(process.stderr.read())
        server = Moto(folder, port, process)
        try:
            yield server
        finally:
            await server.stop()
            await drain
