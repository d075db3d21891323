"""The model in plain torch: representations, sharing layers, towers and heads. It knows neither Spark nor Ray."""

from tandemrec.model.batch import Batch, Features, Sizes
from tandemrec.model.multitask import MultiTaskModel
from tandemrec.model.recommender import Catalogue, Recommender

__all__ = ["Batch", "Catalogue", "Features", "MultiTaskModel", "Recommender", "Sizes"]
