"""Every table of the lake in one declarative place: layer, columns, keys, constraints and comments.

Types are written as Spark SQL writes them. A contract's version rises when its columns change; a table made by a
newer version of the library than the one that reads it is refused.
"""

from dataclasses import dataclass, field

CONTRACT_VERSION = "1"

CHECK_NAME_PREFIX = "delta.constraints."
VERSION_PROPERTY = "tandemrec.contract.version"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column. `required` becomes NOT NULL in the table."""

    name: str
    type: str
    comment: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a table promises. `key` columns are unique together; `checks` are SQL that holds for every row."""

    name: str
    layer: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    checks: dict[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.layer}/{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def _columns(text: str) -> tuple[Column, ...]:
    """Columns from lines `name type[!] comment`; `!` means required."""
    columns = []
    for row in filter(None, (row.strip() for row in text.splitlines())):
        name, type_, comment = row.split(maxsplit=2)
        columns.append(Column(name=name, type=type_.rstrip("!"), required=type_.endswith("!"), comment=comment))
    return tuple(columns)


_ORIGIN = """
    source      string!     name of the source in the settings
    file        string!     file below data.root, with !member for a file inside an archive
    line        bigint!     line or record of the file, from 1
    part        int!        record within the line where one line holds several, from 0
"""


def _raw(name: str, what: str) -> Table:
    return Table(
        name=name,
        layer="bronze",
        comment=f"{what} as they came, one row a line of a file; a file is ingested once",
        columns=_columns(
            """
            source      string!     name of the source in the settings
            file        string!     file below data.root, with !member for a file inside an archive
            line        bigint!     line or record of the file, from 1
            raw         string      the line as it came; csv, parquet and pairs as a JSON object of strings
            file_size   bigint!     bytes of the file when it was ingested
            ingest_run  string!     run that ingested the file
            ingested_at timestamp!  when that run started
            """
        ),
        key=("source", "file", "line"),
    )


_TABLES = (
    _raw("events_raw", "Behaviour"),
    _raw("items_raw", "Items"),
    _raw("reviews_raw", "Reviews"),
    Table(
        name="events",
        layer="silver",
        comment="What people did: click, favourite, cart, purchase, rating; cleaned and deduplicated",
        columns=_columns(
            """
            user_id     string!     who
            item_id     string!     what
            event_type  string!     view, click, favourite, cart, purchase or rating
            event_time  timestamp!  when, UTC; 1970-01-01 where the source has no time
            value       double      of a rating: the stars
            split       string      train, valid or test where the source says so
            """
            + _ORIGIN
        ),
        key=("user_id", "item_id", "event_type", "event_time"),
        checks={
            "known_event_type": "event_type IN ('view', 'click', 'favourite', 'cart', 'purchase', 'rating')",
            "known_split": "split IS NULL OR split IN ('train', 'valid', 'test')",
        },
    ),
    Table(
        name="items",
        layer="silver",
        comment="What is on offer, standardised; the latest description of an item wins",
        columns=_columns(
            """
            item_id     string!         identifier
            title       string          as shown to people
            brand       string          case and spaces unified
            category    array<string>   path from the root, unified
            price       decimal(12,2)   in currency
            currency    string          ISO 4217
            description string          plain text
            attributes  map<string,string>  what else the source says
            text        string          title and description as the language model reads them
            text_hash   string          sha256 of text, key of its vector
            updated_at  timestamp       when the source described it so
            source      string          name of the source; null for an item known from behaviour only
            file        string          file below data.root
            line        bigint          line or record of the file, from 1
            """
        ),
        key=("item_id",),
        checks={"price_not_negative": "price IS NULL OR price >= 0"},
    ),
    Table(
        name="reviews",
        layer="silver",
        comment="What people wrote, cleaned; stop words leave the tokens, never the text",
        columns=_columns(
            """
            review_id   string!         from the source, or md5 of user, item, time and text_hash
            user_id     string!         who wrote it
            item_id     string!         about what
            rating      double          stars given with it
            review_time timestamp!      when, UTC
            title       string          as it came, entities and tags resolved
            text        string!         as it came
            clean_text  string!         title and text as the language model reads them, addresses masked
            text_hash   string!         sha256 of clean_text, key of its vector
            language    string!         en, zh or other
            tokens      array<string>   lower case, without stop words
            split       string          train, valid or test where the source says so
            """
            + _ORIGIN
        ),
        key=("review_id",),
        checks={"known_split": "split IS NULL OR split IN ('train', 'valid', 'test')"},
    ),
    Table(
        name="quarantine",
        layer="silver",
        comment="Every rejected row, whole, with the first rule that it broke",
        columns=_columns(
            """
            table_name  string!     events, items or reviews
            """
            + _ORIGIN
            + """
            reason      string!     code of the rule
            raw         string      the line as it came
            """
        ),
        key=("source", "file", "line", "part"),
    ),
    Table(
        name="users_vocabulary",
        layer="gold",
        comment="Integer index of each user; a known user keeps it in every later run",
        columns=_columns(
            """
            user_id     string!     identifier
            user_index  int!        from 1, contiguous; 0 stands for nobody
            """
        ),
        key=("user_id",),
        checks={"index_from_1": "user_index >= 1"},
    ),
    Table(
        name="items_vocabulary",
        layer="gold",
        comment="Integer index of each item; a known item keeps it in every later run",
        columns=_columns(
            """
            item_id     string!     identifier
            item_index  int!        from 1, contiguous; 0 stands for no item
            """
        ),
        key=("item_id",),
        checks={"index_from_1": "item_index >= 1"},
    ),
    Table(
        name="texts_vocabulary",
        layer="gold",
        comment="Integer index of each text: the row of its vector in memory",
        columns=_columns(
            """
            text_hash   string!     sha256 of the text
            text_index  int!        from 1, contiguous; 0 stands for no text
            """
        ),
        key=("text_hash",),
        checks={"index_from_1": "text_index >= 1"},
    ),
    Table(
        name="attributes_vocabulary",
        layer="gold",
        comment="Integer index of each value of an attribute (category, brand)",
        columns=_columns(
            """
            attribute   string!     category or brand
            value       string!     as in silver.items
            value_index int!        from 1 within its attribute, contiguous; 0 stands for unknown
            """
        ),
        key=("attribute", "value"),
        checks={"index_from_1": "value_index >= 1"},
    ),
    Table(
        name="text_vectors",
        layer="gold",
        comment="What an encoder makes of a text; a text is encoded once for each encoder",
        columns=_columns(
            """
            text_hash   string!         sha256 of the text
            encoder     string!         identity of the encoder: hash of weights, tokeniser and settings
            vector      array<float>!   of the encoder's width
            """
        ),
        key=("text_hash", "encoder"),
        partition_by=("encoder",),
    ),
    Table(
        name="item_features",
        layer="gold",
        comment="What the model knows of each item beside behaviour: integers that refer to vocabularies",
        columns=_columns(
            """
            item_index  int!        items_vocabulary
            category    int!        attributes_vocabulary, 0 unknown
            brand       int!        attributes_vocabulary, 0 unknown
            price       int!        decile of the price within its category or catalogue, from 1; 0 unknown
            text        int!        texts_vocabulary: title and description; 0 none
            reviews     array<int>! texts_vocabulary: the reviews of it in the training split, newest first
            interactions bigint!    positives in the training split; 0: no candidate of an evaluation
            """
        ),
        key=("item_index",),
    ),
    Table(
        name="user_features",
        layer="gold",
        comment="Each user as of the newest event: what a recommendation made today may read",
        columns=_columns(
            """
            user_index  int!        users_vocabulary
            history     array<int>! items of the last positives, oldest first
            reviews     array<int>! texts_vocabulary: the last reviews, oldest first
            seen        array<int>! every item with a positive
            """
        ),
        key=("user_index",),
    ),
    Table(
        name="examples",
        layer="gold",
        comment="What the model learns from: references and labels only, never a vector or a text",
        columns=_columns(
            """
            example_id  string!     md5 of kind, user, item and time
            kind        string!     exposure, interaction or review
            split       string!     train, valid or test
            event_time  timestamp!  the moment as of which the references are read
            user        int!        users_vocabulary
            item        int!        items_vocabulary
            history     array<int>! items of the user's last positives before the moment, oldest first
            user_reviews array<int>! texts_vocabulary: the user's last reviews before the moment, oldest first
            item_reviews array<int>! texts_vocabulary: the item's last reviews by others before the moment, oldest first
            review      int!        texts_vocabulary: the review written at this moment, 0 none; text tasks only
            seen        array<int>! of valid and test next-item rows: every item the user had before the moment
            next_item   int         label: the item, where next item predicts this row
            click       double      label: 1 clicked after the view, 0 not
            purchase    double      label: 1 bought after the view, 0 not
            rating      double      label: stars
            sentiment   double      label: 1 positive (4-5 stars), 0 negative (1-2)
            category    double      label: category of the reviewed item, attributes_vocabulary
            """
        ),
        key=("example_id",),
        checks={"known_split": "split IN ('train', 'valid', 'test')"},
        partition_by=("split",),
    ),
    Table(
        name="predictions",
        layer="gold",
        comment="Every task's score for the user-item pairs of the test split",
        columns=_columns(
            """
            run_id      string!     the training run
            user_id     string!     who
            item_id     string!     what
            scores      map<string,double>! by task: probability, expected stars, or score u . v + b_i
            model_version string!   checkpoint that gave them
            """
        ),
        key=("run_id", "user_id", "item_id"),
    ),
    Table(
        name="recommendations",
        layer="gold",
        comment="The best items for each user",
        columns=_columns(
            """
            run_id      string!     the training run
            user_id     string!     who
            rank        int!        from 1
            item_id     string!     what
            score       double!     u . v + b_i
            reason      string!     because:ITEM (nearest of the user's own items) or popular
            model_version string!   checkpoint that gave them
            """
        ),
        key=("run_id", "user_id", "rank"),
        checks={"rank_from_1": "rank >= 1"},
    ),
    Table(
        name="metrics",
        layer="gold",
        comment="Every figure of an evaluation",
        columns=_columns(
            """
            run_id      string!     the training run
            model       string!     tandemrec or the name of a baseline
            split       string!     valid or test
            task        string!     name of the task
            metric      string!     name, with @k where it has a cut-off
            value       double!     the figure
            low         double      lower end of its 95% interval
            high        double      upper end of its 95% interval
            rows        bigint!     examples or users it rests on
            """
        ),
        key=("run_id", "model", "split", "task", "metric"),
    ),
    Table(
        name="runs",
        layer="gold",
        comment="What each stage read, wrote and found",
        columns=_columns(
            """
            run_id      string!     hash of what the stage depends on: inputs, settings, code
            stage       string!     name
            status      string!     done or failed
            started_at  timestamp!  UTC
            seconds     double!     wall clock
            inputs      map<string,bigint>! table versions read
            outputs     map<string,bigint>! table versions after the stage
            config_hash string!     of the settings the stage depends on
            code_version string!    version of the library
            figures     string!     JSON object of what the stage counted
            """
        ),
        key=("run_id", "stage"),
        checks={"known_status": "status IN ('done', 'failed')"},
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}


def staging(name: str) -> Table:
    """The contract of the table in which a stage leaves rows until `publish` merges them into `name`."""
    table = TABLES[name]
    return Table(
        name=f"{name}_staging",
        layer="staging",
        comment=f"Rows on their way to {table.path}",
        columns=table.columns,
        key=table.key,
        checks=table.checks,
    )
