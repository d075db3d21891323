"""A large catalogue is read and ranked in parts: what is held at once does not grow with it, but for its vectors."""

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tandemrec.config import ModelSettings, Task
from tandemrec.learn import score_examples
from tandemrec.learn.feeds import Examples
from tandemrec.model import Features, MultiTaskModel, Sizes

ITEMS, REVIEWS, TEXTS, WIDTH, TEXT_WIDTH, ROWS = 3000, 4, 50, 4, 16, 64


class Largest(TorchDispatchMode):
    """Notes the number of bytes of the largest tensor that is made meanwhile."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() * leaf.element_size() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        self.bytes = max([self.bytes, *sizes])
        return made


def test_ranks_of_a_large_catalogue_take_little_memory_and_are_the_same(monkeypatch):
    draw = np.random.default_rng(4)
    nothing = torch.zeros(ITEMS + 1, dtype=torch.long)
    features = Features(
        **dict.fromkeys(("category", "brand", "price"), nothing),
        text=torch.from_numpy(draw.integers(1, TEXTS, ITEMS + 1)),
        reviews=torch.from_numpy(draw.integers(1, TEXTS, (ITEMS + 1, REVIEWS))),
        interactions=torch.ones(ITEMS + 1, dtype=torch.long),
        texts=torch.randn(TEXTS, TEXT_WIDTH, generator=torch.Generator().manual_seed(5)).half(),
    )
    item, none = draw.integers(1, ITEMS, ROWS), np.zeros((ROWS, 1), np.int64)
    examples = Examples(
        user=np.ones(ROWS, np.int64),
        item=item,
        history=draw.integers(1, ITEMS, (ROWS, 3)),
        user_reviews=none,
        item_reviews=none,
        review=none[:, 0],
        event_time=np.arange(ROWS),
        labels={"next_item": item.astype(np.float32)},
        seen=(np.zeros(0, np.int32), np.zeros(ROWS + 1, np.int64)),
    )
    sizes = Sizes(
        users=2,
        items=ITEMS + 1,
        categories=1,
        brands=1,
        prices=1,
        history=3,
        text_width=TEXT_WIDTH,
        classes={},
    )
    task = Task(name="next_item", kind="next_item", reads=["user"])
    torch.manual_seed(6)
    model = MultiTaskModel(ModelSettings(width=WIDTH, neighbours=0), [task], sizes).eval()
    whole = score_examples(model, examples, features).ranks["next_item"]
    monkeypatch.setattr("tandemrec.model.multitask.ITEMS_AT_ONCE", 100)
    monkeypatch.setattr("tandemrec.learn.scoring.AT_ONCE", 2 * (ITEMS + 1))
    with Largest() as largest:
        parts = score_examples(model, examples, features).ranks["next_item"]
    assert largest.bytes <= 4 * (ITEMS + 1) * WIDTH  # the catalogue's vectors; scores of all rows are 16 times as much
    assert (parts == whole).all() and len(set(whole.tolist())) > ROWS / 2
