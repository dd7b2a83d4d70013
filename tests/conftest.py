"""What is the same for all tests."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest
from hypothesis import settings

# How long an example takes on a busy machine says nothing about the code: timings are `make bench`'s.
settings.register_profile("clawmates", deadline=None)
settings.load_profile("clawmates")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are loaded, by every worker, and stay to the end: the collector of garbage looks at them once.

    A third of the time that loading takes went to looking for garbage among them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
