"""What an actor does with a batch: rows of the test split -> scores and ranks; users -> recommendations.

Each actor loads one model with its features and keeps it. Shapes: B rows, I items, S seen items over the rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from tandemrec.learn.feeds import Examples, batch_at
from tandemrec.model.batch import Batch, Features
from tandemrec.model.heads import HEADS
from tandemrec.model.multitask import MultiTaskModel
from tandemrec.rank.recommend import SCORES_AT_ONCE, recommend
from tandemrec.rank.retrieval import mask_seen_, target_places
from tandemrec.rank.rows import recommendation_rows
from tandemrec.rank.users import user_batch

Array = npt.NDArray[Any]
Columns = dict[str, Array]


LoadModel = Callable[[], tuple[MultiTaskModel, Features]]
LoadExamples = Callable[[], Examples]


class PairScorer:
    """Scores of every task for rows, as `score:TASK`: probabilities, values, or u . v + b_i of the row's item."""

    def __init__(self, load_model: LoadModel, load_examples: LoadExamples, threads: int) -> None:
        torch.set_num_threads(threads)
        self.model, self.features = load_model()
        self.model.eval()
        self.examples = load_examples()
        self.next_item = [task.name for task in self.model.tasks if task.kind == "next_item"]
        with torch.inference_mode():
            self.catalogue = self.model.catalogue(self.features)

    @torch.inference_mode()
    def __call__(self, rows: Columns) -> Columns:
        batch = batch_at(self.examples, rows["row"])
        users_BD = self.model.users(batch, self.features, self.catalogue)
        kinds = {task.name: task.kind for task in self.model.tasks}
        answers = {
            f"score:{name}": HEADS[kinds[name]].activation(logits)
            for name, logits in self.model(batch, self.features, users_BD).items()
        }
        answers |= self.of_next_item(rows["row"], batch, users_BD)
        return {"row": rows["row"], **{name: answer.numpy() for name, answer in answers.items()}}

    def of_next_item(self, rows_B: Array, batch: Batch, users_BD: Tensor) -> dict[str, Tensor]:
        vectors_ID, bias_I = self.catalogue
        score_B = (users_BD * vectors_ID[batch.item]).sum(1) + bias_I[batch.item]
        return {f"score:{name}": score_B for name in self.next_item}


class RankScorer(PairScorer):
    """Beside the scores, the place of each row's item among the candidates less what its user has seen: `rank:TASK`."""

    def of_next_item(self, rows_B: Array, batch: Batch, users_BD: Tensor) -> dict[str, Tensor]:
        seen_S, counts_B = (torch.from_numpy(column.astype(np.int64)) for column in self.examples.seen_by(rows_B))
        ends_B = counts_B.cumsum(0)
        step = max(1, SCORES_AT_ONCE // len(self.features))
        places = []
        for start in range(0, len(batch) if self.next_item else 0, step):
            rows = torch.arange(start, min(start + step, len(batch)))
            first, last = int(ends_B[start] - counts_B[start]), int(ends_B[rows[-1]])
            chunk = batch.where(rows)
            logits_BI = self.model.candidate_logits(chunk, self.features, self.catalogue, users_BD[rows])
            places.append(target_places(mask_seen_(logits_BI, seen_S[first:last], counts_B[rows]), chunk.item))
        return {f"rank:{name}": torch.cat(places) for name in self.next_item}


class Recommender:
    """Rows of user_features -> rows of recommendations, without the run and the model's version."""

    def __init__(
        self, load_model: LoadModel, threads: int, *, users: pa.Array, items: pa.Array, k: int, exclude_seen: bool
    ) -> None:
        torch.set_num_threads(threads)
        self.model, self.features = load_model()
        self.model.eval()
        self.users, self.items, self.k, self.exclude_seen = users, items, k, exclude_seen
        with torch.inference_mode():
            self.catalogue = self.model.catalogue(self.features)

    def __call__(self, rows: pa.Table) -> pa.Table:
        batch = user_batch(rows, self.model.sizes.history)
        seen = rows["seen"].combine_chunks() if self.exclude_seen else pa.array([[]] * len(rows), pa.list_(pa.int32()))
        counts = torch.from_numpy(seen.value_lengths().to_numpy().astype(np.int64))
        items = torch.from_numpy(seen.flatten().to_numpy().astype(np.int64))
        best = recommend(self.model, self.features, self.catalogue, batch, (items, counts), self.k)
        return recommendation_rows(
            batch.user.numpy(), best.item.numpy(), best.score.numpy(), best.because.numpy(), self.users, self.items
        )
