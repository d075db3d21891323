"""Bronze rows into silver rows: pure functions DataFrame -> DataFrame, without a read or a write.

Every frame that leaves here has one row a record that came in, with a column `verdict`: kept, merged into another row
of the same key, or the code of the first rule that the record breaks.
"""

from tandemrec.clean.balance import Balance
from tandemrec.clean.events import judge_events
from tandemrec.clean.items import judge_items, known_from_behaviour
from tandemrec.clean.parse import absent_columns
from tandemrec.clean.reviews import judge_reviews
from tandemrec.clean.verdicts import count_verdicts, in_sources, kept, quarantined

__all__ = [
    "Balance",
    "absent_columns",
    "count_verdicts",
    "in_sources",
    "judge_events",
    "judge_items",
    "judge_reviews",
    "kept",
    "known_from_behaviour",
    "quarantined",
]
