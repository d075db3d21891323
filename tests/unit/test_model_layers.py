"""One contract for every history encoder, sharing layer, tower and network over words."""

import copy
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from tandemrec.config import ModelSettings, WordSettings
from tandemrec.model.heads import HEADS
from tandemrec.model.history import HISTORIES, ConvolutionalHistory
from tandemrec.model.sharing import SHARINGS
from tandemrec.model.text_networks import TEXT_NETWORKS
from tandemrec.model.towers import tower

WIDTH, LENGTH, ROWS = 8, 6, 9
SETTINGS = ModelSettings(width=WIDTH, experts=3, own_experts=2, levels=2, dropout=0.5)


# Parts of one task that another task's answer may depend on: all other parts are the task's alone.
MIXED = {"cross_stitch": ("own.", "units"), "ple": ("levels.0.own.",)}


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
    @pytest.fixture(params=sorted(set(HISTORIES) - {"none"}))
    def layer(self, request):
        torch.manual_seed(1)
        return perturbed(HISTORIES[request.param](WIDTH, LENGTH, 0.5))

    @pytest.fixture(params=["padded", "gaps"])
    def rows(self, request):
        """Items (B, L, D) and which of them are known (B, L): lengths 1 to L, and no history at all; the same with the
        newest, the oldest or one between left out.
        """
        torch.manual_seed(2)
        lengths = torch.tensor([1, 2, 3, 4, 5, 6, 6, 3, 0])
        known = torch.arange(LENGTH) >= (LENGTH - lengths).unsqueeze(1)
        if request.param == "gaps":
            known[range(1, ROWS), [5, 4, 5, 3, 2, 5, 3, 5]] = False
            known[5, 0] = known[4, 4] = False
        return torch.randn(ROWS, LENGTH, WIDTH), known

    def answer(self, layer, rows):
        return layer(*rows)

    def test_what_is_unknown_holds_nothing(self, layer, rows):
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
        if not isinstance(layer, ConvolutionalHistory):  # a maximum may pass one over
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

    def test_a_bag_has_the_means_of_its_words_and_of_its_pairs(self, rows):
        bag = perturbed(TEXT_NETWORKS["bag"](self.WORDS, WIDTH))
        found = bag.found(rows[0] * rows[1], rows[1])
        for row, (words, known) in enumerate(zip(*rows, strict=True)):
            said = words[known].tolist()
            pairs = [1 + (one * 116_049_371 + two) % 30 for one, two in pairwise(said)]
            means = [
                torch.stack([table.weight[number] for number in numbers]).mean(0) if numbers else torch.zeros(6)
                for table, numbers in ((bag.words, said), (bag.pairs, pairs))
            ]
            torch.testing.assert_close(found[row], torch.cat(means))

    def test_a_bag_in_training_leaves_out_whole_words(self, rows):
        bag = TEXT_NETWORKS["bag"](WordSettings(buckets=30, width=6, dropout=0.5), WIDTH).train()
        words = torch.full((400, 1), 3)
        found = bag.found(words, words > 0)[:, :6]
        whole = (found == bag.words.weight[3]).all(1)
        assert ((found == 0).all(1) | whole).all() and 0.4 < whole.float().mean() < 0.6

    def test_the_order_of_words_matters(self, layer, rows):
        words, known = (part[5:7] for part in rows)  # 6 words, no padding
        assert not torch.allclose(layer(words.flip(1), known), layer(words, known))


class TestTowers(Contract):
    @pytest.fixture(params=[[], [WIDTH], [16, 4]], ids=str)
    def layer(self, request):
        torch.manual_seed(9)
        return perturbed(tower(WIDTH, request.param, lambda width: HEADS["multiclass"].last(width, WIDTH), 0.5))

    @pytest.fixture
    def rows(self):
        torch.manual_seed(10)
        return (torch.randn(ROWS, WIDTH),)

    def answer(self, layer, rows):
        return layer(*rows)


