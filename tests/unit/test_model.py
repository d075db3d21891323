from dataclasses import replace
from itertools import cycle

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_model import ITEMS, ROWS, TEXT_WIDTH, USERS, small_batch, small_features, small_model

from tandemrec.config import ModelSettings, Task
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.learn.checkpoint import MODEL, Metadata, load_model, save_model
from tandemrec.learn.losses import task_losses
from tandemrec.model import MultiTaskModel
from tandemrec.model.heads import HEADS
from tandemrec.model.history import HISTORIES
from tandemrec.model.sharing import SHARINGS
from tandemrec.rank.factorised import factorisation


@pytest.fixture
def features():
    return small_features()


@pytest.fixture
def batch(features):
    return small_batch(features)


def answers(model, batch, features):
    """Logits of the tasks on users and items; queries; the logit of each row's own item; logits of the texts."""
    catalogue = model.catalogue(features)
    users = model.users(batch, features, catalogue)
    logits = model(batch, features, users)
    own = model.candidate_logits(batch, features, catalogue, users).gather(1, batch.item.unsqueeze(1))
    recommended = {name: logits[name] for name in ("click", "purchase", "rating")}
    return recommended | {"users": users, "own item": own}, {name: logits[name] for name in ("sentiment", "category")}


class TestOwnReview:
    """The text that a row is to lead to must not be what leads to it."""

    @pytest.mark.parametrize("history", ["mean", "cnn", "rnn", "attention"])
    @pytest.mark.parametrize("training", [True, False])
    def test_noise_in_its_place_changes_no_recommendation(self, batch, features, history, training):
        model = small_model(history=history, dropout=0.0, id_dropout=0.0).train(training)
        for row in range(0, ROWS, 3):
            one = batch.where(torch.tensor([row]))
            noisy = features.texts.clone()
            noisy[one.review] = 50 * torch.randn(TEXT_WIDTH).half()
            before, told_before = answers(model, one, features)
            after, told_after = answers(model, one, replace(features, texts=noisy))
            for name in before:
                assert torch.equal(before[name], after[name]), name
            for name in told_before:
                assert not torch.equal(told_before[name], told_after[name]), name

    @pytest.mark.parametrize("bottoms", [["bag"], ["cnn"], ["rnn"], ["vectors", "bag", "cnn", "rnn"]])
    def test_other_words_in_its_place_change_what_is_told_of_it_and_nothing_else(self, batch, features, bottoms):
        model = small_model(bottoms=bottoms, words={"buckets": 50, "width": 6, "filters": 4}).eval()
        for row in range(0, ROWS, 3):
            one = batch.where(torch.tensor([row]))
            place = features.words.starts[one.review] + torch.arange(int(features.words.lengths[one.review]))
            values = features.words.values.clone()
            values[place] = 51 - values[place]
            before, told_before = answers(model, one, features)
            after, told_after = answers(model, one, replace(features, words=replace(features.words, values=values)))
            assert all(torch.equal(before[name], after[name]) for name in before)
            assert not any(torch.equal(told_before[name], told_after[name]) for name in told_before)

    def test_the_catalogue_does_pool_it(self, batch, features):
        model = small_model().eval()
        noisy = features.texts.clone()
        noisy[batch.review[0]] += 5
        changed = model.catalogue(features).vectors != model.catalogue(replace(features, texts=noisy)).vectors
        assert changed.any(1).nonzero().flatten().tolist() == [batch.item[0]]

    def test_a_row_without_own_review_reads_the_catalogue(self, batch, features):
        model = small_model().eval()
        batch = replace(batch, review=torch.zeros_like(batch.review))
        catalogue = model.catalogue(features)
        users = model.users(batch, features, catalogue)
        expected = users @ catalogue.vectors.T + catalogue.bias
        found = model.candidate_logits(batch, features, catalogue, users)
        candidates = features.interactions > 0
        assert torch.equal(found[:, candidates], expected[:, candidates])
        assert (found[:, ~candidates] == -torch.inf).all()


