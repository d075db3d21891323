"""What an actor does with a batch: rows of the test split -> scores and ranks; users -> recommendations.

Each actor loads one model with its features and keeps it. Shapes: B rows, I items, S seen items over the rows.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from tandemrec.learn.feeds import Examples, batch_at, seen_at
from tandemrec.learn.ranking import target_ranks
from tandemrec.metrics import told_classes
from tandemrec.model.batch import Batch, Features
from tandemrec.model.heads import HEADS
from tandemrec.model.multitask import Calibration, MultiTaskModel
from tandemrec.rank.disliked import Disliked
from tandemrec.rank.recommend import SCORES_AT_ONCE, recommend
from tandemrec.rank.rows import recommendation_rows
from tandemrec.rank.users import user_batch

Array = npt.NDArray[Any]
Columns = dict[str, Array]


LoadModel = Callable[[], tuple[MultiTaskModel, Features]]
LoadExamples = Callable[[], Examples]
LoadDisliked = Callable[[], Disliked]


class PairScorer:
    """Scores of every task for rows, as `score:TASK`: probabilities, values, of several classes the number of the one
    that is told, or u . v + b_i of the row's item.
    """

    def __init__(self, load_model: LoadModel, load_examples: LoadExamples, threads: int) -> None:
        torch.set_num_threads(threads)
        self.model, self.features = load_model()
        self.model.eval()
        self.examples = load_examples()
        self.heads = {task.name: task.head for task in self.model.tasks}
        self.columns = {task.name: task.column for task in self.model.tasks}
        with torch.inference_mode():
            self.catalogue = self.model.catalogue(self.features)
            self.candidates = self.model.candidates(self.features)

    @torch.inference_mode()
    def __call__(self, rows: Columns) -> Columns:
        batch = batch_at(self.examples, rows["row"])
        # Two people may write the same words: without the row's own review nothing that ranks can depend on it.
        asking = replace(batch, review=torch.zeros_like(batch.review))
        users_BD = self.model.users(asking, self.features, self.catalogue)
        answers = {
            f"score:{name}": self.of_head(name, HEADS[self.heads[name]].activation(logits))
            for name, logits in self.model(batch, self.features, users_BD).items()
        }
        for name in (name for name, head in self.heads.items() if head not in HEADS):
            answers |= self.of_next_item(name, rows["row"], asking, users_BD)
        return {"row": rows["row"], **{name: answer.numpy() for name, answer in answers.items()}}

    def of_head(self, task: str, answer: Tensor) -> Tensor:
        """(B,), of (B,) or of probabilities (B, C)."""
        if answer.dim() == 1:
            return answer
        weights_C = cast(Calibration, self.model.calibration[task]).weights
        return torch.from_numpy(told_classes(answer.numpy(), weights_C.numpy()))

    def of_next_item(self, task: str, rows_B: Array, batch: Batch, users_BD: Tensor) -> dict[str, Tensor]:
        seen = seen_at(self.examples, rows_B)
        return {f"score:{task}": self.model.pair_logits(batch, self.catalogue, users_BD, seen)}


class RankScorer(PairScorer):
    """In place of the next item's score, its place among the candidates less what the user has seen: `rank:TASK`.

    0 where a row says nothing about the next item. Of several classes the probabilities of all.
    """

    def of_head(self, task: str, answer: Tensor) -> Tensor:
        return answer

    def of_next_item(self, task: str, rows_B: Array, batch: Batch, users_BD: Tensor) -> dict[str, Tensor]:
        ranks_B = torch.zeros_like(batch.item)
        asked = (~batch.labels[self.columns[task]].isnan()).nonzero()[:, 0]
        for part in asked.split(max(1, SCORES_AT_ONCE // len(self.features))):
            rows, seen = batch.where(part), seen_at(self.examples, rows_B[part])
            logits_BI = self.model.ranking_logits(rows, self.features, self.catalogue, users_BD[part], seen)
            ranks_B[part] = target_ranks(logits_BI, rows.item, self.candidates, seen)
        return {f"rank:{task}": ranks_B}


class UserScorer:
    """Rows of user_features -> rows of recommendations, without the run and the model's version."""

    def __init__(
        self,
        load_model: LoadModel,
        load_disliked: LoadDisliked,
        threads: int,
        *,
        users: pa.Array,
        items: pa.Array,
        k: int,
        exclude_seen: bool,
    ) -> None:
        torch.set_num_threads(threads)
        self.model, self.features = load_model()
        self.model.eval()
        self.disliked = load_disliked()
        self.users, self.items, self.k, self.exclude_seen = users, items, k, exclude_seen
        with torch.inference_mode():
            self.catalogue = self.model.catalogue(self.features)

    def __call__(self, rows: pa.Table) -> pa.Table:
        batch = user_batch(rows, self.model.sizes.history)
        seen = rows["seen"].combine_chunks()
        counts = torch.from_numpy(seen.value_lengths().to_numpy().astype(np.int64))
        items = torch.from_numpy(seen.flatten().to_numpy().astype(np.int64))
        best = recommend(
            self.model,
            self.features,
            self.catalogue,
            batch,
            (items, counts),
            self.k,
            disliked=self.disliked,
            left_out=self.exclude_seen,
        )
        return recommendation_rows(
            batch.user.numpy(), best.item.numpy(), best.score.numpy(), best.because.numpy(), self.users, self.items
        )
