"""Where Debian's packages come from: the machine's own apt configuration, and nothing written here.

Only Debian's own entries are used. An entry is Debian's when its suite is a Debian release, its component is
``main`` and its key, if it names one, is Debian's archive key. Formats: sources.list(5), apt.conf(5).
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_RELEASES = r"(?:bullseye|bookworm|trixie|forky|stable|oldstable|testing)"
_SUITE = re.compile(rf"{_RELEASES}(?P<rest>|-updates|-security|/updates)")
_ONE_LINE = re.compile(r"deb(?:\s+\[(?P<options>[^\]]*)\])?\s+(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")
_CARRIED = re.compile(r"Acquire::(?:https?|Retries|Check-Valid-Until|Check-Date|ForceIPv4|ForceIPv6)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a sources.list."""

    uri: str
    suite: str

    def line(self) -> str:
        """As apt reads it; the key is always Debian's own."""
        return f"deb [signed-by={KEYRING}] {self.uri} {self.suite} main"


def entries(texts: Iterable[str], suite: str) -> tuple[Entry, ...]:
    """Debian's entries in sources files of either format, turned to ``suite`` whatever release the host runs."""
    found: dict[Entry, None] = {}
    for text in texts:
        for uri, named, components, key in (*_one_line(text), *_deb822(text)):
            match = _SUITE.fullmatch(named.strip("/"))
            if match is None or "main" not in components or (key and "debian-archive-" not in key):
                continue
            rest = "-security" if match["rest"] == "/updates" else match["rest"]
            found[Entry(uri, suite + rest)] = None
    return tuple(found)


def _one_line(text: str) -> Iterable[tuple[str, str, list[str], str]]:
    for raw in text.splitlines():
        match = _ONE_LINE.fullmatch(raw.partition("#")[0].strip())
        if match is not None:
            key = re.search(r"signed-by=(\S+)", match["options"] or "", re.IGNORECASE)
            yield match["uri"], match["suite"], match["components"].split(), key[1] if key else ""


def _deb822(text: str) -> Iterable[tuple[str, str, list[str], str]]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield uri, suite, fields.get("components", "").split(), fields.get("signed-by", "")


def _fields(stanza: str) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in {" ", "\t"}:
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def texts(etc: Path) -> tuple[str, ...]:
    """Every sources file below ``etc`` (``/etc/apt``), in apt's order."""
    folder = etc / "sources.list.d"
    files = [etc / "sources.list", *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))]
    return tuple(file.read_text(errors="replace") for file in files if file.is_file())


def mirrors(etc: Path, host: str, environment: Mapping[str, str], suite: str) -> tuple[str, ...]:
    """sources.list lines for ``suite``; empty leaves the choice to mmdebstrap.

    ``DEBIAN_MIRROR`` and ``DEBIAN_SECURITY_MIRROR`` win; else the entries of a host whose os-release ID is
    ``debian``. Another host's own entries hold no Debian.
    """
    if mirror := environment.get("DEBIAN_MIRROR"):
        found = [Entry(mirror, suite)]
        if security := environment.get("DEBIAN_SECURITY_MIRROR"):
            found.append(Entry(security, f"{suite}-security"))
        return tuple(entry.line() for entry in found)
    return tuple(entry.line() for entry in entries(texts(etc), suite)) if host == "debian" else ()


def carried(dump: str, etc: Path) -> str:
    """The apt settings that reach the mirrors from this host (proxies, authorities, logins), for another root.

    ``dump`` is what ``apt-config dump`` printed. Logins stay in their own files, named by path.
    """
    lines = [line for line in dump.splitlines() if _CARRIED.match(line)]
    return "\n".join([*lines, f'Dir::Etc::netrc "{etc}/auth.conf";', f'Dir::Etc::netrcparts "{etc}/auth.conf.d";', ""])


def main(suite: str) -> None:
    """Prints the mirrors, a blank line, and the apt settings that reach them: for scripts that make a Debian root."""
    etc = Path("/etc/apt")
    lines = mirrors(etc, platform.freedesktop_os_release().get("ID", ""), os.environ, suite)
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout  # noqa: S607 - apt's own
    sys.stdout.write("".join(f"{line}\n" for line in lines) + "\n" + carried(dump, etc))


if __name__ == "__main__":
    main(*sys.argv[1:])
