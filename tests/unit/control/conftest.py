"""What stands on a database is tried on both: asynchronous tests with a folder of their own run twice."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from tests.support import control
from tests.support.postgresql import Server, postgresql

ONCE = ("sqlite_alone", "any_database", "no_database")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    once = any(metafunc.definition.get_closest_marker(name) is not None for name in ONCE)
    chosen = "tmp_path" in metafunc.fixturenames and "server" not in metafunc.fixturenames and not once
    if inspect.iscoroutinefunction(metafunc.function) and chosen:
        metafunc.parametrize("engine", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """First of all fixtures, because it is for everybody."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield
        return
    running: Server = request.getfixturevalue("server")
    if request.node.get_closest_marker("raw") is not None:
        running.untouched()
    control.elsewhere = running
    try:
        yield
        assert running.given, "it has run twice for nothing; remedy: mark the test `no_database`"
    finally:
        control.elsewhere = None
        running.sweep()
