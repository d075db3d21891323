"""The newest run in a dozen lines, for the end of a run on a terminal."""

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.lake import Lake, runs
from tandemrec.report import words
from tandemrec.report.intake import intakes
from tandemrec.report.scores import MODEL, Comparison, comparisons, expectations, headlines


def print_summary(settings: Settings) -> None:
    """Rows in and rejected, tables, the model against its baselines, and where the report lies.

    Raises:
        TableError: the lake holds no table.
    """
    for line in summary_lines(settings):
        console.line(line)


def summary_lines(settings: Settings) -> list[str]:
    lake = Lake.of(settings.lake)
    lake.refuse_empty()
    found = runs.newest(lake)
    lines = []
    for intake in intakes(found["clean"].figures) if "clean" in found else []:
        holds = "" if intake.conserved else "; THE COUNTS DO NOT ADD UP"
        former = f"{words.count(intake.former)} former, " if intake.former else ""
        lines.append(
            f"{intake.table}: {words.count(intake.rows_in)} rows in, {words.count(intake.kept)} kept, {former}"
            f"{words.count(intake.merged)} merged, {words.count(intake.rejected_rows)} rejected{holds}"
        )
    tables = lake.tables()
    rows, size = sum(table.rows for table in tables), sum(table.size for table in tables)
    lines.append(f"lake: {len(tables)} tables, {words.count(rows)} rows, {words.size(size)} in {lake.root}")
    compared = comparisons(lake, found["train"].run_id if "train" in found else None, settings.tasks)
    lines += [_against(comparison) for comparison in headlines(compared, settings.tasks)]
    lines += [f"{e.text}: {e.answer} ({e.because})" for e in expectations(compared, settings.tasks)]
    seconds = sum(run.seconds for run in found.values())
    lines.append(f"stages: {len(found)} finished in {words.duration(seconds)} of their own time")
    report = settings.report_path
    lines.append(f"report: {report.resolve()}" if report.is_file() else "report: not written yet (stage report)")
    return lines


def _against(comparison: Comparison) -> str:
    names = sorted(comparison.scores, key=lambda name: (name != MODEL, name))
    values = ", ".join(f"{words.plain(n)} {words.figure(comparison.scores[n].value)}" for n in names)
    return f"{words.plain(comparison.task)} {words.metric(comparison.metric)}: {values}"
