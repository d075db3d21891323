"""The newest trained model and what it was trained on: all that an actor needs to know to load it."""

from collections.abc import Mapping
from dataclasses import dataclass

from tandemrec.config import EmbedSettings, EncoderSettings, Task
from tandemrec.config.sources import SPLITS
from tandemrec.errors import ModelError
from tandemrec.lake import Lake, runs
from tandemrec.learn.checkpoint import load_model, models_folder
from tandemrec.learn.features import after_validation, load_features
from tandemrec.learn.feeds import Examples, load_examples
from tandemrec.model.batch import Features
from tandemrec.model.multitask import MultiTaskModel
from tandemrec.rank.disliked import Disliked
from tandemrec.text.layers import Cut


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training run. Small: it travels to actors, which load model and tables on their own node.

    `inputs` are the versions of the tables that it read, and that whoever uses the model reads too. `version` names
    the checkpoint. `encoder` is the identity of the encoder whose vectors it reads, `encoding` its settings. `refit`:
    it has learned from the validation split too.
    """

    root: str
    run_id: str
    inputs: Mapping[str, int]
    version: str
    tasks: tuple[Task, ...]
    encoder: str | None
    encoding: EncoderSettings
    refit: bool

    def model(self) -> tuple[MultiTaskModel, Features]:
        """The best checkpoint and what it reads of items and texts.

        Raises:
            ModelError: the encoder below the layers that it learned is another one now.
        """
        model, metadata = load_model(_best(self.root, self.run_id))
        words, cut = model.settings.words_of(model.tasks), Cut.of(model.settings, model.tasks, self.encoding)
        if cut is not None and metadata.cut not in (None, cut.name):
            raise ModelError(
                f"model {self.run_id} learned the last layers of encoder {metadata.cut}, and {cut.encoder.model} is "
                f"{cut.name} now: put the files back that it was trained with, or run train again"
            )
        terms = model.settings.interest is not None
        features = load_features(
            Lake(self.root), encoder=self.encoder, words=words, cut=cut, terms=terms, versions=self.inputs
        )
        return model, after_validation(features, self.examples("valid")) if self.refit else features

    def examples(self, split: str) -> Examples:
        """The rows of a split, or of TRAIN_VALID."""
        return load_examples(Lake(self.root), version=self.inputs["examples"], parts=[split])[split]

    def disliked(self, low: float) -> Disliked:
        """What users rated `low` or lower, in all splits: as of now."""
        return Disliked.of((self.examples(split) for split in SPLITS), low)


def newest_run_id(lake: Lake) -> str | None:
    """Identity of the training run whose model is read; None before the first."""
    run = runs.of_model(lake)
    return None if run is None else run.run_id


def newest(lake: Lake) -> Trained:
    """The training run whose model is read: the newest finished one, or the one that the lake names.

    Raises:
        ModelError: there is none, or its model is gone.
    """
    run = runs.of_model(lake)
    if run is None:
        raise ModelError(f"lake {lake.root} has no finished training run, expected one: run train first")
    model, metadata = load_model(_best(lake.root, run.run_id))
    return Trained(
        root=lake.root,
        run_id=run.run_id,
        inputs=run.inputs,
        version=f"{run.run_id}/{metadata.epoch}",
        tasks=model.tasks,
        encoder=metadata.encoder,
        encoding=EmbedSettings(**run.settings.get("embed", {})).encoder,
        refit=metadata.refit,
    )


def _best(root: str, run_id: str) -> str:
    return f"{models_folder(root, run_id)}/best"
