import json
from dataclasses import replace

import pytest
from image import contents, sbom
from image.packages import LOCK, Package, read_lock
from tests.support.schemas import sbom_complaint

DIGEST = f"sha256:{'ab' * 32}"
SUBJECT = sbom.Subject(version="0.1.0", digest=DIGEST, created=1735689600)
WHEELS = (sbom.Wheel("h11", "0.16.0", "cd" * 32),)


def made(
    subject: sbom.Subject = SUBJECT,
    packages: tuple[Package, ...] = read_lock(LOCK.read_text()),
    wheels: tuple[sbom.Wheel, ...] = WHEELS,
) -> bytes:
    return sbom.document(subject, contents.load(), packages, wheels)


def complaint(document: bytes) -> object:
    return sbom_complaint(document.decode())


def test_it_is_valid_by_the_published_schema() -> None:
    assert complaint(made()) is None


@pytest.mark.parametrize("field", ["bomFormat", "specVersion"])
def test_the_schema_refuses_a_defect(field: str) -> None:
    broken = json.loads(made())
    del broken[field]
    assert complaint(json.dumps(broken).encode()) is not None
    worse = json.loads(made())
    worse["components"][0]["hashes"][0]["content"] = "none"
    assert complaint(json.dumps(worse).encode()) is not None


def test_order_of_what_went_in_does_not_show() -> None:
    packages = read_lock(LOCK.read_text())
    wheels = (*WHEELS, sbom.Wheel("cffi", "2.0.0", "ef" * 32))
    assert made(packages=packages, wheels=wheels) == made(packages=packages[::-1], wheels=wheels[::-1])


def test_another_image_or_part_does_show() -> None:
    first, *others = read_lock(LOCK.read_text())
    newer = replace(first, version="9")
    documents = {
        made(),
        made(replace(SUBJECT, digest=f"sha256:{'ac' * 32}")),
        made(packages=(newer, *others)),
        made(packages=tuple(others)),
        made(wheels=()),
    }
    assert len(documents) == 5


def test_what_only_helps_to_build_is_not_said_to_be_in_the_image() -> None:
    document = json.loads(made())
    scopes = {one["name"]: one["scope"] for one in document["components"]}
    assert scopes["openssl"] == "excluded"
    assert scopes["libssl3"] == scopes["h11"] == "required"
    assert not any("openssl@" in one for one in document["dependencies"][0]["dependsOn"])


def test_names_are_written_as_package_urls_want_them() -> None:
    refs = {one["name"]: one["purl"] for one in json.loads(made())["components"]}
    assert refs["h11"] == "pkg:pypi/h11@0.16.0"
    assert refs["libc6"].startswith("pkg:deb/debian/libc6@2.36-9%2Bdeb12u")
    assert refs["libc6"].endswith("?arch=amd64&distro=debian-bookworm")


def test_a_wheel_is_known_by_its_file_name() -> None:
    assert sbom.Wheel.of("typing_extensions-4.1-py3-none-any.whl", "00") == sbom.Wheel("typing-extensions", "4.1", "00")
    with pytest.raises(ValueError, match="wheel"):
        sbom.Wheel.of("h11-0.16.0.tar.gz", "00")
