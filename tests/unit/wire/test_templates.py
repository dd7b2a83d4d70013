from __future__ import annotations

from clawmates.wire.names import BOT_ID
from clawmates.wire.templates import LANGUAGES, find, templates
from clawmates.wire.vault import MAX_ITEM_BYTES


def test_there_is_a_handful_each_in_every_language() -> None:
    assert 4 <= len(templates()) <= 8
    for template in templates():
        assert BOT_ID.fullmatch(template.id)
        for language in LANGUAGES:
            assert 10 < len(template.title.in_language(language)) < 72
            assert 100 < len(template.text.in_language(language)) < MAX_ITEM_BYTES
        assert template.text.en != template.text.de


def test_names_are_unique_and_found_with_their_language() -> None:
    names = [template.id for template in templates()]
    assert len(set(names)) == len(names)
    assert find("editor") == find("editor-en")
    found = find("editor-de")
    assert found is not None
    assert found[1] == "de"
    assert find("nobody") is None
