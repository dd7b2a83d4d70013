"""What is the same for all tests."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import suppress
from importlib import import_module

import pytest
from hypothesis import settings

# How long an example takes on a busy machine says nothing about the code: timings are `make bench`'s.
settings.register_profile("clawmates", deadline=None)
settings.load_profile("clawmates")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Thousands of tests are loaded, by every worker, and stay to the end: the collector of garbage looks at them once.

    A third of the time that loading takes went to looking for garbage among them.
    """
    gc.disable()
    try:
        _begin_elsewhere(session.config)
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def _begin_elsewhere(config: pytest.Config) -> None:
    """Each worker imports the tests from another one on, so that what one has compiled is found by the others.

    Where nothing is compiled yet, as in a fresh clone, all of them would compile everything, in step.
    """
    worker: dict[str, object] = getattr(config, "workerinput", {})
    if not worker:
        return
    folders = [config.rootpath / argument for argument in config.args]
    files = [file for folder in folders for file in sorted(folder.rglob("test_*.py"))]
    first = len(files) * int(str(worker["workerid"]).removeprefix("gw")) // int(str(worker["workercount"]))
    for file in files[first:] + files[:first]:
        # What cannot be imported is said by the collection, which tries it once more.
        with suppress(Exception):
            import_module(".".join(file.relative_to(config.rootpath).with_suffix("").parts))
