"""Silver: rows judged, converted and deduplicated."""

from tandemrec.lake.contracts.model import ORIGIN, Table, columns_of

_ITEM = """
    item_id     string!         identifier
    title       string          as shown to people
    brand       string          as most items spell it; case, legal forms (Inc.) and signs (not C++, C#) do not matter
    category    array<string>   path from the root, as the tree of categories spells it
    category_code string        categories: code of the path
    price       decimal(12,2)   in currency
    currency    string          ISO 4217; null where what the source names is not known
    description string          plain text
    attributes  map<string,string>  what else the source says; quantities in one unit a dimension
    text        string          title and description as the language model reads them
    text_hash   string          sha256 of text, key of its vector
    updated_at  timestamp       when the source described it so
    source      string          name of the source; null for an item known from behaviour only
    file        string          file below data.root
    line        bigint          line or record of the file, from 1
"""

SILVER = (
    Table(
        name="events",
        layer="silver",
        comment="What people did: view, click, purchase and so on; cleaned, deduplicated, in sessions",
        columns=columns_of(
            """
            user_id     string!     who
            item_id     string!     what
            event_type  string!     one of clean.behaviour.strengths
            event_time  timestamp!  when, UTC; 1970-01-01 where the source has no time
            value       double      of a rating: the stars
            aspects     map<string,double> numbers that came with it, by the names of the settings
            strength    double!     how much an event of this type says of a preference, by the settings
            session_start timestamp first event of the user's session; null where the source has no time
            count       int!        1, and 1 more for each repeat that was merged into it
            last_time   timestamp!  of the last repeat; event_time where there is none
            repeats     array<struct<event_time:timestamp,source:string,file:string,line:bigint,part:int>> those merged
            split       string      train, valid or test where the source says so
            """
            + ORIGIN
        ),
        key=("user_id", "item_id", "event_type", "event_time"),
        cluster_by=("user_id",),
        # Of all 16 columns they would be a third of the time of writing.
        statistics=("user_id", "item_id", "event_time", "last_time"),
        checks={
            "counted": "count >= 1 AND last_time >= event_time",
            "known_split": "split IS NULL OR split IN ('train', 'valid', 'test')",
        },
    ),
    Table(
        name="items",
        layer="silver",
        comment="What is on offer, standardised; the latest description of an item wins",
        columns=columns_of(_ITEM),
        key=("item_id",),
        checks={"price_not_negative": "price IS NULL OR price >= 0"},
    ),
    Table(
        name="items_history",
        layer="silver",
        comment="Every version of every item that a source describes, the current one too: what was said of it when",
        columns=columns_of(
            _ITEM
            + """
            part        int!            record within the line where one line holds several, from 0
            given_brand string          brand as this version spells it
            given_category array<string> category as this version spells it
            confirmed   array<struct<updated_at:timestamp,source:string,file:string,line:bigint,part:int>>! said again
            valid_from  timestamp!      updated_at; 1970-01-01 where the source has no time
            valid_to    timestamp       when the next version begins; null for the current one
            """
        ),
        key=("item_id", "valid_from"),
        checks={
            "price_not_negative": "price IS NULL OR price >= 0",
            "is_an_interval": "valid_to IS NULL OR valid_to > valid_from",
        },
    ),
    Table(
        name="categories",
        layer="silver",
        comment="Every category that an item has or had, and all above it, as a tree",
        columns=columns_of(
            """
            code        string!         first 16 hex digits of sha256 of the path in lower case: never changes
            parent_code string          null at the root
            name        string!         last step of the path, as most items spell it
            path        array<string>!  names from the root
            depth       int!            length of the path, from 1
            """
        ),
        key=("code",),
    ),
    Table(
        name="reviews",
        layer="silver",
        comment="What people wrote, cleaned; stop words leave the tokens, never the text",
        columns=columns_of(
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
            aspects     map<string,double> ratings of aspects that came with it, by the names of the settings
            split       string          train, valid or test where the source says so
            """
            + ORIGIN
        ),
        key=("review_id",),
        cluster_by=("user_id",),
        checks={"known_split": "split IS NULL OR split IN ('train', 'valid', 'test')"},
    ),
    Table(
        name="relations",
        layer="silver",
        comment="Tags, follows, friendships and memberships; a friendship stands once, the lesser id as user_id",
        columns=columns_of(
            """
            user_id     string!     who
            relation    string!     follow, friend, tag or member
            target_kind string!     user, topic, group or item
            target_id   string!     identifier among those of its kind
            since       timestamp   when it began, UTC; null where the source does not say
            weight      double      how strong, where the source says so
            """
            + ORIGIN
        ),
        key=("user_id", "relation", "target_kind", "target_id"),
        checks={
            "known_relation": "relation IN ('follow', 'friend', 'tag', 'member')",
            "known_target_kind": "target_kind IN ('user', 'topic', 'group', 'item')",
            "not_to_oneself": "target_kind <> 'user' OR user_id <> target_id",
            "friendship_once": "relation <> 'friend' OR user_id < target_id",
        },
    ),
    Table(
        name="rows",
        layer="silver",
        comment="Rows of tabular data: what stands in their cells",
        columns=columns_of(
            ORIGIN
            + """
            cells       map<string,string>! by the column's name in the file, trimmed; without those that hold no value
            split       string      train, valid or test where the source says so
            """
        ),
        key=("source", "file", "line", "part"),
        checks={"known_split": "split IS NULL OR split IN ('train', 'valid', 'test')"},
    ),
    Table(
        name="quarantine",
        layer="silver",
        comment="Every rejected row, whole, with the first rule that it broke",
        columns=columns_of(
            """
            table_name  string!     events, items, reviews, relations or rows
            """
            + ORIGIN
            + """
            reason      string!     code of the rule
            raw         string      the line as it came
            """
        ),
        key=("source", "file", "line", "part"),
    ),
)
