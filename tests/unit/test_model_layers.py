"""One contract for every history encoder and every sharing layer."""

import copy

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from tandemrec.config import WordSettings
from tandemrec.model.history import HISTORIES
from tandemrec.model.sharing import SHARINGS
from tandemrec.model.text_networks import TEXT_NETWORKS

WIDTH, LENGTH, ROWS = 8, 6, 9


def perturbed(layer: nn.Module) -> nn.Module:
    """No parameter at a value, such as zero, that would hide what it does."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return layer.eval()


class Contract:
    """What every layer does whose forward maps rows to (B, D)."""

    def answer(self, layer, rows):
        """(B, D) of a layer for these rows."""

    def test_shape(self, layer, rows):
        assert self.answer(layer, rows).shape == (ROWS, WIDTH)

    def test_a_row_does_not_depend_on_the_others(self, layer, rows):
        whole = self.answer(layer, rows)
        for row in range(ROWS):
            alone = self.answer(layer, tuple(part[row : row + 1] for part in rows))
            torch.testing.assert_close(alone[0], whole[row])

    def test_gradient_reaches_every_parameter(self, layer, rows):
        (self.answer(layer, rows) ** 2).sum().backward()
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name

    def test_save_and_load_is_bit_exact(self, layer, rows):
        other = copy.deepcopy(layer)
        perturbed(other)
        assert not torch.equal(self.answer(other, rows), self.answer(layer, rows))
        other.load_state_dict(load(save(layer.state_dict())))
        assert torch.equal(self.answer(other, rows), self.answer(layer, rows))


class TestHistories(Contract):
    @pytest.fixture(params=sorted(HISTORIES))
    def layer(self, request):
        torch.manual_seed(1)
        return perturbed(HISTORIES[request.param](WIDTH, LENGTH, 0.5))

    @pytest.fixture
    def rows(self):
        """Items (B, L, D) and which of them are known (B, L): lengths 1 to L, and no history at all."""
        torch.manual_seed(2)
        lengths = torch.tensor([1, 2, 3, 4, 5, 6, 6, 3, 0])
        return torch.randn(ROWS, LENGTH, WIDTH), torch.arange(LENGTH) >= (LENGTH - lengths).unsqueeze(1)

    def answer(self, layer, rows):
        return layer(*rows)

    def test_padding_holds_nothing(self, layer, rows):
        items, known = rows
        noise = torch.where(known.unsqueeze(-1), items, 100.0)
        torch.testing.assert_close(layer(noise, known), layer(items, known))

    def test_less_padding_changes_nothing(self, layer, rows):
        items, known = (part[:5] for part in rows)  # at most 5 items
        torch.testing.assert_close(layer(items[:, 1:], known[:, 1:]), layer(items, known))

    def test_no_history_is_zero(self, layer, rows):
        assert (self.answer(layer, rows)[-1] == 0).all()

    def test_every_known_item_counts(self, layer, rows):
        items, known = rows
        items = items.clone().requires_grad_()
        (layer(items, known) ** 2).sum().backward()
        counts = items.grad.abs().sum(-1) > 0
        if (
            not isinstance(layer, nn.Module) or "Convolutional" not in type(layer).__name__
        ):  # a maximum may pass one over
            assert torch.equal(counts, known)
        assert not (counts & ~known).any()


class TestTextNetworks(Contract):
    WORDS = WordSettings(buckets=30, width=6, filters=5)

    @pytest.fixture(params=sorted(TEXT_NETWORKS))
    def layer(self, request):
        torch.manual_seed(7)
        return perturbed(TEXT_NETWORKS[request.param](self.WORDS, WIDTH))

    @pytest.fixture
    def rows(self):
        """Numbers of words (B, L) and which are known (B, L): lengths 1 to L, and no word at all."""
        torch.manual_seed(8)
        lengths = torch.tensor([1, 2, 3, 4, 5, 6, 6, 3, 0])
        return torch.randint(1, 31, (ROWS, LENGTH)), torch.arange(LENGTH) < lengths.unsqueeze(1)

    def answer(self, layer, rows):
        return layer(*rows)

    def test_padding_holds_nothing_and_less_of_it_changes_nothing(self, layer, rows):
        words, known = rows
        whole = layer(words, known)
        torch.testing.assert_close(layer(torch.where(known, words, 17), known), whole)
        torch.testing.assert_close(layer(words[:5, :5], known[:5, :5]), whole[:5])  # at most 5 words

    def test_no_words_are_zero(self, layer, rows):
        assert (self.answer(layer, rows)[-1] == 0).all()

    def test_the_order_of_words_matters(self, layer, rows):
        words, known = (part[5:7] for part in rows)  # 6 words, no padding
        assert not torch.allclose(layer(words.flip(1), known), layer(words, known))


class TestSharings(Contract):
    TASKS = ("click", "rating", "sentiment")

    @pytest.fixture(params=sorted(SHARINGS))
    def layer(self, request):
        torch.manual_seed(3)
        return perturbed(SHARINGS[request.param](self.TASKS, WIDTH, 3, 0.5))

    @pytest.fixture
    def rows(self):
        torch.manual_seed(4)
        return (torch.randn(ROWS, WIDTH),)

    def answer(self, layer, rows):
        return sum(layer(rows[0], self.TASKS).values())

    def test_the_order_and_company_of_tasks_does_not_matter(self, layer, rows):
        together = layer(rows[0], self.TASKS)
        backwards = layer(rows[0], self.TASKS[::-1])
        for task in self.TASKS:
            assert torch.equal(backwards[task], together[task])
            assert torch.equal(layer(rows[0], [task])[task], together[task])


def test_a_gate_chooses_experts_for_its_task_alone():
    torch.manual_seed(5)
    layer = perturbed(SHARINGS["mmoe"](("a", "b"), WIDTH, 3, 0.0))
    row = torch.randn(1, WIDTH)
    before = layer(row, ["a", "b"])
    with torch.no_grad():
        layer.gates["a"].weight.zero_()
    after = layer(row, ["a", "b"])
    assert torch.equal(after["b"], before["b"])
    normed = layer.norm(row)
    mean = sum(expert(normed) for expert in layer.experts) / 3
    torch.testing.assert_close(after["a"], row + mean)
