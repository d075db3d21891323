"""The encoder of tabular rows, and the settings of tabular data: hand-computed shares, missing and unseen values."""

import dataclasses

import numpy as np
import pytest
import torch
from tabular_data import settings_of

from tandemrec.config import ModelSettings, Task
from tandemrec.errors import ConfigError
from tandemrec.learn.features import bin_edges
from tandemrec.learn.losses import task_losses
from tandemrec.model import Batch, Features, MultiTaskModel, Sizes
from tandemrec.model.rows import CategoryVectors, NumberVectors

TASKS = [Task(name=name, kind="binary", reads=["row"]) for name in ("rich", "bought")]


def model_of(**settings):
    sizes = Sizes(
        users=1,
        items=1,
        categories=1,
        brands=1,
        prices=1,
        history=1,
        text_width=0,
        classes={},
        values=[3, 4],
        edges=[[0.0, 1.0, 3.0]],
    )
    torch.manual_seed(0)
    return MultiTaskModel(ModelSettings(**{"width": 8, "tower": [8], "experts": 2, **settings}), TASKS, sizes).eval()


def batch_of(categories, numbers):
    rows = len(categories)
    nothing = torch.zeros(rows, dtype=torch.long)
    lists = dict.fromkeys(("history", "user_reviews", "item_reviews"), nothing.unsqueeze(1))
    labels = dict.fromkeys(("rich", "bought"), torch.ones(rows))
    return Batch(
        user=nothing,
        item=nothing,
        review=nothing,
        labels=labels,
        categories=torch.tensor(categories),
        numbers=torch.tensor(numbers),
        **lists,
    )


def nothing_known():
    one = torch.zeros(1, dtype=torch.long)
    return Features(category=one, brand=one, price=one, text=one, reviews=one.unsqueeze(1), interactions=one)


def answers(model, batch):
    features = nothing_known()
    with torch.no_grad():
        return model(batch, features, model.users(batch, features, model.catalogue(features)))


def test_numbers_are_shares_of_bins():
    numbers = NumberVectors([[0.0, 1.0, 3.0], [5.0, 6.0]], width=1)
    with torch.no_grad():
        numbers.weight[:, :, 0] = torch.tensor([[1.0, 10.0], [1.0, 99.0]])  # the last bin is none of the second's
        numbers.missing[:, 0] = torch.tensor([-7.0, -8.0])
    rows = torch.tensor([[0.5, 5.5], [2.0, 9.0], [-4.0, 0.0], [8.0, torch.nan], [torch.nan, 5.0]])
    found = numbers(rows)[:, :, 0]
    expected = torch.tensor([[0.5, 0.5], [1 + 5.0, 1.0], [0.0, 0.0], [11.0, -8.0], [-7.0, 0.0]])
    torch.testing.assert_close(found, expected)


def test_categories_have_vectors_of_their_own_and_the_unseen_one_is_zero():
    vectors = CategoryVectors([3, 4], width=5)
    found = vectors(torch.tensor([[0, 0], [2, 0], [0, 3], [1, 1]]))
    assert not found[0].any() and not found[1, 1].any()
    others = torch.stack([found[1, 0], found[2, 1], found[3, 0], found[3, 1]])
    assert (torch.cdist(others, others) + torch.eye(4) > 0).all()
    found[1:].sum().backward()
    assert (vectors.vectors.weight.grad.any(1)).tolist() == [True, True, True, True, True, False, True]


def test_edges_are_of_what_is_known_and_reach_into_a_tail():
    draw = np.random.default_rng(3)
    mostly_zero = np.where(draw.random(5000) < 0.97, 0.0, draw.gamma(2.0, 1000.0, 5000))
    column = np.stack([mostly_zero, np.full(5000, 4.0), np.full(5000, np.nan)], axis=1).astype(np.float32)
    column[::3, 0] = np.nan
    found = bin_edges(column, 16)
    known = column[~np.isnan(column[:, 0]), 0].astype(float)
    assert found[0][0] == known.min() and found[0][-1] == known.max() and len(found[0]) > 8
    assert found[0] == sorted(set(found[0]))
    assert found[1] == [4.0, 5.0] and found[2] == [0.0, 1.0]


