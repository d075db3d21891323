"""Tables of an older contract brought up to this one: columns, constraints, comments. No row is written."""

import sys
from collections.abc import Sequence

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.errors import TableError
from tandemrec.lake import Lake
from tandemrec.lake.drift import drifts, migrate
from tandemrec.lake.runs import Figures
from tandemrec.pipeline.operations import operation_main


def run(settings: Settings, *, dry_run: bool = False) -> Figures:
    """Add columns that may be null and constraints that every row holds, loosen NOT NULL, renew comments.

    Returns:
        By table that differs: how many differences were found and how many are left.

    Raises:
        TableError: something is left that no migration can change, a table is of a newer contract, or there is none.
    """
    lake = Lake(settings.lake.root)  # as it is: a version of the past cannot be changed
    lake.refuse_empty()
    figures: Figures = {}
    left = []
    for name in lake.names():
        table, contract = lake.open(name), lake.table(name)
        found = drifts(table, contract)
        rest = [drift for drift in found if drift.migrate is None] if dry_run else migrate(table, contract)
        stays = {drift.what for drift in rest}
        for drift in found:
            outcome = "cannot be migrated" if drift.what in stays else "would change" if dry_run else "changed"
            console.line(f"  {drift}: {outcome}")
        left += rest
        if found:
            figures[name] = {"found": len(found), "left": len(rest)}
    if left:
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        raise TableError(f"{left[0]}, which no migration can change{more}: write the table anew by its stage")
    if not figures:
        console.line("every table is as its contract says")
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("migrate", argv)


if __name__ == "__main__":
    sys.exit(main())
