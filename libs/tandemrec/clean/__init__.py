"""Bronze rows into silver rows: pure functions DataFrame -> DataFrame, without a read or a write.

Every frame that `judge_events`, `judge_items` and `judge_reviews` make has one row a record that came in, with a column
`verdict`: kept, former (an earlier version of an item), merged into another row of the same key, or the code of the
first rule that the record breaks.
"""
