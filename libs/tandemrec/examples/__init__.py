"""Silver tables to what the model learns from: vocabularies, examples, item and user features. DataFrame in, DataFrame out.

The flow: `vocabularies` numbers the ids; `log` is everything that happened, in integers; `contacts` finds the first
contacts of user and item; `interactions`, `exposures` and `negatives` make rows with labels; `splits` says which rows
are held out; `references` adds what each row may know; `features` describes items and users; `assemble` joins it all.
"""

from tandemrec.examples.assemble import Known, build_examples, look_at
from tandemrec.examples.contacts import first_contacts
from tandemrec.examples.features import item_attributes, item_features, user_features
from tandemrec.examples.log import build_log
from tandemrec.examples.vocabularies import ids_of, known_ids, new_ids, number, vocabulary

__all__ = [
    "Known",
    "build_examples",
    "build_log",
    "first_contacts",
    "ids_of",
    "item_attributes",
    "item_features",
    "known_ids",
    "look_at",
    "new_ids",
    "number",
    "user_features",
    "vocabulary",
]
