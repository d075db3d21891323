"""Silver: rows judged, converted and deduplicated."""

from tandemrec.lake.contracts.model import ORIGIN, Table, columns_of

SILVER = (
    Table(
        name="events",
        layer="silver",
        comment="What people did: click, favourite, cart, purchase, rating; cleaned and deduplicated",
        columns=columns_of(
            """
            user_id     string!     who
            item_id     string!     what
            event_type  string!     view, click, favourite, cart, purchase or rating
            event_time  timestamp!  when, UTC; 1970-01-01 where the source has no time
            value       double      of a rating: the stars
            split       string      train, valid or test where the source says so
            """
            + ORIGIN
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
        columns=columns_of(
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
            split       string          train, valid or test where the source says so
            """
            + ORIGIN
        ),
        key=("review_id",),
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
        name="quarantine",
        layer="silver",
        comment="Every rejected row, whole, with the first rule that it broke",
        columns=columns_of(
            """
            table_name  string!     events, items, reviews or relations
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
