"""Searches for runs that the service cannot do by itself: what it can it does, the rest is done here.

It orders by attributes only, knows no `!=` on tags and no special characters in the names of metrics
(https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow); and of what is kept in a
run's records it knows nothing.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.search_utils import SearchUtils

from azureml_databricks.bridge import limits
from azureml_databricks.bridge.kept import KEPT

_MARKED = f"tags.`{KEPT}` = 'true'"
_MOST = 1000

_TOKEN = "azureml-databricks:"
_PATTERNS = ("LIKE", "ILIKE")
_NULLS = ("IS NULL", "IS NOT NULL")


@dataclass(frozen=True)
class Clause:
    """A comparison of a filter.

    Attributes:
        kind: `metric`, `parameter`, `tag`, `attribute` or `dataset`.
        key: the name.
        comparator: in capitals.
        value: a text; for `IN`, texts.
    """

    kind: str
    key: str
    comparator: str
    value: Any

    @property
    def is_of_service(self) -> bool:
        """Whether the service can do it."""
        if self.comparator in _NULLS or (self.kind == "tag" and self.comparator == "!="):
            return False
        if self.kind == "metric":
            return re.fullmatch(r"\w+", self.key, re.ASCII) is not None
        quoted = (self.value,) if isinstance(self.value, str) else self.value
        return "`" not in self.key and not any("'" in value and '"' in value for value in quoted)

    @property
    def is_exact(self) -> bool:
        """Whether the service knows all that it compares: of a long name of a run it has the beginning."""
        if self.kind == "attribute" and self.key.lower().replace(" ", "_") == "run_name":
            return self.comparator not in _PATTERNS and limits.length(self.value) <= limits.RUN_NAME
        return self.kind in ("attribute", "dataset")

    def __str__(self) -> str:
        """Return it as a filter."""
        if self.kind == "metric" or (isinstance(self.value, str) and self._is_number):
            value = self.value
        elif isinstance(self.value, str):
            value = _quoted(self.value)
        else:
            value = f"({', '.join(map(_quoted, self.value))})"
        return f"{self.kind}.{self._name} {self.comparator} {value}"

    @property
    def _name(self) -> str:
        return self.key if re.fullmatch(r"\w+", self.key, re.ASCII) else f"`{self.key}`"

    @property
    def _is_number(self) -> bool:
        return self.kind == "attribute" and self.key in SearchUtils.NUMERIC_ATTRIBUTES


def _as_written(value: Any) -> Any:
    # Later versions of MLflow read an attribute's number.
    return value if isinstance(value, (str, list, tuple)) else str(value)


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


@dataclass(frozen=True)
class Search:
    """A search for runs.

    Raises:
        MlflowException: at construction by `of`, where MLflow's own server does not understand it.
    """

    filter_string: str
    order_by: Sequence[str]
    clauses: Sequence[Clause]
    ordered_by_service: bool

    @classmethod
    def of(cls, filter_string: str | None, order_by: Iterable[str] | None) -> Search:
        """Read it."""
        clauses = [
            Clause(found["type"], found["key"], found["comparator"].upper(), _as_written(found["value"]))
            for found in SearchUtils.parse_search_filter(filter_string)
        ]
        orders = list(order_by or ())
        kinds = {SearchUtils.parse_order_by_for_search_runs(order)[0] for order in orders}
        return cls(filter_string or "", orders, clauses, kinds <= {"attribute"})

    @property
    def is_of_service(self) -> bool:
        """Whether the service can do it, of what it has."""
        return self.ordered_by_service and all(clause.is_of_service for clause in self.clauses)

    @property
    def is_exact(self) -> bool:
        """Whether it asks for nothing that may be kept in records."""
        return all(clause.is_exact for clause in self.asked)

    @property
    def asked(self) -> list[Clause]:
        """The clauses that the service can do."""
        return [clause for clause in self.clauses if clause.is_of_service]

    @property
    def asked_filter(self) -> str:
        """What to ask the service for."""
        whole = len(self.asked) == len(self.clauses)
        return self.filter_string if whole else " AND ".join(map(str, self.asked))

    @property
    def marked_filter(self) -> str:
        """What to ask the service for to have all marked runs that can be found."""
        return " AND ".join([_MARKED, *(str(clause) for clause in self.asked if clause.is_exact)])

    def without_nan(self, runs: Iterable[Run]) -> list[Run]:
        """Return the runs but those found by a metric that is NaN, which a service may take for 0."""
        metrics = [clause.key for clause in self.clauses if clause.kind == "metric"]
        found = list(runs)
        if not any(math.isnan(run.data.metrics.get(key, 0)) for run in found for key in metrics):
            return found
        return SearchUtils.filter(found, self.filter_string)

    def found(self, runs: Iterable[Run]) -> list[Run]:
        """Return those of the runs that are looked for, in order."""
        found: list[Run] = SearchUtils.sort(SearchUtils.filter(list(runs), self.filter_string), self.order_by)
        return found


class Ask(Protocol):
    """Asks the service for runs: a page of any size."""

    def __call__(
        self, filter_string: str, order_by: Sequence[str], max_results: int, page_token: str | None = None, /
    ) -> PagedList[Run]:
        """Return what it has of them."""


@dataclass
class SoFar:
    """What a search has come to so far: its next page goes on from there.

    Attributes:
        marked: runs of which something is kept, by id; None until the service was asked for them.
        found: those that the service has given, by id.
        is_all: whether it has no more.
        token: where it goes on.
    """

    marked: dict[str, Run] | None = None
    found: dict[str, Run] = field(default_factory=dict)
    is_all: bool = False
    token: str | None = None

    @property
    def runs(self) -> list[Run]:
        """All of them, each once."""
        return list({**self.found, **(self.marked or {})}.values())

    def go_on(
        self, ask: Ask, whole: Callable[[Iterable[Run]], list[Run]], wanted: Search, enough: int
    ) -> None:
        """Ask the service until it has given so many runs."""
        if self.is_all or (missing := enough - len(self.found)) <= 0:
            return
        order = wanted.order_by if wanted.is_of_service else []
        page = ask(wanted.asked_filter, order, missing, self.token)
        marked = self.marked or {}
        new = {run.info.run_id: run for run in whole(run for run in page if run.info.run_id not in marked)}
        self.found.update(
            (run.info.run_id, marked.get(run.info.run_id) or new[run.info.run_id]) for run in page
        )
        self.token, self.is_all = page.token, not page.token


def search(
    ask: Ask,
    whole: Callable[[Iterable[Run]], list[Run]],
    wanted: Search,
    max_results: int | None,
    page_token: str | None,
    so_far: SoFar,
) -> tuple[list[Run], str | None]:
    """Return a page of runs, and the token of the next, in as few requests as possible.

    Args:
        ask: asks the service.
        whole: gives runs what is kept of them.
        wanted: what is looked for.
        max_results: how many, None for as many as MLflow thinks right.
        page_token: where to begin, None for the beginning.
        so_far: what earlier pages have come to; takes what this one does.

    Raises:
        MlflowException: the token is none, or the service refuses.
    """
    size = _MOST if max_results is None else max_results
    simple = wanted.is_of_service and not _is_ours(page_token)
    if so_far.marked is None:
        ask_for_marked = not wanted.is_exact and (page_token is None or not simple)
        marked = ask(wanted.marked_filter, [], sys.maxsize) if ask_for_marked else []
        if simple and not marked:
            found = ask(wanted.asked_filter, wanted.order_by, size, page_token)
            return wanted.without_nan(whole(found)), found.token
        so_far.marked = {run.info.run_id: run for run in whole(marked)}
    begin = _offset(page_token)
    enough = begin + size + len(so_far.marked) if wanted.is_of_service else sys.maxsize
    so_far.go_on(ask, whole, wanted, enough)
    return _page(wanted.found(so_far.runs), begin, size, more=not so_far.is_all)


def _is_ours(token: str | None) -> bool:
    return (token or "").startswith(_TOKEN)


def _offset(token: str | None) -> int:
    begin = (token or _TOKEN + "0").removeprefix(_TOKEN)
    if not begin.isdecimal():
        raise MlflowException.invalid_parameter_value(f"{token!r} is no token of a page of this search")
    return int(begin)


def _page(found: list[Run], begin: int, size: int, *, more: bool) -> tuple[list[Run], str | None]:
    """Return a page of what was found, and the token of the next; `more` if not all of it is in `found`."""
    end = begin + size
    return found[begin:end], f"{_TOKEN}{end}" if more or end < len(found) else None
