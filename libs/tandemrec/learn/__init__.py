"""Learning: feeds from Delta, the loop for one worker or many, scoring, checkpoints."""

from tandemrec.learn.checkpoint import Metadata, load_model, models_folder, save_model
from tandemrec.learn.features import load_features, sizes_of
from tandemrec.learn.feeds import Examples, batch_at, load_examples
from tandemrec.learn.loop import Data, Progress, Training, fit
from tandemrec.learn.ranking import target_ranks
from tandemrec.learn.scoring import Scores, score_examples

__all__ = [
    "Data",
    "Examples",
    "Metadata",
    "Progress",
    "Scores",
    "Training",
    "batch_at",
    "fit",
    "load_examples",
    "load_features",
    "load_model",
    "models_folder",
    "save_model",
    "score_examples",
    "sizes_of",
    "target_ranks",
]
