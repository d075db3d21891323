"""What the model is worth beside baselines: protocol, baselines and comparison, in plain numpy."""

from tandemrec.evaluate.baselines import BASELINES
from tandemrec.evaluate.compare import Measured, measure
from tandemrec.evaluate.experience import by_experience
from tandemrec.evaluate.problem import Array, Predictions, Problem, Rows
from tandemrec.evaluate.table import LEGEND, comparison_tables

__all__ = [
    "BASELINES",
    "LEGEND",
    "Array",
    "Measured",
    "Predictions",
    "Problem",
    "Rows",
    "by_experience",
    "comparison_tables",
    "measure",
]
