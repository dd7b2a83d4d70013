from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from clawmates.control import pages
from clawmates.control.errors import Problem
from clawmates.control.texts.catalogue import LANGUAGES, choose, words

TEMPLATES = Path(str(pages.__file__)).parent / "templates"
USED = re.compile(r'\bt\("([a-z0-9.-]*[a-z0-9])"')


def test_both_languages_have_the_same_keys_and_fields() -> None:
    english, german = (words(language) for language in LANGUAGES)
    assert english.keys() == german.keys()
    for key in sorted(english.keys()):
        fields = [{name for _, name, _, _ in Formatter().parse(one(key)) if name} for one in (english, german)]
        assert fields[0] == fields[1], key


def test_every_key_that_a_template_names_is_there() -> None:
    named = {key for path in TEMPLATES.rglob("*.html") for key in USED.findall(path.read_text())}
    assert named
    assert named <= words("en").keys()


def test_every_problem_has_its_sentences() -> None:
    kinds, known = [Problem], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        known.add(kind.key)
    assert len(known) > 5
    for key in known:
        assert words("en").has(f"problem.{key}.title")
        assert words("en").has(f"problem.{key}.remedy")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr, en;q=0.3, de;q=0.7", "de"),
        ("de;q=0, en;q=0.1", "en"),
        ("nonsense;q=x, *", "en"),
    ],
)
def test_the_browser_is_heard(accepted: str, language: str) -> None:
    assert choose(accepted) == language
