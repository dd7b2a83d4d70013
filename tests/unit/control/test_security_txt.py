"""``security.txt`` as RFC 9116 wants it: by its grammar, and by what its text says beside it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.support.control import NOON, a_place

from clawmates.base.settings import Control, Mode, Platform, Settings
from clawmates.base.shape import ShapeError, decode
from clawmates.control.promises.security_txt import security_txt
from clawmates.control.rooms import ROOMS

pytestmark = pytest.mark.no_database
SETTINGS = Settings(
    platform=Platform(mode=Mode.HOSTED, region="eu-test"),
    control=Control(origin="https://bots.example.org", security_contact="mailto:security@example.org"),
)
# Section 4: `field` without what this file does not use; `uri` is RFC 3986's, `date-time` 3339's, `lang-tag` 5646's.
URI = r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+"
TAG = r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*"
GRAMMAR = {
    "Contact": URI,
    "Canonical": URI,
    "Policy": URI,
    "Expires": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)",
    "Preferred-Languages": rf"{TAG}(?:[ \t]*,[ \t]*{TAG})*",
}


def faults(text: str, now: datetime, address: str) -> list[str]:
    """What RFC 9116 has against a file that was got from ``address``."""
    found, fields = [], Counter[str]()
    for line in text.split("\n")[:-1]:
        name, colon, value = line.rstrip("\r").partition(": ")
        fields[name] += 1
        if not colon or name not in GRAMMAR or not re.fullmatch(GRAMMAR[name], value):
            found.append(f"section 4: {line!r}")
        elif name == "Contact" and not value.startswith(("mailto:", "https://", "tel:")):
            found.append("section 2.5.3: contact")
        elif name == "Canonical" and value != address:
            found.append("section 2.5.2: canonical")
        elif name == "Expires" and not now < datetime.fromisoformat(value) <= now + timedelta(days=365):
            found.append("section 2.5.5: expires")
    if not text.endswith("\n") or not fields["Contact"] or fields["Expires"] != 1 or fields["Preferred-Languages"] > 1:
        found.append("section 4: which fields")
    return found


async def test_it_is_served_as_the_rfc_says_and_renews_itself(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS, settings=SETTINGS) as place, place.browser() as nobody:
        address = f"{place.context.origin}/.well-known/security.txt"
        for _ in range(3):
            answer = await nobody.get("/.well-known/security.txt")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
            assert faults(answer.text, place.clock.now(), address) == []
            place.clock.forward(days=400)


async def test_without_a_contact_there_is_none(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as nobody:
        assert (await nobody.get("/.well-known/security.txt")).status_code == 404


@pytest.mark.parametrize(
    ("there", "broken", "section"),
    [
        ("Contact: mailto:", "Contact: ", "4"),
        ("Contact: mailto:", "Contact: http://", "2.5.3"),
        ("Contact", "Kontakt", "4"),
        ("2027-", "2028-", "2.5.5"),
        ("en, de", "en; de", "4"),
        ("bots.example.org/.well", "bots.example.com/.well", "2.5.2"),
    ],
)
def test_a_file_that_the_rfc_does_not_allow_is_found(there: str, broken: str, section: str) -> None:
    text, address = security_txt(SETTINGS, NOON), "https://bots.example.org/.well-known/security.txt"
    assert text is not None
    assert faults(text, NOON, address) == []
    assert any(
        fault.startswith(f"section {section}:") for fault in faults(text.replace(there, broken, 1), NOON, address)
    )


@pytest.mark.parametrize("contact", ["security@example.org", "http://example.org", "mailto:a b@example.org", "tel:\n1"])
def test_what_is_no_contact_is_refused_with_a_sentence(contact: str) -> None:
    with pytest.raises(ShapeError, match="control: security_contact is mailto:NAME@HOST"):
        decode(Settings, {"control": {"security_contact": contact}})
    assert replace(SETTINGS.control, security_contact="https://example.org/report").security_contact
