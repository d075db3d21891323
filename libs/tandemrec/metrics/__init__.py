"""What a prediction or a ranking is worth, in numpy and scipy: used while training and in the evaluation alike."""

from tandemrec.metrics.deciding import class_weights, told_classes
from tandemrec.metrics.interval import bootstrap_interval, standard_error
from tandemrec.metrics.prediction import direction, prediction_metrics, row_values
from tandemrec.metrics.ranking import ranking_metrics

__all__ = [
    "bootstrap_interval",
    "class_weights",
    "direction",
    "prediction_metrics",
    "ranking_metrics",
    "row_values",
    "standard_error",
    "told_classes",
]
