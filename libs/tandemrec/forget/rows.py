"""What becomes of the rows of silver, gold and staging that are a person's or refer to the person's texts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.forget.proof import LONG_ENOUGH, Person
from tandemrec.lake.contracts import FORGOTTEN


@dataclass(frozen=True, kw_only=True)
class Change:
    """Of a table: rows that are deleted where `values` is None, else rows that get other values."""

    table: str
    rows: Column
    values: Mapping[str, Column] | None = None


def with_made_texts(reviews: DataFrame, synthetic: DataFrame) -> DataFrame:
    """Reviews, and beside each what was made from it, as if its writer had written that too: user_id, text_hash, text,
    clean_text.
    """
    made = synthetic.select("review_id", "text_hash", "text").join(reviews.select("review_id", "user_id"), "review_id")
    made = made.select("user_id", "text_hash", "text", F.col("text").alias("clean_text"))
    return reviews.select(*made.columns).unionByName(made)


def own_texts(reviews: DataFrame, items: DataFrame | None, user: str) -> DataFrame:
    """The texts that nobody else wrote and no item has: text_hash, text and clean_text, one row a review."""
    mine = reviews.where(F.col("user_id") == user).select("text_hash", "text", "clean_text")
    others = reviews.where(F.col("user_id") != user).select("text_hash")
    if items is not None:
        others = others.union(items.select("text_hash"))
    return mine.join(others, "text_hash", "left_anti")


def spellings(texts: Sequence[str]) -> list[str]:
    """Texts long enough to be told, as they are and as JSON writes them."""
    found = {text for text in texts if len(text) >= LONG_ENOUGH}
    return sorted(found | {json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in found for ascii_ in (True, False)})


def changes(person: Person, text_indices: Sequence[int], reviews: Sequence[str] = ()) -> list[Change]:
    """In an order that a run which was cut short can go on with: what tells of other rows changes last.

    Args:
        text_indices: of the person's own texts in texts_vocabulary.
        reviews: their ids.
    """
    theirs, hashes = F.col("user_id") == person.user, list(person.hashes)
    index = F.lit(person.index)
    found = [
        Change(table="examples", rows=F.col("user") == index),
        Change(table="user_features", rows=F.col("user_index") == index),
    ]
    found += [Change(table=table, rows=theirs) for table in ("user_summaries", "user_profiles")]
    if text_indices:
        found.append(Change(table="text_terms", rows=F.col("text_index").isin(list(text_indices))))
        gone = F.array(*map(F.lit, text_indices))
        others = F.coalesce(F.col("user") != index, F.lit(True))
        for table, column, rows in (("examples", "item_reviews", others), ("item_features", "reviews", F.lit(True))):
            left = {column: F.filter(column, lambda text: ~F.array_contains(gone, text))}
            found.append(Change(table=table, rows=rows & F.arrays_overlap(column, gone), values=left))
    served = ("predictions_staging", "recommendations_staging", "predictions", "recommendations")
    found += [Change(table=table, rows=theirs) for table in served]
    found.append(Change(table="runs", rows=F.col("figures") != _unnamed(person), values={"figures": _unnamed(person)}))
    if reviews:
        made_of = F.col("review_id").isin(list(reviews))
        found += [Change(table=table, rows=made_of) for table in ("synthetic_texts", "synthetic_tried")]
    if hashes:
        of_texts = F.col("text_hash").isin(hashes)
        tombstone = {"text_hash": F.concat(F.lit(FORGOTTEN), "text_index", F.lit("]"))}
        found += [Change(table=table, rows=of_texts) for table in ("text_vectors", "texts_failed")]
        found.append(Change(table="texts_vocabulary", rows=of_texts, values=tombstone))
    at_an_end = theirs | ((F.col("target_kind") == "user") & (F.col("target_id") == person.user))
    found.append(Change(table="relations", rows=at_an_end))
    found += [Change(table="events", rows=theirs), Change(table="reviews", rows=theirs)]
    tombstone = {"user_id": F.concat(F.lit(FORGOTTEN), "user_index", F.lit("]"))}
    found.append(Change(table="users_vocabulary", rows=theirs, values=tombstone))
    return found


def _unnamed(person: Person) -> Column:
    """What a stage counted, whose errors may quote an id."""
    figures: Column = F.replace(F.col("figures"), F.lit(f"'{person.user}'"), F.lit(f"'{FORGOTTEN.strip()}]'"))
    return figures
