"""The same raw files at any size, written by Spark: for measuring, not for learning from.

No row knows another one: what a line holds follows from the seed and the number of its row through hashes. So the
content is the same however the rows are partitioned, and no step needs a shuffle.
"""

from tandemrec.sample.spark.generator import generate

__all__ = ["generate"]