class TestTasks:
    def test_texts_are_read_by_the_bottoms_that_the_settings_name(self, batch, features):
        alone = {}
        for bottoms in (["vectors"], ["cnn"]):
            model = small_model(bottoms=bottoms, words={"buckets": 50, "width": 6, "filters": 4}).eval()
            alone[bottoms[0]] = model._review(batch, features)
            assert bool(model.over_words) == (bottoms == ["cnn"])
        both = small_model(bottoms=["vectors", "cnn"], words={"buckets": 50, "width": 6, "filters": 4}).eval()
        both.text.load_state_dict(model.text.state_dict())
        both.over_words["cnn"].load_state_dict(model.over_words["cnn"].state_dict())
        expected = both.text(features.vectors(batch.review)) + alone["cnn"]
        torch.testing.assert_close(both._review(batch, features), expected)

    def test_every_loss_reaches_what_it_reads_and_nothing_else(self, batch, features):
        model = small_model(dropout=0.0, id_dropout=0.0)
        reached = {}
        for task in DEFAULT_TASKS:
            model.zero_grad()
            task_losses(model, batch, features)[task.name].backward()
            reached[task.name] = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        others = {
            task.name: {f".{other.name}." for other in DEFAULT_TASKS} - {f".{task.name}."} for task in DEFAULT_TASKS
        }
        for name, parameters in reached.items():
            assert "text.net.0.weight" in parameters, name  # the shared projection learns from every task
            assert not [p for p in parameters for other in others[name] if other in p]
        for name in ("sentiment", "category"):
            assert not [p for p in reached[name] if p.startswith(("user.", "item.", "pair."))]
        assert set().union(*reached.values()) == {name for name, _ in model.named_parameters()}

    def test_in_training_networks_over_words_see_no_review_that_no_label_asks_about(self, batch, features):
        model = small_model(bottoms=["vectors", "cnn"], words={"dropout": 0}, dropout=0.0, id_dropout=0.0)
        asks = torch.arange(ROWS) % 4 == 0
        labels = {name: batch.labels[name].masked_fill(~asks, torch.nan) for name in ("sentiment", "category")}
        batch = replace(batch, labels=batch.labels | labels)
        seen, gradients = [], []
        model.over_words["cnn"].register_forward_hook(lambda module, given, answer: seen.append(len(answer)))
        for training in (True, False):
            model.train(training).zero_grad()
            sum(task_losses(model, batch, features).values()).backward()
            gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
        known = [~batch.labels[name].isnan() for name in ("sentiment", "category")]
        assert seen == [(batch.review[known[0] | known[1]] > 0).sum(), (batch.review > 0).sum()]
        assert seen[0] < seen[1]
        for name, gradient in gradients[1].items():
            torch.testing.assert_close(gradients[0][name], gradient, atol=1e-5, rtol=1e-4)

    def test_the_order_of_tasks_changes_nothing(self, batch, features):
        model = small_model(dropout=0.0, id_dropout=0.0)
        other = small_model(tasks=DEFAULT_TASKS[::-1], dropout=0.0, id_dropout=0.0)
        other.load_state_dict(model.state_dict())
        losses, others = task_losses(model, batch, features), task_losses(other, batch, features)
        assert {name: loss.item() for name, loss in losses.items()} == {n: loss.item() for n, loss in others.items()}

    def test_a_new_task_is_an_entry_of_the_settings(self, batch, features):
        helpful = Task(name="helpful", kind="regression", label="votes", reads=["review"])
        model = small_model(tasks=(*DEFAULT_TASKS, helpful))
        batch = replace(batch, labels=batch.labels | {"votes": torch.arange(ROWS).float()})
        task_losses(model, batch, features)["helpful"].backward()
        assert model.towers["helpful"][0].weight.grad.any()

    def test_missing_labels_neither_count_nor_pull(self, batch, features):
        model = small_model(dropout=0.0, id_dropout=0.0)
        known = ~batch.labels["purchase"].isnan()
        whole, part = (task_losses(model, rows, features)["purchase"] for rows in (batch, batch.where(known)))
        torch.testing.assert_close(whole, part)
        nothing = replace(batch, labels=batch.labels | {"purchase": torch.full((ROWS,), torch.nan)})
        assert "purchase" not in task_losses(model, nothing, features)

    def test_before_learning_it_answers_shares_means_and_popularity(self, batch, features):
        model = MultiTaskModel(ModelSettings(width=8), DEFAULT_TASKS, small_model().sizes).eval()
        labels = {name: label[~label.isnan()] for name, label in batch.labels.items()}
        model.start_from(features, labels)
        assert model.towers["rating"][-1].bias.item() == pytest.approx(labels["rating"].mean().item())
        counts = labels["category"].long().bincount(minlength=4)
        shares = HEADS["multiclass"].activation(model.towers["category"][-1].bias)
        torch.testing.assert_close(shares, (counts + 1) / (ROWS + 4))
        order = model.catalogue(features).bias.argsort()
        assert features.interactions[order].diff().ge(0).all()


