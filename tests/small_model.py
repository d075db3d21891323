"""A batch, features and a model small enough to compute by hand, for tests of the model alone."""

import torch

from tandemrec.config import ModelSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.model import Batch, Features, MultiTaskModel, Sizes
from tandemrec.model.batch import Lists

USERS, ITEMS, ROWS, LENGTH, TEXT_WIDTH, POOLED = 12, 15, 32, 5, 10, 4
TEXTS = ITEMS * POOLED + ROWS


def small_features() -> Features:
    """Each item pools reviews of its own; item ITEMS was never interacted with; the last texts are nobody's."""
    torch.manual_seed(1)
    reviews = torch.arange(1, ITEMS * POOLED + 1).reshape(ITEMS, POOLED)
    texts = torch.randn(TEXTS + 1, TEXT_WIDTH).half()
    texts[0] = 0
    lengths = torch.randint(1, 7, (TEXTS + 1,))
    lengths[0] = 0
    words = Lists(
        values=torch.randint(1, 51, (int(lengths.sum()),)), starts=lengths.cumsum(0) - lengths, lengths=lengths
    )
    interactions = torch.randint(1, 9, (ITEMS + 1,))
    interactions[0] = interactions[ITEMS] = 0
    return Features(
        category=torch.randint(4, (ITEMS + 1,)),
        brand=torch.randint(4, (ITEMS + 1,)),
        price=torch.randint(4, (ITEMS + 1,)),
        text=torch.randint(TEXTS - ROWS, TEXTS, (ITEMS + 1,)),
        reviews=torch.cat([torch.zeros(1, POOLED, dtype=torch.long), reviews]),
        interactions=interactions,
        texts=texts,
        words=words,
    )


def small_batch(features: Features) -> Batch:
    """Rows whose own review is pooled into their item; some have had the item before; none refers to the review."""
    torch.manual_seed(2)
    item = torch.randint(1, ITEMS, (ROWS,))
    review = features.reviews[item, torch.randint(POOLED, (ROWS,))]
    history = torch.randint(ITEMS, (ROWS, LENGTH))
    history[::4, 3] = item[::4]
    others = TEXTS - ROWS + torch.randint(1, ROWS, (ROWS, 3))
    unknown = torch.full((ROWS,), torch.nan)
    labels = {
        "next_item": item.float(),
        "click": torch.randint(2, (ROWS,)).float(),
        "purchase": torch.where(torch.arange(ROWS) % 2 == 0, 1.0, unknown),
        "rating": 1 + 4 * torch.rand(ROWS),
        "sentiment": torch.randint(2, (ROWS,)).float(),
        "category": torch.randint(4, (ROWS,)).float(),
    }
    return Batch(
        user=torch.randint(1, USERS, (ROWS,)),
        item=item,
        history=history,
        user_reviews=others,
        item_reviews=others.flip(1),
        review=review,
        labels=labels,
    )


def small_model(tasks=DEFAULT_TASKS, text_width=TEXT_WIDTH, classes=None, terms=0, **settings) -> MultiTaskModel:
    sizes = Sizes(
        users=USERS,
        items=ITEMS + 1,
        categories=4,
        brands=4,
        prices=4,
        history=LENGTH,
        text_width=text_width,
        classes=classes or {"category": 4},
        terms=terms,
    )
    torch.manual_seed(3)
    model = MultiTaskModel(ModelSettings(**{"width": 8, "tower": [8], "experts": 2, **settings}), tasks, sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model
