"""Bronze rows into silver rows: pure functions DataFrame -> DataFrame, without a read or a write.

Every frame that `judge_events`, `judge_items`, `judge_reviews` and `judge_relations` make has one row a record, with
a column `verdict`: kept, merged into another row of the same key, or the code of the first rule that the record
breaks.
"""
