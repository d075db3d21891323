"""Which versions of a table hold the same rows: packing files and setting properties make new ones all the same."""

import json

from deltalake import DeltaTable

OPTIMIZE = "OPTIMIZE"
_KEEPS_ROWS = frozenset(
    {
        OPTIMIZE,
        "REORG",
        "VACUUM START",
        "VACUUM END",
        "CLUSTER BY",
        "ADD CONSTRAINT",
        "DROP CONSTRAINT",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "UPDATE FIELD METADATA",
        "UPDATE TABLE METADATA",
        "CHANGE COLUMN",
        "COMPUTE STATS",
        "ADD FEATURE",
    }
)
_MARK = "tandemrec.rows_of_version"
_ONE_LOOK = 8


def data_version(table: DeltaTable) -> int:
    """The first version that holds the rows of the newest one, as far as any run refers to them.

    Read from the newest commits: back to one that changed rows, or to one of the library's own maintenance, which
    says it, so that nothing changes when Delta drops old commits from the log.

    Args:
        table: opened at its newest version.
    """
    return _walk(table)[0]


def since_data(table: DeltaTable) -> list[str]:
    """The operations from the newest commit back to the one that changed rows, that one included."""
    return _walk(table)[1]


def only_grew(table: DeltaTable, version: int) -> bool:
    """Whether every row of a version is there still, unchanged, as far as the log tells."""
    commits = table.history(table.version() - version) if table.version() > version else []
    return all(
        commit["operation"] in _KEEPS_ROWS
        or _marked(commit.get("userMetadata")) is not None
        or (commit["operation"] == "WRITE" and commit.get("operationParameters", {}).get("mode") == "Append")
        for commit in commits
    )


def mark(table: DeltaTable) -> str:
    """What a commit that keeps the table's rows, or drops some that no run refers to, carries as its user metadata."""
    return json.dumps({_MARK: data_version(table)})


def _walk(table: DeltaTable) -> tuple[int, list[str]]:
    asked, told = _ONE_LOOK, None
    while True:
        commits = table.history(asked)
        for place, commit in enumerate(commits):
            marked = _marked(commit.get("userMetadata"))
            if commit["operation"] not in _KEEPS_ROWS and marked is None:
                version = commit["version"] if told is None else told
                return version, [one["operation"] for one in commits[: place + 1]]
            if told is None:
                told = marked
        if len(commits) < asked:
            oldest = commits[-1]["version"] if told is None else told
            return oldest, [one["operation"] for one in commits]
        asked *= 8


def _marked(text: str | None) -> int | None:
    try:
        found = json.loads(text or "{}").get(_MARK)
    except (ValueError, AttributeError):  # somebody else's metadata
        return None
    return found if isinstance(found, int) else None
