"""Sample data: the raw logs of an invented shop, with tastes to learn and dirt in known numbers.

world -> catalogue, tastes -> behaviour -> opinions -> wording -> dirt -> files
"""

from tandemrec.sample.generate import generate
from tandemrec.sample.planted import Planted, TableCounts

__all__ = ["Planted", "TableCounts", "generate"]
