"""A PKCS#11 token of our own: SoftHSM2 (Debian's softhsm2) in a folder of the test's."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, SO_PIN = "8231", "4711"

_MAKE_KEY = """
import sys, pkcs11
from pkcs11 import Attribute, KeyType
module, token, pin, label, number, bits, extractable = sys.argv[1:]
with pkcs11.lib(module).get_token(token_label=token).open(rw=True, user_pin=pin) as session:
    session.generate_key(KeyType.AES, int(bits), label=label, id=bytes.fromhex(number), store=True,
        template={Attribute.EXTRACTABLE: extractable == "yes", Attribute.SENSITIVE: extractable == "no"})
"""


@dataclass(frozen=True)
class SoftToken:
    """Tokens in ``folder``; the library finds them by ``environment``, which it reads once in a process."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *labels: str) -> SoftToken:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokens").mkdir()
        made = cls(folder)
        made.conf.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        made.pin.write_text(f"{PIN}\n")
        made.pin.chmod(0o600)
        for label in labels:
            made._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN)
        return made

    @property
    def conf(self) -> Path:
        return self.folder / "softhsm2.conf"

    @property
    def pin(self) -> Path:
        return self.folder / "pin"

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.conf)}

    def add_key(
        self, label: str, *, token: str = "vault", number: str = "01", bits: int = 256, extractable: bool = False
    ) -> None:
        """A key made inside the token."""
        kind = "yes" if extractable else "no"
        self._run(sys.executable, "-c", _MAKE_KEY, str(MODULE), token, PIN, label, number, str(bits), kind)

    def uri(self, path: str = "token=vault;object=master-1") -> str:
        return f"pkcs11:{path}?module-path={MODULE}&pin-source=file:{self.pin}"

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, env=self.environment | {"PATH": "/usr/bin:/bin"})
