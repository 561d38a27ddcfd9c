"""The page itself: what the apps and the docstrings say, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import REPOSITORY
from tests.commands.coverage import endpoints, runtimes, sources
from tests.commands.coverage.endpoints import Endpoint
from tests.commands.coverage.sources import Sourced

EMULATED = REPOSITORY / "tests" / "emulated"
PAGE = EMULATED / "COVERAGE.md"

_HEAD = """\
# What the emulators serve, and from which source each rule is

`python -m tests.commands.coverage` writes this page from the code, and a test compares the two. How code
names its source, and what the words in the last column mean: [README.md](README.md#sources). "Assumed" is
what no source tells: there the emulator is as strict as the service could be.

"""

Row = Sequence[str]


@dataclass
class Table:
    """A table under a heading of its own.

    Attributes:
        heading: with its level, such as `### Rules`.
        head: the columns; the last is the source.
        rows: the cells.
    """

    heading: str
    head: Row
    rows: list[Row] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"{self.heading}\n\n"
        for cells in (self.head, ["---"] * len(self.head), *self.rows):
            yield f"| {' | '.join(_cell(each) for each in cells)} |\n"
        yield "\n"


def write() -> None:
    """Write the page."""
    PAGE.write_text(text())


def text() -> str:
    """Return the page."""
    emulators = {
        "azure": [_endpoints(f"`{host}`", found) for host, found in endpoints.of_azure().items()],
        "databricks": [_endpoints("The workspace", endpoints.of_databricks())],
        "node": [],
        "spark": [],
    }
    parts = {name: [*tables, _rules(name)] for name, tables in emulators.items()}
    parts["runtimes"] = [Table("### Runtimes", ("runtime", "what", "source"), list(runtimes.rows()))]
    body = (
        line
        for name, tables in parts.items()
        for line in (
            f"## [{name}]({name}/README.md)\n\n",
            *(each for table in tables for each in table.lines()),
        )
    )
    return "".join([_HEAD, *_summary(parts).lines(), *body]).rstrip("\n") + "\n"


def missing() -> list[str]:
    """Return what names no source and should: each endpoint, rule and runtime."""
    served = [
        *(each for found in endpoints.of_azure().values() for each in found),
        *endpoints.of_databricks(),
    ]
    return [
        *(f"{each.file}: {each.name} answers {each.path}, and names no source" for each in _without(served)),
        *sources.missing(sources.modules(EMULATED)),
        *(
            f"{runtime}: the list has no line `# Source: ...`"
            for runtime, _, named in runtimes.rows()
            if not named
        ),
    ]


def _without(served: Iterable[Endpoint]) -> Iterator[Endpoint]:
    return (each for each in served if not each.text.source)


def _summary(parts: dict[str, list[Table]]) -> Table:
    table = Table(
        "## In short",
        ("emulator", "endpoints", "rules and the rest", "of all these assumed, in whole or in part"),
    )
    for name, tables in parts.items():
        served = sum(len(each.rows) for each in tables[:-1])
        assumed = sum("assumed" in row[-1] for each in tables for row in each.rows)
        table.rows.append((f"[{name}](#{name})", str(served or ""), str(len(tables[-1].rows)), str(assumed)))
    return table


def _endpoints(host: str, found: Iterable[Endpoint]) -> Table:
    table = Table(f"### {host}", ("method", "path", "what it does", "answered by", "source"))
    for each in found:
        where = _where(each.file, each.name)
        methods = ", ".join(each.methods) or "all"
        table.rows.append((methods, f"`{each.path}`", each.text.what, where, each.text.source))
    return table


def _rules(package: str) -> Table:
    """All that names its source and is no endpoint, nor a module that has endpoints."""
    table = Table("### Rules and the rest", ("what", "where", "source"))
    handlers = _handlers()
    defaults = {file for file, _ in handlers}
    of_package = sources.modules(EMULATED / package)
    at = {rule: keys for module in of_package for rule, keys in module.rules().items()}
    for module in of_package:
        for each in module.sourced():
            is_default = not each.name and (module.refuses or module.file in defaults)
            if not is_default and (module.file, each.name) not in handlers:
                table.rows.append(
                    (_what(each, at.get(each.name, ())), _where(each.file, each.name), each.text.source)
                )
    return table


def _handlers() -> set[tuple[Path, str]]:
    served = [
        *(each for found in endpoints.of_azure().values() for each in found),
        *endpoints.of_databricks(),
    ]
    return {(each.file, each.name) for each in served}


def _what(each: Sourced, stands_at: Sequence[str]) -> str:
    held = f" {', '.join(f'`{name}`' for name in each.holds)}" if each.holds else ""
    where = f" On {', '.join(f'`{name}`' for name in stands_at)}." if stands_at else ""
    return f"{each.text.what}{held}{where}"


def _where(file: Path, name: str) -> str:
    path = file.relative_to(EMULATED)
    return f"[{path}]({path})" + (f" `{name.split('.<locals>.')[-1]}`" if name else "")


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")
