"""Every table of the lake, with the run that wrote it last."""

from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table as Grid

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.lake import Lake, TableInfo, runs
from tandemrec.report import words


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A table. `layer_name` is its path below the root; `run` the newest finished one of the stage that writes it."""

    layer_name: str
    comment: str
    info: TableInfo
    committed: datetime
    run: runs.Run | None

    @property
    def last_run(self) -> str:
        if self.run is None:
            return ""
        return f"{self.run.stage}, {words.moment(self.run.started_at)}, {words.duration(self.run.seconds)}"


def listed(lake: Lake) -> list[Listed]:
    """Every table that exists in the order of the flow, staging ones last."""
    writers = {table: run for run in runs.newest(lake).values() for table in run.outputs}
    found = []
    for name in lake.names():
        contract = lake.table(name)
        found.append(
            Listed(
                layer_name=contract.path,
                comment=contract.comment,
                info=lake.info(name),
                committed=datetime.fromtimestamp(lake.open(name).history(1)[0]["timestamp"] / 1000, UTC),
                run=writers.get(name),
            )
        )
    return found


def print_tables(settings: Settings) -> None:
    """Every table with rows, version, size, files, last commit and last run.

    Raises:
        TableError: the lake holds no table.
    """
    lake = Lake.of(settings.lake)
    lake.refuse_empty()
    grid = Grid(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for heading in ("table", "rows", "version", "size", "files", "last commit (UTC)", "last run (UTC)"):
        grid.add_column(heading, justify="right" if heading in ("rows", "version", "size", "files") else "left")
    for table in listed(lake):
        grid.add_row(
            table.layer_name,
            words.count(table.info.rows),
            str(table.info.version),
            words.size(table.info.size),
            words.count(table.info.files),
            words.moment(table.committed),
            table.last_run,
        )
    console.table(grid)