class TestTextProjection:
    def test_neither_what_all_vectors_share_nor_their_length_changes_an_answer(self, batch, features):
        """Vectors of a language model that all lie near each other, as those of E5, are read for where they differ."""
        labels = {name: label[~label.isnan()] for name, label in batch.labels.items()}
        told = features.texts.float()
        near = torch.where(told.any(1, keepdim=True), 3 + 0.05 * told, 0)
        found = []
        for texts in (told, near):
            model = small_model(dropout=0.0, id_dropout=0.0).eval()
            model.start_from(one := replace(features, texts=texts), labels)
            found.append(answers(model, batch, one))
        for told_by, near_by in zip(*found, strict=True):
            for name in told_by:
                torch.testing.assert_close(told_by[name], near_by[name], atol=1e-4, rtol=1e-4)

    def test_a_catalogue_whose_texts_are_one_is_read(self, features):
        model = small_model()
        one = torch.where(features.texts.any(1, keepdim=True), features.texts[1], 0)
        with torch.no_grad():
            model.text.centre_on(one[1:])
        assert model.text(one).isfinite().all() and model.text.scale == 1

    def test_a_model_of_before_vectors_were_centred_answers_as_it_did(self, batch, features, tmp_path):
        model, file = small_model().eval(), tmp_path / "best" / MODEL
        save_model(file.parent, model, Metadata(run_id="r", encoder="e", versions={}, epoch=1, metrics={}))
        save_file({n: t for n, t in load_file(file).items() if n not in ("text.mean", "text.scale")}, file)
        again, _ = load_model(file.parent)
        for before, after in zip(answers(model, batch, features), answers(again, batch, features), strict=True):
            for name in before:
                assert torch.equal(before[name], after[name]), name


class TestNewcomers:
    def test_ids_that_were_never_trained_tell_nothing(self, batch, features):
        """An item without interactions and a user without a trained id are what their other inputs say."""
        model = MultiTaskModel(ModelSettings(width=8, text=False), DEFAULT_TASKS, small_model().sizes).eval()
        features = replace(features, **{n: torch.ones_like(features.brand) for n in ("category", "brand", "price")})
        vectors = model.catalogue(features).vectors
        assert not torch.equal(vectors[1], vectors[2])
        assert torch.equal(vectors[ITEMS], vectors[0])
        users = [
            model.users(replace(batch, user=torch.full_like(batch.user, u)), features, model.catalogue(features))
            for u in (1, 2)
        ]
        assert torch.equal(*users)

    def test_without_text_nothing_of_text_is_built(self, batch, features):
        tasks = [task for task in DEFAULT_TASKS if "review" not in task.reads]
        model = small_model(tasks=tasks, text_width=0).eval()
        assert not [name for name in model.state_dict() if name.startswith("text.")]
        task_losses(model, batch, replace(features, texts=None))["next_item"].backward()


