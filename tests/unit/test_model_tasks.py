"""Kinds of tasks and their options, and what each combination of inputs may read."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from small_model import ITEMS, ROWS, TEXT_WIDTH, USERS, small_batch, small_features, small_model

from tandemrec.config import ModelSettings, Task, parse_settings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.learn.losses import task_losses
from tandemrec.learn.negatives import Drawn, Proposal, sampled_softmax
from tandemrec.model import MultiTaskModel
from tandemrec.model.heads import HEADS
from tandemrec.model.history import HISTORIES
from tandemrec.model.sharing import SHARINGS

STEADY = {"dropout": 0.0, "id_dropout": 0.0}


@pytest.fixture
def features():
    return small_features()


@pytest.fixture
def batch(features):
    return small_batch(features)


def logits_of(model, batch, features):
    return model(batch, features, model.users(batch, features, model.catalogue(features)))


class TestConversion:
    """ESMM: the probability of a purchase is that of the click times that of a purchase after a click."""

    TASKS = (
        Task(name="purchase", kind="binary", given="click"),
        Task(name="click", kind="binary"),
        Task(name="sale", kind="binary", label="purchase", given="purchase"),
    )

    def test_probabilities_multiply_and_never_exceed_what_comes_first(self, batch, features):
        model = small_model(tasks=self.TASKS, **STEADY).eval()
        plain = [task.model_copy(update={"given": ""}) for task in self.TASKS]
        other = small_model(tasks=plain, **STEADY).eval()
        other.load_state_dict(model.state_dict())
        together, alone = (logits_of(m, batch, features) for m in (model, other))
        p, q = ({n: logit.sigmoid() for n, logit in answers.items()} for answers in (together, alone))
        torch.testing.assert_close(p["click"], q["click"])
        torch.testing.assert_close(p["purchase"], q["click"] * q["purchase"])
        torch.testing.assert_close(p["sale"], q["click"] * q["purchase"] * q["sale"])

    def test_no_logit_is_lost_to_rounding(self, batch, features):
        model = small_model(tasks=self.TASKS[:2])
        a, b = torch.tensor([-80.0, 80, 80, 0]), torch.tensor([-80.0, -80, 80, 0])
        found = model._with_given({"click": a, "purchase": b})["purchase"].double()
        torch.testing.assert_close(found, torch.tensor([-160.0, -80, 80 - np.log(2), -np.log(3)]).double())

    def test_a_purchase_teaches_the_click(self, batch, features):
        model = small_model(tasks=self.TASKS[:2], **STEADY)
        task_losses(model, batch, features)["purchase"].backward()
        assert model.towers["click"][0].weight.grad.any() and model.towers["purchase"][0].weight.grad.any()

    def test_it_starts_from_the_share_of_all_rows(self, batch, features):
        labels = {"click": (torch.arange(100) < 40).float(), "purchase": (torch.arange(100) < 10).float()}
        model = small_model(tasks=self.TASKS[:2])
        model.start_from(features, labels)
        biases = {n: model.towers[n][-1].bias.detach() for n in ("click", "purchase")}
        found = {n: logit.sigmoid().item() for n, logit in model._with_given(biases).items()}
        assert found == pytest.approx({"click": 41 / 102, "purchase": 11 / 102})

    @pytest.mark.parametrize(
        ("tasks", "message"),
        [
            ([{"name": "purchase", "kind": "binary", "given": "clack"}], "expected a binary task of these inputs"),
            ([{"name": "purchase", "kind": "regression", "given": "click"}], "expected kind binary"),
            (
                [{"name": n, "kind": "binary", "given": m} for n, m in (("purchase", "cart"), ("cart", "purchase"))],
                "leads back to",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tasks, message):
        source = {"name": "e", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
        click = {"name": "click", "kind": "binary"}
        settings = {"data": {"root": "x"}, "lake": {"root": "x"}, "sources": [source], "tasks": [click, *tasks]}
        with pytest.raises(Exception, match=message):
            parse_settings(settings | {"train": {"stop_on": "click/auc"}})


class TestOrderedRatings:
    TASK = Task(name="rating", kind="regression", label="stars", ordinal=True)

    def test_steps_never_cross_and_the_value_is_their_sum(self):
        torch.manual_seed(1)
        last = HEADS["ordinal"].last(4, 6)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([5.0, 2.0, 1.0, 0.0, -3.0]))
        chances = last(torch.randn(20, 4) * 3).sigmoid()
        assert (chances.diff(dim=1) <= 0).all()
        torch.testing.assert_close(
            HEADS["ordinal"].activation(last(torch.zeros(1, 4))), last.bias.sigmoid().sum().reshape(1)
        )

    def test_loss_is_the_sum_of_its_steps(self):
        """A label of 2 of 0 to 3: more than 0, more than 1, not more than 2."""
        logits = torch.tensor([[0.5, -1.0, 2.0]])
        p = logits[0].sigmoid()
        expected = -(p[0].log() + p[1].log() + (1 - p[2]).log())
        torch.testing.assert_close(HEADS["ordinal"].loss(logits, torch.tensor([2.0]))[0], expected)

    def test_it_starts_from_the_mean(self):
        labels = torch.tensor([1.0, 2, 2, 3, 5] * 200)
        prior = HEADS["ordinal"].prior(labels, 5)
        assert HEADS["ordinal"].activation(prior.unsqueeze(0)).item() == pytest.approx(2.6, abs=0.01)

    @pytest.mark.parametrize("pairs", ["network", "product"])
    def test_the_model_learns_and_scores_it(self, batch, features, pairs):
        """As factors alone too, whose mean is then a threshold for each step."""
        stars = torch.randint(1, 6, (ROWS,)).float()
        batch = replace(batch, labels=batch.labels | {"stars": stars})
        model = small_model(tasks=(self.TASK,), classes={"stars": 6}, pairs=pairs, **STEADY)
        model.start_from(features, {"stars": stars})
        optimizer = torch.optim.Adam(model.parameters(), 0.03)
        for _ in range(60):
            optimizer.zero_grad()
            task_losses(model, batch, features)["rating"].backward()
            optimizer.step()
        values = HEADS["ordinal"].activation(logits_of(model, batch, features)["rating"])
        assert values.shape == (ROWS,) and (values - stars).abs().mean() < 0.5
        assert model.factors["rating"].user_bias.grad.any()


class TestDrawnCandidates:
    def test_the_sum_over_the_catalogue_is_right_in_expectation(self):
        """Mean over all pairs of draws, each with its chance, of the estimated sum: the sum over all items."""
        torch.manual_seed(2)
        scores, chance = torch.randn(5).double(), torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1]).double()
        target = torch.tensor([1])
        mean = 0.0
        for pair in itertools.product(range(5), repeat=2):
            items = torch.tensor(pair)
            drawn = Drawn(items=items, log_chance=chance[items].log())
            loss = sampled_softmax(scores[target], scores[items].unsqueeze(0), target, drawn)
            mean += chance[items].prod() * (loss + scores[target]).exp()
        torch.testing.assert_close(mean[0], scores.exp().sum())

    def test_many_draws_give_the_loss_and_the_gradient_of_the_whole_catalogue(self, batch, features):
        task, drawn = DEFAULT_TASKS[0], {}
        model = small_model(tasks=(task,), **STEADY)
        whole = task_losses(model, batch, features)["next_item"]
        gradient = torch.autograd.grad(whole, model.user.from_history.weight)[0]
        drawn = {"next_item": Proposal(features).draw(np.random.default_rng(3), 200_000)}
        loss = task_losses(model, batch, features, drawn)["next_item"]
        torch.testing.assert_close(loss, whole, rtol=0.01, atol=0)
        found = torch.autograd.grad(loss, model.user.from_history.weight)[0]
        assert (found - gradient).norm() < 0.03 * gradient.norm()

    def test_draws_follow_training_interactions_and_repeat_with_the_seed(self, features):
        proposal = Proposal(features)
        drawn = proposal.draw(np.random.default_rng(4), 100_000)
        counts = drawn.items.bincount(minlength=ITEMS + 1) / 100_000
        expected = features.interactions / features.interactions.sum()
        assert (counts - expected).abs().max() < 0.005 and not counts[features.interactions == 0].any()
        torch.testing.assert_close(drawn.log_chance.exp(), expected[drawn.items])
        assert torch.equal(drawn.items, proposal.draw(np.random.default_rng(4), 100_000).items)

    def test_no_other_items_vector_is_computed(self, batch, features):
        """An item that neither the batch nor the draw speaks of gets no gradient, not even of zero."""
        few = batch.where(torch.arange(2))
        model = small_model(tasks=DEFAULT_TASKS[:2], **STEADY)
        seen = []
        model.item.register_forward_hook(lambda module, given, out: seen.append(len(out)))
        drawn = {"next_item": Drawn(items=torch.tensor([1, 2]), log_chance=torch.tensor([-1.0, -2.0]))}
        task_losses(model, few, features, drawn)["next_item"].backward()
        spoken_of = torch.cat([few.item, few.history.flatten(), torch.tensor([1, 2])]).unique()
        assert seen[0] == len(spoken_of) < len(features)

    def test_a_rows_own_review_stays_out(self, batch, features):
        model = small_model(tasks=DEFAULT_TASKS[:1], **STEADY).eval()
        one = batch.where(torch.tensor([0]))
        noisy = features.texts.clone()
        noisy[one.review] = 50 * torch.randn(TEXT_WIDTH).half()
        drawn = {"next_item": Proposal(features).draw(np.random.default_rng(5), 6)}
        before, after = (
            task_losses(model, one, replace(features, texts=texts), drawn) for texts in (features.texts, noisy)
        )
        assert torch.equal(before["next_item"], after["next_item"])


class TestAnyColumn:
    @pytest.mark.parametrize(
        "task",
        [
            Task(name="favourite", kind="binary"),
            Task(name="cart", kind="binary", given="click"),
            Task(name="reason", kind="multiclass", label="why"),
            Task(name="length", kind="regression", label="votes", reads=["review"]),
            Task(name="stars", kind="regression", label="why", ordinal=True),
        ],
        ids=lambda task: task.name,
    )
    def test_a_task_is_an_entry_of_the_settings(self, batch, features, task):
        tasks = (*DEFAULT_TASKS, task)
        labels = {
            "favourite": torch.randint(2, (ROWS,)).float(),
            "cart": torch.randint(2, (ROWS,)).float(),
            "why": torch.randint(3, (ROWS,)).float(),
            "votes": torch.arange(ROWS).float(),
        }
        batch = replace(batch, labels=batch.labels | labels)
        model = small_model(tasks=tasks, classes={"category": 4, "why": 3}, **STEADY)
        columns = {name: label[~label.isnan()] for name, label in batch.labels.items()}
        model.start_from(features, columns)
        task_losses(model, batch, features)[task.name].backward()
        assert model.towers[task.name][0].weight.grad.any()


class TestInputs:
    """Collaborative, content and hybrid are which inputs the settings name."""

    COLLABORATIVE = {"text": False, "attributes": False}  # noqa: RUF012
    CONTENT = {"user_id": False, "item_id": False}  # noqa: RUF012

    def answers(self, model, batch, features):
        catalogue = model.catalogue(features)
        users = model.users(batch, features, catalogue)
        named = {name: logit for name, logit in model(batch, features, users).items() if name in ("click", "rating")}
        return torch.cat([*named.values(), model.candidate_logits(batch, features, catalogue, users).flatten()])

    @pytest.mark.parametrize(
        ("inputs", "reads_ids", "reads_content"),
        [(COLLABORATIVE, True, False), (CONTENT, False, True), ({}, True, True)],
        ids=["collaborative", "content", "hybrid"],
    )
    def test_each_reads_what_it_says(self, batch, features, inputs, reads_ids, reads_content):
        model = small_model(**inputs).eval()
        batch = replace(batch, review=torch.zeros_like(batch.review))
        before = self.answers(model, batch, features)
        other = replace(
            features,
            texts=features.texts.flip(1),
            **{n: 3 - getattr(features, n) for n in ("category", "brand", "price")},
        )
        assert torch.equal(self.answers(model, batch, other), before) != reads_content
        # Whoever changes names with somebody else, and nothing but the name, is answered as before.
        strangers = replace(batch, user=1 + batch.user % (USERS - 1))
        assert torch.equal(self.answers(model, strangers, features), before) != reads_ids
        state = model.state_dict()
        for name in [n for n in state if "id.own" in n or n.endswith("item_bias")]:
            state[name] = state[name].flip(0)
        model.load_state_dict(state)
        assert torch.equal(self.answers(model, batch, features), before) != reads_ids

    def test_ids_alone_are_without_terms_of_reviews(self):
        assert ModelSettings(inputs="collaborative").interest is None
        assert ModelSettings(inputs="content", interest={}).interest is not None
        with pytest.raises(ValidationError, match=r"inputs is collaborative and interest \{\}, expected one"):
            ModelSettings(inputs="collaborative", interest={})

    @pytest.mark.parametrize(
        "nothing", [{"item_id": False, **COLLABORATIVE}, {"user_id": False, "text": False, "history": "none"}]
    )
    def test_a_model_that_reads_nothing_is_refused(self, nothing):
        with pytest.raises(ValidationError, match="nothing would be known of"):
            ModelSettings(**nothing)


def test_a_product_of_vectors_has_nothing_to_share():
    with pytest.raises(ValidationError, match="share_next_item is true and pairs product"):
        ModelSettings(pairs="product", share_next_item=True)


@pytest.mark.parametrize("sharing", SHARINGS)
class TestNextItemAndWhatIsShared:
    def reached(self, model, batch, features):
        task_losses(model, batch, features)["next_item"].backward()
        return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}

    def test_it_shares_what_makes_vectors_and_by_default_nothing_above(self, sharing, batch, features):
        reached = self.reached(small_model(sharing=sharing, history="rnn", **STEADY), batch, features)
        assert {"user.history.gru.weight_ih_l0", "item.id.own.weight", "text.net.0.weight"} <= reached
        assert not [name for name in reached if name.startswith(("sharing", "towers", "pair"))]

    def test_taking_part_its_own_share_is_reached_and_that_of_others_is_not(self, sharing, batch, features):
        model = small_model(sharing=sharing, share_next_item=True, **STEADY)
        reached = [name for name in self.reached(model, batch, features) if name.startswith("sharing")]
        parts = ("own", "gates") if sharing != "cross_stitch" else ()  # whose units mix the networks of all tasks
        of_others = [f".{part}.{task.name}." for part in parts for task in model.tasks if task.name != "next_item"]
        assert reached
        assert not [name for name in reached for other in of_others if other in name]

    def test_it_changes_nothing_before_it_has_learned_and_all_logits_agree_then(self, sharing, batch, features):
        model = small_model(sharing=sharing, share_next_item=True, **STEADY).eval()
        catalogue = model.catalogue(features)
        users_BD = model.users(batch, features, catalogue)
        new = MultiTaskModel(model.settings, model.tasks, model.sizes).eval()
        torch.testing.assert_close(new.queries(users_BD), users_BD, rtol=0, atol=0)
        own_B = model.own_logits(batch, features, catalogue, model.queries(users_BD))
        logits_BI = model.candidate_logits(batch, features, catalogue, users_BD)
        torch.testing.assert_close(logits_BI[torch.arange(len(batch)), batch.item], own_B)
        bare = replace(batch, review=torch.zeros_like(batch.review))
        logits_BI = model.candidate_logits(bare, features, catalogue, users_BD)
        had = (batch.item[:0], torch.zeros_like(batch.item))
        pairs_B = model.pair_logits(bare, catalogue, users_BD, had)
        torch.testing.assert_close(pairs_B, logits_BI[torch.arange(len(batch)), batch.item])


@pytest.mark.parametrize(
    "parts", [*({"history": h} for h in HISTORIES), *({"sharing": s, "levels": 2} for s in SHARINGS)], ids=str
)
def test_every_part_learns_in_bfloat16(parts, batch, features):
    model = small_model(**parts, **STEADY)
    exact = task_losses(model, batch, features)
    with torch.autocast("cpu", torch.bfloat16):
        losses = task_losses(model, batch, features)
    sum(losses.values()).backward()
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=0.05, atol=0.1)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
