"""What tests share: one emulated Azure, one bundle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.emulated.azure import EmulatedAzure
from tests.emulated.cluster import build_bundle, forget_tokens
from tests.emulated.databricks import EmulatedDatabricks
from tests.emulated.memory import have_own_memory

# Those that take longest, as measured: they begin, so that no process waits for another at the end.
_LONGEST = [
    *("test_executors.py", "test_mlflow.py", "test_deploy.py", "test_doctor.py", "test_logins.py"),
    *("test_interrupted.py", "test_logged_models.py", "test_modes.py", "test_long_jobs.py"),
    *("test_nothing_given_away.py", "test_databricks.py", "test_azure.py", "test_start_up.py"),
    "test_init_script.py",
]

# Each example is some requests to an emulated Azure, which examples share.
for profile, examples in (("small", 4), ("large", 200)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=profile == "small",
        suppress_health_check=list(HealthCheck),
    )
settings.load_profile("small")


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
    _azure.not_known_yet.clear()
    _azure.metric_names.beyond = "refused"


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


def pytest_configure() -> None:
    """Let tests that run at once share no tokens."""
    have_own_memory()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="run the tests marked as thorough, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is thorough, and begin with what takes longest."""
    if not config.getoption("--thorough"):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
    rank = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let no test be skipped unseen on the machine that decides."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("a test was skipped, which CI does not allow", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
