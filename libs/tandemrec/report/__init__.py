"""What came in, what was learned and what it is worth: one HTML file, a few lines on the terminal, two look-ups.

Reads the lake through delta-rs and Arrow only; big tables are scanned in batches or with filters pushed down.
"""

from tandemrec.report.page import render
from tandemrec.report.people import Pick
from tandemrec.report.picks import recommendations

__all__ = ["Pick", "recommendations", "render"]
