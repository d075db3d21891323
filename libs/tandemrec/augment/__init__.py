"""Texts made from reviews: from which, how, and which of them are fit to be learned from."""

from tandemrec.augment.crop import crop_and_shuffle
from tandemrec.augment.filters import Probes, cosines
from tandemrec.augment.sources import LABELS, Sources, training_reviews
from tandemrec.augment.synthesis import Made, synthesise

__all__ = ["LABELS", "Made", "Probes", "Sources", "cosines", "crop_and_shuffle", "synthesise", "training_reviews"]