@pytest.mark.parametrize("task", [Task(name="rating", kind="regression"), DEFAULT_TASKS[0]], ids=lambda task: task.name)
def test_matrix_factorisation_is_the_smallest_case(task, batch, features):
    """Of ids alone and their product the model is r = mu + b_u + b_i + u . v, and has no other parameters."""
    torch.manual_seed(4)
    model = factorisation(task, USERS, ITEMS + 1, 6)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "mean" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    u, v = (part.unknown + part.own.weight for part in (model.user.id, model.item.id))
    v = torch.where(features.interactions.unsqueeze(1) > 0, v, model.item.id.unknown)
    model.start_from(features, {name: label[~label.isnan()] for name, label in batch.labels.items()})
    loss = task_losses(model, batch, features)[task.name]
    expected = 0.0
    for user, item, stars in zip(batch.user, batch.item, batch.labels["rating"], strict=True):
        if task.name == "rating":
            b_u, b_i = model.factors["rating"].user_bias, model.factors["rating"].item_bias
            expected += (batch.labels["rating"].mean() + b_u[user] + b_i[item] + v[item] @ u[user] - stars) ** 2
        else:
            scores = v @ u[user] + model.item_bias
            expected -= scores[item] - scores[features.interactions > 0].logsumexp(0)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    used = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    ids = {f"{of}.id.{part}" for of in ("user", "item") for part in ("unknown", "own.weight")}
    of_task = {
        "rating": {"means.rating", "factors.rating.user_bias", "factors.rating.item_bias"},
        "next_item": {"item_bias"},
    }
    assert used == ids | of_task[task.name]
    assert {name for name, _ in model.named_parameters()} - used <= {"item_bias"}


@pytest.mark.parametrize(("history", "sharing"), zip(HISTORIES, cycle(SHARINGS), strict=False))
@torch.no_grad()
def test_what_holds_of_each_layer_holds_of_the_model_made_of_them(batch, features, history, sharing, tmp_path):
    """Other rows, less padding, another order of tasks and a file change no answer of any kind of task."""
    cart = Task(name="cart", kind="binary", given="click")
    tasks = (*DEFAULT_TASKS, cart, Task(name="stars", kind="regression", ordinal=True))
    built = {"classes": {"category": 4, "stars": 6}, "history": history, "sharing": sharing, "share_next_item": True}
    built |= {"levels": 2, "bottoms": ["vectors", "bag", "cnn", "rnn"], "words": {"buckets": 50, "width": 6}}
    model, other = (small_model(tasks=order, **built).eval() for order in (tasks, tasks[::-1]))
    other.load_state_dict(model.state_dict())  # every unit is 1
    nothing = torch.zeros(ROWS, 2, dtype=torch.long)  # two places of each list that nobody fills
    lists = {"history": batch.history[:, 2:], "user_reviews": batch.user_reviews, "item_reviews": batch.item_reviews}
    batch = replace(batch, **{name: torch.cat([nothing, values], dim=1) for name, values in lists.items()})

    def told_by(model, rows):
        catalogue = model.catalogue(features)
        users = model.users(rows, features, catalogue)
        ranked = model.candidate_logits(rows, features, catalogue, users)
        return model(rows, features, users) | {"next_item": ranked}

    whole = told_by(model, batch)
    assert whole.keys() == {task.name for task in tasks}
    order = torch.arange(ROWS).flip(0)
    parts = [told_by(model, batch.where(part)) for part in order.split(7)]
    shorter = told_by(model, replace(batch, **lists))
    save_model(tmp_path / "best", model, Metadata(run_id="r", encoder="e", versions={}, epoch=1, metrics={}))
    again, _ = load_model(tmp_path / "best")
    exact = [told_by(one, batch) for one in (other, again)]
    for name, answer in whole.items():
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), answer[order])
        torch.testing.assert_close(shorter[name], answer)
        assert all(torch.equal(told[name], answer) for told in exact), name
