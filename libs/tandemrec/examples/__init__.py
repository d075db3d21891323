"""Silver tables to what the model learns from: vocabularies, examples, features of items and users; pure transforms.

The flow: `vocabularies` numbers the ids; `log` is everything that happened, in integers; `contacts` finds the first
contacts of user and item; `interactions`, `exposures` and `negatives` make rows with labels; `splits` says which rows
are held out; `references` adds what each row may know; `features` describes items and users; `assemble` joins it all.
"""

from tandemrec.examples.assemble import LABELS, NOTHING, OF_ITEM, OF_TEXT, Parts, build_examples, look_at
from tandemrec.examples.contacts import first_contacts, first_reviews, reviews_of
from tandemrec.examples.features import item_attributes, item_features, user_features
from tandemrec.examples.log import build_log
from tandemrec.examples.rows import category_values, row_examples, split_rows
from tandemrec.examples.splits import splitter

__all__ = [
    "LABELS",
    "NOTHING",
    "OF_ITEM",
    "OF_TEXT",
    "Parts",
    "build_examples",
    "build_log",
    "category_values",
    "first_contacts",
    "first_reviews",
    "item_attributes",
    "item_features",
    "look_at",
    "reviews_of",
    "row_examples",
    "split_rows",
    "splitter",
    "user_features",
]
