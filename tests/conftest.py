"""What tests share: one emulated Azure, one bundle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import build_bundle, forget_tokens
from tests.emulated.databricks import EmulatedDatabricks


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with no settings: they are the policy's variables."""
    return build_bundle(tmp_path_factory.mktemp("bundle") / "out")


@pytest.fixture(scope="session")
def _azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAzure]:
    with EmulatedAzure(tmp_path_factory.mktemp("azure")) as azure:
        yield azure
    forget_tokens()


@pytest.fixture
def azure(_azure: EmulatedAzure) -> Iterator[EmulatedAzure]:
    """The emulated Azure, with an empty journal and no faults but those that the test adds."""
    _azure.journal.clear()
    forget_tokens()
    yield _azure
    _azure.faults.clear()


@pytest.fixture(scope="session")
def _databricks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedDatabricks]:
    with EmulatedDatabricks(tmp_path_factory.mktemp("databricks")) as databricks:
        yield databricks


@pytest.fixture
def databricks(_databricks: EmulatedDatabricks) -> EmulatedDatabricks:
    """The emulated Databricks workspace, as good as new, whose clusters reach no Azure unless told which."""
    _databricks.reset()
    _databricks.azure = None
    return _databricks


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--thorough`, for what only `make test-all` runs."""
    parser.addoption("--thorough", action="store_true", help="run the tests that are marked thorough, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no process waits for another at the end."""
    if not config.getoption("thorough"):
        left = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    items.sort(key=lambda item: item.path.name not in ("test_mlflow.py", "test_executors.py"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let no test be skipped unseen on the machine that decides."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("a test was skipped, which CI does not allow", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
