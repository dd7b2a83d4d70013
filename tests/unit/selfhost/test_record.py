"""The record of article 30: all that is about somebody, all who get anything, and nothing that is not there."""

from __future__ import annotations

import json

from tests.support.catalogue import RELEASE

from clawmates.base.settings import Control, Mode, Platform, Settings, Smtp
from clawmates.base.shape import encode
from clawmates.inventory.whole import INVENTORY
from clawmates.selfhost.record import markdown, record

HOSTED = Settings(
    platform=Platform(mode=Mode.HOSTED, region="eu-central-1", domain="bots.example"),
    control=Control(
        smtp=Smtp(host="[2001:db8::1]:465", sender="a@bots.example"),
        database="postgresql://clawmates@db.example:5432/clawmates",
    ),
)


def test_everything_about_somebody_and_everybody_who_gets_anything_is_in_it() -> None:
    found = record(HOSTED, RELEASE)
    about = {datum.id for datum in INVENTORY if datum.about_a_person} - {"selfhost-bots"}
    assert {one.id for one in found.activities} == about
    hosts = {host for one in found.recipients for host in one.hosts}
    assert {"2001:db8::1", "db.example", "api.openai.com", "api.telegram.org"} <= hosts
    assert "ollama" not in hosts
    text = markdown(found)
    assert text.count("to be filled in: [control]") == 3
    assert text.count("\n| ") == len(found.activities) + len(found.recipients) + 2
    assert json.loads(json.dumps(encode(found)))["region"] == "eu-central-1"


def test_a_self_hosted_one_has_no_accounts_and_a_machine_of_its_own_gets_nothing() -> None:
    found = record(Settings(), None)
    assert found.recipients == ()
    ids = {one.id for one in found.activities}
    assert {"selfhost-bots", "bot-token", "event-log", "conversation"} <= ids
    assert ids.isdisjoint({"account-email", "session", "passkey"})
