"""What comes in: where the files lie, how they are laid out and which of their columns are ours."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tandemrec.config.base import Cell, Section

TARGET_COLUMNS: dict[str, frozenset[str]] = {
    "events": frozenset({"user_id", "item_id", "event_type", "event_time", "value", "split"}),
    "items": frozenset(
        {"item_id", "title", "brand", "category", "price", "currency", "description", "attributes", "updated_at"}
    ),
    "reviews": frozenset(
        {"review_id", "user_id", "item_id", "rating", "title", "text", "review_time", "language", "split"}
    ),
    "relations": frozenset({"user_id", "relation", "target_kind", "target_id", "since", "weight"}),
    "rows": frozenset({"split"}),  # what the others are, `tabular` says
}
REQUIRED_COLUMNS: dict[str, frozenset[str]] = {
    "events": frozenset({"user_id", "item_id", "event_type", "event_time"}),
    "items": frozenset({"item_id"}),
    "reviews": frozenset({"user_id", "item_id", "text", "review_time"}),
    "relations": frozenset({"user_id", "relation", "target_kind", "target_id"}),
    "rows": frozenset(),
}
PAIRED_COLUMNS: dict[str, tuple[str, str]] = {  # what the two of a line of kind pairs are
    "events": ("user_id", "item_id"),
    "relations": ("user_id", "target_id"),
}
SPLITS = ("train", "valid", "test")
RELATIONS: dict[str, frozenset[str]] = {  # to which kinds of target a relation leads
    "follow": frozenset({"user", "topic", "group", "item"}),
    "friend": frozenset({"user"}),
    "tag": frozenset({"topic", "item"}),
    "member": frozenset({"group"}),
}
TARGET_KINDS = ("user", "topic", "group", "item")


def folder_pattern(name: str) -> str:
    """A pattern, for Python and Java alike, of the value of a folder `name=value` in a path."""
    return rf"(?:^|[/!]){re.escape(name)}=([^/]*)/"


# Those in which a line ends with the byte that ends it in ASCII, by names that Java and Python know.
Encoding = Literal[
    "utf-8",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "gbk",
    "gb18030",
    "big5",
    "shift_jis",
    "euc-jp",
    "euc-kr",
]
PartitionName = Annotated[str, Field(pattern=r"^[^/=]+$")]
AttributeName = Annotated[str, Field(min_length=1)]
AspectName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Source(Section):
    """One set of files that feeds one table.

    `columns` maps our column to the file's (a dotted path reaches into nested JSON, `product.title`);
    `constants` gives our column one value for every row of the source (a file that holds only purchases, say).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="unique; shown in quarantine and in the report")
    table: Literal["events", "items", "reviews", "relations", "rows"] = Field(description="that its rows are for")
    kind: Literal["json", "csv", "parquet", "delta", "pairs", "tabular"] = Field(
        description="json: one object a line; csv: with a header; pairs: `user item` (of relations `user target`) "
        "a line, no header, no time; tabular: features and labels in columns, for table rows"
    )
    format: Literal["csv", "parquet", "delta"] = Field(default="csv", description="of the files of kind tabular")
    header: list[str] = Field(default_factory=list, description="csv without a header: the names of its columns")
    path: str = Field(description="file, folder or glob below data.root; .gz and, for one file each, .zip are read")
    columns: dict[str, str] = Field(default_factory=dict, description="our column: the file's column")
    constants: dict[str, Cell] = Field(default_factory=dict, description="our column: one value for every row")
    aspects: dict[AspectName, str] = Field(
        default_factory=dict,
        description="of reviews: aspect that is rated: the file's column; of events: any number that comes with one; "
        "labels of tasks, see docs/multitask.md",
    )
    attributes: dict[AttributeName, str] = Field(
        default_factory=dict,
        description="of items: attribute: the file's column; without it, columns.attributes names one that holds a "
        "JSON object of them",
    )
    explode: list[str] = Field(
        default_factory=list,
        description="json only: fields that hold one record or a list of records, each becoming a row of its own; "
        "columns then name fields of the record, and `^field` a field of the line around it",
    )
    time_formats: list[str] = Field(
        default=["iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"],
        min_length=1,
        description="tried by the shape of the string: iso, epoch_s, epoch_ms, epoch_us, epoch_ns, or a Spark pattern "
        "(dd/MM/yyyy HH:mm)",
    )
    event_types: dict[Cell, str] = Field(
        default_factory=dict,
        description="the file's name of an event type: ours; empty: the names are ours",
    )
    relations: dict[Cell, str] = Field(
        default_factory=dict, description="the file's name of a relation: ours; empty: the names are ours"
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="csv only")
    encoding: Encoding = Field(default="utf-8", description="of the files of kind json, csv and pairs")
    partitions: list[PartitionName] = Field(
        default_factory=list,
        description="names of folders `name=value` that the files lie in, which columns map like the files' own; not "
        "of kind delta, where a partition is a column anyway",
    )

    @property
    def layout(self) -> str:
        """How the files are laid out: the kind or, of tabular ones, the format."""
        return self.format if self.kind == "tabular" else self.kind

    @property
    def own(self) -> dict[str, str]:
        """What is read beside our columns: of reviews and events aspects, of items attributes."""
        return self.aspects or self.attributes

    @property
    def mapped(self) -> dict[str, str]:
        """The files' columns by the settings that name them."""
        given = {f"columns.{name}": column for name, column in self.columns.items()}
        given |= {f"aspects.{name}": column for name, column in self.aspects.items()}
        return given | {f"attributes.{name}": column for name, column in self.attributes.items()}

    @model_validator(mode="after")
    def _columns_fit_the_table(self) -> "Source":
        given = set(self.columns) | set(self.constants)
        if twice := set(self.columns) & set(self.constants):
            raise ValueError(f"{sorted(twice)} stand both in columns and in constants, expected in one of them")
        if unknown := given - TARGET_COLUMNS[self.table]:
            known = sorted(TARGET_COLUMNS[self.table])
            instead = "; what else is known of an item is named in attributes" if self.table == "items" else ""
            raise ValueError(f"{sorted(unknown)} are no columns of {self.table}, expected some of {known}{instead}")
        if self.aspects and self.table not in ("reviews", "events"):
            raise ValueError(f"aspects are of reviews and events, found table {self.table}")
        if self.attributes and (self.table != "items" or "attributes" in self.columns):
            beside = f"table {self.table}" if self.table != "items" else "columns.attributes too"
            raise ValueError(f"attributes are of items, each a column or all in one JSON object, found {beside}")
        if (self.kind == "tabular") != (self.table == "rows"):
            raise ValueError(f"kind is {self.kind} and table {self.table}, expected tabular and rows together")
        self._partitions_fit()
        for key, of, found in (
            ("header", ["csv"], self.layout),
            ("delimiter", ["csv"], self.layout),
            ("encoding", ["json", "csv", "pairs"], self.layout),
            ("partitions", ["json", "csv", "parquet", "pairs"], self.layout),  # of a Delta table they are columns
            ("format", ["tabular"], self.kind),
            ("explode", ["json"], self.kind),
            ("event_types", ["events"], self.table),
            ("relations", ["relations"], self.table),
        ):
            default = type(self).model_fields[key].get_default(call_default_factory=True)
            if found not in of and getattr(self, key) != default:
                raise ValueError(f"{key} is for {', '.join(of)}, found {found}")
        if self.kind == "pairs":
            if self.aspects:
                raise ValueError(
                    f"aspects are {sorted(self.aspects)}, and a line of kind pairs holds no more than a pair"
                )
            if self.table not in PAIRED_COLUMNS:
                raise ValueError(f"kind pairs is for {sorted(PAIRED_COLUMNS)}, found table {self.table}")
            given |= {*PAIRED_COLUMNS[self.table], "event_time"}
        if missing := REQUIRED_COLUMNS[self.table] - given:
            raise ValueError(f"no column or constant for {sorted(missing)}, which {self.table} need")
        if unknown := set(self.relations.values()) - set(RELATIONS):
            raise ValueError(f"relations leads to {sorted(unknown)}, expected some of {list(RELATIONS)}")
        if (split := self.constants.get("split")) is not None and split not in SPLITS:
            raise ValueError(f"constants.split is {split!r}, expected one of {list(SPLITS)}")
        return self

    def _partitions_fit(self) -> None:
        if unused := sorted(set(self.partitions) - set(self.mapped.values())):
            raise ValueError(f"partitions names {unused}, which no column maps")
        people = [name for name in ("user_id", "target_id") if self.columns.get(name) in self.partitions]
        if people:
            raise ValueError(f"{people[0]} is a folder's name, expected a field of lines: people are forgotten there")


class StreamSettings(Section):
    """How `tandemrec stream` looks for what has arrived."""

    files_per_batch: int = Field(default=1000, ge=1, description="files that one batch reads, at most")
    interval_seconds: float = Field(default=60.0, gt=0, description="between two looks at a source that is followed")