def test_rows_do_not_touch_one_another_and_every_column_counts():
    model, batch = model_of(), batch_of([[1, 2], [2, 0], [0, 3]], [[0.2], [2.5], [torch.nan]])
    together = answers(model, batch)
    for row in range(3):
        alone = answers(model, batch.where(torch.tensor([row])))
        for name, logit in alone.items():
            torch.testing.assert_close(logit[0], together[name][row])
    changed = answers(model, batch_of([[2, 2], [2, 1], [0, 3]], [[0.2], [2.5], [0.1]]))
    assert all((changed[name] != together[name]).all() for name in together)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tabular": None}, "go together"),
        ({"tasks": [{"name": "rating", "kind": "regression"}]}, r"tasks.rating.reads is .* expected \['row'\]"),
        ({"tasks": [{"name": "rich", "kind": "binary", "reads": ["row"], "label": "poor"}]}, "expected one of"),
        ({"tasks": [{"name": "rich", "kind": "binary", "reads": ["row", "user"]}]}, "row is read alone"),
        ({"examples": {"split": "time"}}, "expected random or given"),
        ({"tabular": {"numeric": ["age"], "labels": {"old": {"column": "age"}}}}, "the answer is given"),
        ({"tabular": {"numeric": ["age", "age"], "labels": {"rich": {"column": "rich"}}}}, "named twice"),
        ({"sources": [{"name": "a", "table": "rows", "kind": "csv", "path": "a"}]}, "tabular and rows together"),
    ],
)
def test_settings_that_do_not_fit_are_told(tmp_path, changes, told):
    with pytest.raises(ConfigError, match=told):
        settings_of(tmp_path, tmp_path, **changes)


def test_members_answer_alone_in_training_and_together_else():
    batch, features = batch_of([[1, 2], [2, 0], [0, 3]], [[0.2], [2.5], [torch.nan]]), nothing_known()
    model = model_of(rows={"members": 4}, dropout=0.0)
    together = answers(model, batch)
    alone = answers(model.train(), batch)
    for name, logits in alone.items():
        assert logits.shape == (12,) and together[name].shape == (3,)
        by_member = logits.reshape(4, 3)
        assert (by_member.std(0) > 0).all()
        torch.testing.assert_close(by_member.mean(0), together[name])
    batch.labels["rich"][1] = torch.nan
    found = task_losses(model, batch, features)["rich"]
    known = alone["rich"].reshape(4, 3)[:, [0, 2]]
    torch.testing.assert_close(found.detach(), torch.nn.functional.softplus(-known).sum() / 4)


@pytest.mark.parametrize(("values", "edges"), [([], [[0.0, 1.0]]), ([3], [])])
def test_a_table_of_one_kind_of_columns(values, edges):
    sizes = dataclasses.replace(model_of().sizes, values=values, edges=edges)
    model = MultiTaskModel(ModelSettings(width=8, rows={"members": 2}), TASKS, sizes).eval()
    batch = dataclasses.replace(
        batch_of([[1], [2]], [[0.5], [0.1]]),
        categories=torch.tensor([[1], [2]])[:, : len(values)],
        numbers=torch.tensor([[0.5], [0.1]])[:, : len(edges)],
    )
    found = answers(model, batch)["rich"]
    assert found.isfinite().all() and found[0] != found[1]


def test_a_weight_counts_as_so_many_rows():
    model, features = model_of(dropout=0.0), nothing_known()
    batch = batch_of([[1, 2], [2, 0], [0, 3]], [[0.2], [2.5], [torch.nan]])
    weighted = task_losses(model, dataclasses.replace(batch, weight=torch.tensor([2.0, 1.0, 3.0])), features)
    repeated = task_losses(model, batch.where(torch.tensor([0, 0, 1, 2, 2, 2])), features)
    for name, loss in repeated.items():
        torch.testing.assert_close(weighted[name], loss)
