"""What the image is made of, for other people's tools: CycloneDX 1.6 as JSON (ECMA-424).

Made from the very files that went in, so that it is as reproducible as the image: no clock, no random serial number.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from image.contents import Contents
    from image.packages import Package

FILE = "mate.cdx.json"
_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)-.+\.whl")


@dataclass(frozen=True, slots=True, order=True)
class Wheel:
    """One Python wheel as it was fetched."""

    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, file_name: str, sha256: str) -> Wheel:
        """From a wheel's file name (binary distribution format specification); raises ``ValueError``."""
        match = _WHEEL.fullmatch(file_name)
        if match is None:
            raise ValueError("not the file name of a wheel")
        return cls(match["name"].lower().replace("_", "-"), match["version"], sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The image that the list is of."""

    version: str
    """Of ClawMates."""
    digest: str
    """``sha256:…`` of the OCI manifest."""
    created: int
    """The image's one time stamp."""


def document(subject: Subject, contents: Contents, packages: Iterable[Package], wheels: Iterable[Wheel]) -> bytes:
    """The whole document, the same bytes for the same image."""
    image = f"pkg:oci/clawmates-mate@{quote(subject.digest, safe='')}"
    components = [_of_debian(package, contents) for package in sorted(packages)]
    components += [_of_wheel(wheel) for wheel in sorted(wheels)]
    in_it = [component["bom-ref"] for component in components if component["scope"] == "required"]
    listed = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, subject.digest).urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(subject.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": "clawmates-mate",
                "version": subject.version,
                "purl": image,
                "hashes": [{"alg": "SHA-256", "content": subject.digest.removeprefix("sha256:")}],
            },
        },
        "components": components,
        "dependencies": [{"ref": image, "dependsOn": in_it}],
    }
    return json.dumps(listed, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def _of_debian(package: Package, contents: Contents) -> dict[str, object]:
    purl = (
        f"pkg:deb/debian/{quote(package.name, safe='')}@{quote(package.version, safe='~')}"
        f"?arch={package.architecture}&distro=debian-{contents.suite}"
    )
    in_it = package.name in contents.packages
    why: Mapping[str, str] = contents.packages if in_it else contents.tools
    return _library(package.name, package.version, purl, package.sha256) | {
        # What only helped to build has left its work, and no file.
        "scope": "required" if in_it else "excluded",
        "description": why[package.name],
    }


def _of_wheel(wheel: Wheel) -> dict[str, object]:
    purl = f"pkg:pypi/{wheel.name}@{quote(wheel.version, safe='')}"
    return _library(wheel.name, wheel.version, purl, wheel.sha256) | {"scope": "required"}


def _library(name: str, version: str, purl: str, sha256: str) -> dict[str, object]:
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
