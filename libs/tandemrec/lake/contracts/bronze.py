"""Bronze: lines as they came."""

from tandemrec.lake.contracts.model import Table, columns_of


def _raw(name: str, what: str) -> Table:
    return Table(
        name=name,
        layer="bronze",
        comment=f"{what} as they came, one row a line of a file; a file is ingested once",
        columns=columns_of(
            """
            source      string!     name of the source in the settings
            file        string!     file below data.root, with !member for a file inside an archive
            line        bigint!     line or record of the file, from 1
            raw         string      line as it came; of csv, parquet and pairs a JSON object of strings; null: forgotten
            file_size   bigint!     bytes of the file when it was ingested
            ingest_run  string!     run that ingested the file
            ingested_at timestamp!  when that run started
            """
        ),
        key=("source", "file", "line"),
    )


BRONZE = (
    _raw("events_raw", "Behaviour"),
    _raw("items_raw", "Items"),
    _raw("reviews_raw", "Reviews"),
    _raw("relations_raw", "Tags, follows and friendships"),
    _raw("rows_raw", "Rows of tabular data"),
)
