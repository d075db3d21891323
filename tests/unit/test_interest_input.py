"""Terms of the user's last reviews as an input of the model."""

from dataclasses import replace

import pyarrow as pa
import pytest
import torch
from small_lake import ENCODER, small_lake
from small_model import ROWS, TEXTS, small_batch, small_features, small_model

from tandemrec.config import InterestSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.errors import TableError
from tandemrec.lake.types import arrow_schema
from tandemrec.learn.features import load_features, sizes_of
from tandemrec.learn.feeds import load_examples
from tandemrec.learn.losses import task_losses
from tandemrec.model.batch import Lists
from tandemrec.model.representations import TermInterest

TERMS = 20


def lists(each):
    lengths = torch.tensor([len(one) for one in each])
    values = torch.tensor([value for one in each for value in one], dtype=torch.long)
    return Lists(values=values, starts=lengths.cumsum(0) - lengths, lengths=lengths)


@pytest.fixture
def features():
    """Every text names up to four terms of its own; term 20 is named by none, text 0 names none."""
    torch.manual_seed(5)
    each = [[], *[(1 + torch.randperm(TERMS - 1)[: n % 5]).tolist() for n in range(TEXTS)]]
    return replace(small_features(), terms=lists(each))


@pytest.fixture
def batch(features):
    return small_batch(features)


def interested(**settings):
    return small_model(dropout=0.0, id_dropout=0.0, interest={"half_life": 2.0}, terms=TERMS + 1, **settings)


def test_chained_lists_are_the_padded_ones_without_padding(features):
    index = torch.tensor([3, 0, 4, 4, 5, 0])
    padded, known = features.terms.of(index)
    values, owner = features.terms.chained(index)
    assert torch.equal(values, padded[known])
    assert torch.equal(owner, known.nonzero()[:, 0])
    nothing, nobody = features.terms.chained(torch.tensor([0, 0]))
    assert len(nothing) == len(nobody) == 0


def test_it_is_the_sum_by_hand(features):
    layer = TermInterest(InterestSettings(half_life=2.0), 6, 3, 0.0)
    assert not layer.own.weight.any()  # a term that nobody named in training says nothing
    torch.nn.init.normal_(layer.own.weight)
    terms = lists([[], [1, 5], [2], []])
    reviews = torch.tensor([[0, 1, 2], [0, 0, 3], [1, 2, 1]])
    v, w = layer.own.weight, 0.5**0.5
    expected = [
        (w * (v[1] + v[5]) + v[2]) / 3**0.5,
        torch.zeros(3),
        (0.5 * (v[1] + v[5]) + w * v[2] + v[1] + v[5]) / 5**0.5,
    ]
    torch.testing.assert_close(layer(reviews, terms), torch.stack(expected))


def test_a_loss_reaches_the_terms_that_the_rows_name_and_no_other(batch, features):
    model = interested()
    rows = batch.where(torch.arange(4))
    task_losses(model, rows, features)["rating"].backward()
    named = set(features.terms.chained(rows.user_reviews.flatten())[0].tolist())
    reached = model.user.interest.own.weight.grad.any(1).nonzero().flatten().tolist()
    assert 0 < len(named) < TERMS - 1
    assert set(reached) == named
    model.zero_grad()
    task_losses(model, rows, features)["sentiment"].backward()
    assert model.user.interest.own.weight.grad is None  # text tasks read the review and nothing else


@pytest.mark.parametrize("training", [True, False])
def test_other_terms_in_the_own_review_change_no_score(batch, features, training):
    """The review that a row leads to is in none of what it reads, so what it names is not either."""
    model = interested().train(training)

    def scores(rows, features):
        catalogue = model.catalogue(features)
        users = model.users(rows, features, catalogue)
        own = model.candidate_logits(rows, features, catalogue, users)
        return [users, own, *model(rows, features, users).values()]

    changed = 0
    for row in range(0, ROWS, 3):
        one = batch.where(torch.tensor([row]))
        values = features.terms.values.clone()
        place = features.terms.starts[one.review] + torch.arange(int(features.terms.lengths[one.review]))
        values[place] = TERMS - values[place]
        changed += len(place)
        noisy = replace(features, terms=replace(features.terms, values=values))
        assert all(torch.equal(*pair) for pair in zip(scores(one, features), scores(one, noisy), strict=True))
        reviews = one.user_reviews.clone()
        reviews[0, -1] = one.review
        leaking = replace(one, user_reviews=reviews)
        if len(place):  # it would show
            assert not torch.equal(scores(leaking, features)[0], scores(leaking, noisy)[0])
    assert changed


def test_a_term_is_dropped_whole_and_only_in_training(batch, features):
    model = small_model(dropout=0.5, interest={}, terms=TERMS + 1)
    layer = model.user.interest
    seen = {tuple(layer(batch.user_reviews, features.terms)[0].tolist()) for _ in range(8)}
    assert len(seen) > 1
    layer.eval()
    assert torch.equal(*(layer(batch.user_reviews, features.terms) for _ in range(2)))


def test_terms_of_a_lake_come_as_the_table_has_them(tmp_path):
    lake = small_lake(tmp_path / "lake")
    schema = arrow_schema(lake.table("text_terms"))
    lake.overwrite("text_terms", pa.Table.from_pylist([], schema))
    with pytest.raises(TableError, match=r"text_terms is empty, expected terms for model\.interest"):
        load_features(lake, encoder=ENCODER, terms=True)
    rows = [{"text_index": 7, "terms": [2, 9]}, {"text_index": 3, "terms": [1]}]
    lake.overwrite("text_terms", pa.Table.from_pylist(rows, schema))
    features = load_features(lake, encoder=ENCODER, terms=True)
    values, owner = features.terms.chained(torch.tensor([7, 1, 3, 7]))
    assert (values.tolist(), owner.tolist()) == ([2, 9, 1, 2, 9], [0, 0, 2, 3, 3])
    assert len(features.terms.lengths) == len(features.texts)
    assert sizes_of(lake, features, load_examples(lake), DEFAULT_TASKS).terms == 10
    assert load_features(lake, encoder=ENCODER).terms is None
