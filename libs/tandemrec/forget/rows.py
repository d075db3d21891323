"""What becomes of the rows of silver, gold and staging that are a person's or refer to the person's texts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.forget.proof import LONG_ENOUGH, Person
from tandemrec.lake.contracts import FORGOTTEN


@dataclass(frozen=True, kw_only=True)
class Change:
    """Of a table: rows that are deleted where `values` is None, else rows that get other values. `rows` is a condition
    or holds some of their columns.
    """

    table: str
    rows: Column | DataFrame
    values: Mapping[str, Column] | None = None


def with_made_texts(reviews: DataFrame, synthetic: DataFrame) -> DataFrame:
    """Reviews, and beside each what was made from it, as if its writer had written that too: user_id, text_hash, text,
    clean_text.
    """
    made = synthetic.select("review_id", "text_hash", "text").join(reviews.select("review_id", "user_id"), "review_id")
    made = made.select("user_id", "text_hash", "text", F.col("text").alias("clean_text"))
    return reviews.select(*made.columns).unionByName(made)


def own_texts(reviews: DataFrame, items: Sequence[DataFrame], user: str) -> DataFrame:
    """The texts that nobody else wrote and no item has or had: text_hash, text and clean_text, one row a review."""
    mine = reviews.where(F.col("user_id") == user).select("text_hash", "text", "clean_text")
    others = [reviews.where(F.col("user_id") != user), *items]
    return mine.join(_hashes(others), "text_hash", "left_anti")


def of_no_row(known: Sequence[DataFrame], rows: Sequence[DataFrame]) -> DataFrame:
    """Hashes of texts that gold knows and no row has, each once: text_hash. A review that was edited, or is cleaned
    otherwise now, leaves such behind, and nothing tells any more whose they are.
    """
    hashes = _hashes(known).distinct().where(~F.startswith("text_hash", F.lit(FORGOTTEN)))
    return hashes.join(_hashes(rows), "text_hash", "left_anti")


def spellings(texts: Sequence[str]) -> list[str]:
    """Texts long enough to be told, as they are and as JSON writes them."""
    found = {text for text in texts if len(text) >= LONG_ENOUGH}
    return sorted(found | {json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in found for ascii_ in (True, False)})


def changes(person: Person, text_indices: Sequence[int], of_texts: Mapping[str, DataFrame]) -> list[Change]:
    """In an order that a run which was cut short can go on with: what tells of other rows changes last.

    Args:
        text_indices: of the person's own texts in texts_vocabulary.
        of_texts: by table, keys of the rows that go because of their texts.
    """
    theirs = F.col("user_id") == person.user
    index = F.lit(person.index)
    found = [
        Change(table="examples", rows=F.col("user") == index),
        Change(table="user_features", rows=F.col("user_index") == index),
    ]
    found += [Change(table=table, rows=theirs) for table in ("user_summaries", "user_profiles")]
    if "text_terms" in of_texts:
        found.append(Change(table="text_terms", rows=of_texts["text_terms"]))
    if text_indices:
        gone = F.array(*map(F.lit, text_indices))
        others = F.coalesce(F.col("user") != index, F.lit(True))
        for table, column, rows in (("examples", "item_reviews", others), ("item_features", "reviews", F.lit(True))):
            left = {column: F.filter(column, lambda text: ~F.array_contains(gone, text))}
            found.append(Change(table=table, rows=rows & F.arrays_overlap(column, gone), values=left))
    served = ("predictions_staging", "recommendations_staging", "predictions", "recommendations")
    found += [Change(table=table, rows=theirs) for table in served]
    found.append(Change(table="runs", rows=F.col("figures") != _unnamed(person), values={"figures": _unnamed(person)}))
    without = ("synthetic_texts", "synthetic_tried", "text_vectors", "texts_failed")
    found += [Change(table=table, rows=of_texts[table]) for table in without if table in of_texts]
    if "texts_vocabulary" in of_texts:
        tombstone = {"text_hash": F.concat(F.lit(FORGOTTEN), "text_index", F.lit("]"))}
        found.append(Change(table="texts_vocabulary", rows=of_texts["texts_vocabulary"], values=tombstone))
    at_an_end = theirs | ((F.col("target_kind") == "user") & (F.col("target_id") == person.user))
    found.append(Change(table="relations", rows=at_an_end))
    found += [Change(table="events", rows=theirs), Change(table="reviews", rows=theirs)]
    tombstone = {"user_id": F.concat(F.lit(FORGOTTEN), "user_index", F.lit("]"))}
    found.append(Change(table="users_vocabulary", rows=theirs, values=tombstone))
    return found


def _hashes(tables: Sequence[DataFrame]) -> DataFrame:
    return reduce(DataFrame.union, [rows.select("text_hash") for rows in tables])


def _unnamed(person: Person) -> Column:
    """What a stage counted, whose errors may quote an id."""
    figures: Column = F.replace(F.col("figures"), F.lit(f"'{person.user}'"), F.lit(f"'{FORGOTTEN.strip()}]'"))
    return figures
