"""What stands on a database is tried on both: asynchronous tests with a folder of their own run twice.

Where locks, upserts and dialects matter, always; ``CLAWMATES_TEST_DATABASES=both`` does it with all tests here.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator

import pytest
from tests.support import control
from tests.support.postgresql import Server, postgresql

WISH = "CLAWMATES_TEST_DATABASES"
ALWAYS = frozenset(
    {"test_audit_chain", "test_accounts_settings", "test_canaries", "test_nodes", "test_outbox", "test_store"}
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wanted = metafunc.module.__name__.rpartition(".")[2] in ALWAYS or os.environ.get(WISH) == "both"
    apart = not wanted or metafunc.definition.get_closest_marker("sqlite_alone") is not None
    if inspect.iscoroutinefunction(metafunc.function) and "tmp_path" in metafunc.fixturenames and not apart:
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
    control.elsewhere = running
    try:
        yield
    finally:
        control.elsewhere = None
        running.sweep()
