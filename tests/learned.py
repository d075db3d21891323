"""What tests of learning share: the small lake as data, small models, short loops."""

from dataclasses import replace

import torch
from small_lake import ENCODER

from tandemrec.config import ModelSettings, TrainSettings, WordSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.lake import Lake
from tandemrec.learn import Data, load_examples, load_features
from tandemrec.model import MultiTaskModel, Sizes
from tandemrec.model.batch import Lists

WORDS = WordSettings(buckets=100, width=6, filters=4, dropout=0.0)


def data_of(root) -> Data:
    lake = Lake(str(root))
    splits = load_examples(lake)
    return Data(
        features=load_features(lake, encoder=ENCODER, words=WORDS), train=splits["train"], valid=splits["valid"]
    )


def model_of(sizes, tasks=DEFAULT_TASKS, **settings) -> MultiTaskModel:
    torch.manual_seed(11)
    return MultiTaskModel(
        ModelSettings(**{"width": 8, "tower": [8], "experts": 2, "words": WORDS} | settings), tasks, sizes
    )


def with_states(data: Data, sizes: Sizes) -> tuple[Data, Sizes]:
    """Tokens of an encoder, four numbers each, whose last layer is learned along."""
    lengths = torch.arange(len(data.features.texts)) % 4
    values = torch.randn(int(lengths.sum()), 4, generator=torch.Generator().manual_seed(1)).half()
    states = Lists(values=values, starts=lengths.cumsum(0) - lengths, lengths=lengths)
    upper = {"layers": 1, "width": 4, "heads": 2, "inner": 8, "epsilon": 1e-5, "pooling": "mean", "normalise": True}
    texts = data.features.texts[:, :4]
    features = replace(data.features, states=states, texts=texts)
    return replace(data, features=features), replace(sizes, text_width=4, upper=upper | {"dimension": 4})


def loop(**settings) -> TrainSettings:
    return TrainSettings(**{"batch_size": 64, "max_epochs": 4, "learning_rate": 0.01, "patience": 9} | settings)
