"""Sample data: the raw logs of an invented shop, with tastes to learn and dirt in known numbers.

catalogue and tastes -> behaviour -> opinions and their wording -> dirt -> files
"""

from tandemrec.sample.generator import generate
from tandemrec.sample.planted import Planted, TableCounts

__all__ = ["Planted", "TableCounts", "generate"]
