"""Which artifacts have bytes: a process that is killed as it logs leaves some that have none.

The service lists paths and no sizes, so a look costs a request a file to the storage. What this process has
sent or read itself it knows, and a run that has finished well was not killed: nothing is looked for there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from azureml_databricks.bridge.parallel import in_parallel

# Of an artifact: its container, and its path there. Bytes do not go while it is listed.
Name = tuple[str, str]

_known: set[Name] = set()
_MOST_KNOWN = 10_000


def note(name: Name) -> None:
    """Note that an artifact has bytes."""
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known.add(name)


def entries_with_bytes(
    entries: Mapping[str, Sequence[tuple[Name, str]]],
    may_lack_some: Callable[[], bool],
    has_bytes: Callable[[str], bool],
) -> list[str]:
    """Return those entries of a listing that have bytes, a folder if anything below it has.

    Args:
        entries: by each entry's name the artifacts at or below it, with their signed addresses.
        may_lack_some: whether there may be an artifact without bytes; asked only if that matters.
        has_bytes: whether there are bytes at a signed address.
    """

    def look(name: Name, address: str) -> bool:
        found = has_bytes(address)
        if found:
            note(name)
        return found

    open_ = [entry for entry, inside in entries.items() if not any(name in _known for name, _ in inside)]
    if not open_ or not may_lack_some():
        return list(entries)
    there = in_parallel(lambda entry: any(look(*artifact) for artifact in entries[entry]), open_)
    empty = {entry for entry, is_there in zip(open_, there, strict=True) if not is_there}
    return [entry for entry in entries if entry not in empty]
