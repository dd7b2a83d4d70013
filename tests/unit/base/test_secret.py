from __future__ import annotations

import copy
import json
import pickle

import pytest

from clawmates.base.secret import Secret
from clawmates.base.shape import encode_json

HIDDEN = Secret("hunter2-hunter2")


@pytest.mark.parametrize("shown", [repr(HIDDEN), str(HIDDEN), f"{HIDDEN}", f"{HIDDEN:>20}", repr([HIDDEN])])
def test_it_does_not_print(shown: str) -> None:
    assert "hunter2" not in shown


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, encode_json, hash])
def test_it_is_not_copied_or_encoded(leak: object) -> None:
    with pytest.raises(TypeError) as error:
        leak(HIDDEN)  # type: ignore[operator]
    assert "hunter2" not in str(error.value)


def test_it_opens_and_compares() -> None:
    assert HIDDEN.reveal() == "hunter2-hunter2"
    assert Secret("hunter2-hunter2") == HIDDEN
    assert Secret("other") != HIDDEN
    assert Secret(b"bytes") == Secret("bytes")
    assert not Secret("")
