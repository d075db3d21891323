"""Bronze rows into silver rows: pure functions DataFrame -> DataFrame, without a read or a write.

Every frame that a `judge` function makes has one row a record that came in, with a column `verdict`: kept, or the code
of the first rule that the record breaks. A `settle` function gives the verdicts that rows give each other: former (an
earlier version of an item), merged into another row, repeated, or a reason to reject. `cleaners` has them by table.
"""