class TestSharings(Contract):
    TASKS = ("click", "rating", "sentiment")

    @pytest.fixture(params=sorted(SHARINGS))
    def layer(self, request):
        torch.manual_seed(3)
        return perturbed(SHARINGS[request.param](self.TASKS, SETTINGS))

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

    def test_a_task_reaches_no_part_that_is_another_tasks_alone(self, layer, rows, request):
        mixed = MIXED.get(request.node.callspec.params["layer"], ())
        layer(rows[0], ["click"])["click"].pow(2).sum().backward()
        for name, parameter in layer.named_parameters():
            if not name.startswith(mixed) and any(f".{other}." in name for other in ("rating", "sentiment")):
                assert parameter.grad is None or not parameter.grad.any(), name

    def test_tasks_in_another_order_are_the_same_layer(self, layer, rows, request):
        other = SHARINGS[request.node.callspec.params["layer"]](self.TASKS[::-1], SETTINGS).eval()
        other.load_state_dict(layer.state_dict())
        for task, answer in layer(rows[0], self.TASKS).items():
            assert torch.equal(other(rows[0], self.TASKS)[task], answer)


def test_no_history_has_no_parameters_and_says_nothing():
    layer = HISTORIES["none"](WIDTH, LENGTH, 0.0)
    assert not list(layer.parameters()) and not layer(torch.ones(2, LENGTH, WIDTH), torch.ones(2, LENGTH).bool()).any()


def of_two(name: str, levels: int) -> nn.Module:
    torch.manual_seed(5)
    settings = SETTINGS.model_copy(update={"levels": levels, "own_experts": 1, "experts": 1})
    return perturbed(SHARINGS[name](("a", "b"), settings))


def test_one_level_of_ple_is_customised_gate_control():
    """g_a(x) = softmax(W_a x) over the task's own expert and the shared one; b's expert has no part in it."""
    layer, row = of_two("ple", 1), torch.randn(1, WIDTH)
    normed, level = layer.norm(row), layer.levels[0]
    gate = level.gates["a"](normed).softmax(-1)[0]
    expected = row + gate[0] * level.own["a"][0](normed) + gate[1] * level.shared[0](normed)
    torch.testing.assert_close(layer(row, ["a"])["a"], expected)
    assert "levels.0.shared_gate.weight" not in dict(layer.named_parameters())


def test_the_second_level_of_ple_reads_what_the_first_extracted():
    layer, row = of_two("ple", 2), torch.randn(1, WIDTH)
    normed, (first, second) = layer.norm(row), layer.levels
    of_a, of_b, of_all = first.own["a"][0](normed), first.own["b"][0](normed), first.shared[0](normed)
    gate = first.gates["a"](normed).softmax(-1)[0]
    task = gate[0] * of_a + gate[1] * of_all
    gate = first.shared_gate(normed).softmax(-1)[0]
    shared = gate[0] * of_a + gate[1] * of_b + gate[2] * of_all
    gate = second.gates["a"](task).softmax(-1)[0]
    expected = row + gate[0] * second.own["a"][0](task) + gate[1] * second.shared[0](shared)
    torch.testing.assert_close(layer(row, ["a"])["a"], expected)


def test_cross_stitch_units_mix_the_tasks_networks():
    layer, row = of_two("cross_stitch", 1), torch.randn(1, WIDTH)
    normed, unit = layer.norm(row), layer.units[0]
    expected = row + unit[0, 0] * layer.own[0]["a"](normed) + unit[0, 1] * layer.own[0]["b"](normed)
    torch.testing.assert_close(layer(row, ["a"])["a"], expected)
    fresh = SHARINGS["cross_stitch"](("a", "b", "c"), SETTINGS).units[0]
    torch.testing.assert_close(fresh, torch.full((3, 3), 0.05) + 0.85 * torch.eye(3))


def test_a_gate_chooses_experts_for_its_task_alone():
    torch.manual_seed(5)
    layer = perturbed(SHARINGS["mmoe"](("a", "b"), SETTINGS))
    row = torch.randn(1, WIDTH)
    before = layer(row, ["a", "b"])
    with torch.no_grad():
        layer.gates["a"].weight.zero_()
    after = layer(row, ["a", "b"])
    assert torch.equal(after["b"], before["b"])
    normed = layer.norm(row)
    mean = sum(expert(normed) for expert in layer.experts) / 3
    torch.testing.assert_close(after["a"], row + mean)
