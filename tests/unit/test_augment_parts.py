"""How texts are made by cropping, and which of those that are made pass."""

import time
import unicodedata

import numpy as np
import pytest

from tandemrec.augment import Probes, cosines, crop_and_shuffle
from tandemrec.augment.crop import clauses


class TestCrop:
    def test_clauses_end_with_their_signs_in_english_and_in_chinese(self):
        assert clauses("Good sound, 3.5 of 5. Would buy again!") == ["Good sound,", "3.5 of 5.", "Would buy again!"]
        assert clauses("音质很好，包装差。不买了") == ["音质很好，", "包装差。", "不买了"]

    def test_a_long_run_of_signs_is_read_once(self):
        started = time.process_time()
        assert clauses("." * 50_000 + "a") == ["." * 50_000 + "a"] and clauses("... ,a")[0] == "..."
        assert time.process_time() - started < 1

    def test_chinese_is_cut_as_it_is_cleaned(self):
        """NFKC makes ASCII of its signs, but for 。, and nobody writes a space behind them; some write spaces alone."""
        said = unicodedata.normalize("NFKC", "音质很好，值得买！快递慢？3.5寸，要1,299元；iPhone能用，再见……")
        assert clauses(said) == ["音质很好,", "值得买!", "快递慢?", "3.5寸,", "要1,299元;", "iPhone能用,", "再见......"]
        assert clauses("质量很好 值得买 iPhone 也行") == ["质量很好", "值得买 iPhone 也行"]
        made = {crop_and_shuffle("很好,值得买,快递慢", 0.6, np.random.default_rng(seed)) for seed in range(20)}
        assert made == {"很好,值得买,", "值得买,很好,", "值得买,快递慢", "快递慢 值得买,"}

    @pytest.mark.parametrize("text", ["One, two. Three! Four; five.", "音质很好，包装差。不买了！退货。", "alone", " "])
    def test_a_run_of_clauses_in_another_order(self, text):
        parts, seen = clauses(text), set()
        for seed in range(40):
            made = crop_and_shuffle(text, 0.6, np.random.default_rng(seed))
            if made is None:
                continue
            chosen = clauses(made)
            assert len(chosen) == -(-6 * len(parts) // 10) and made != text
            places = sorted(parts.index(part) for part in chosen)
            assert places == list(range(places[0], places[0] + len(chosen)))
            seen.add(made)
        assert (len(seen) > 5) == (len(parts) > 3) and (seen or len(parts) < 2)

    def test_the_text_itself_is_not_made(self):
        made = {crop_and_shuffle("one, two.", 1.0, np.random.default_rng(seed)) for seed in range(20)}
        assert made == {None, "two. one,"}


class TestFilters:
    def test_cosines_by_hand(self):
        one, other = np.array([[1.0, 0], [1, 1], [0, 0]]), np.array([[1.0, 1], [2, 2], [1, 0]])
        assert cosines(one, other, np.zeros(2)) == pytest.approx([0.5**0.5, 1, 0])
        common = np.array([30.0, -40])
        apart = cosines(one[:2] + common, other[:2] + common, common)
        assert apart == pytest.approx([0.5**0.5, 1]) and cosines(one[2:], other[2:], common).tolist() == [0]

    def test_a_text_that_turned_into_another_class_does_not_pass(self):
        generator = np.random.default_rng(0)
        label = np.repeat([0.0, 1.0], 100)
        vectors = generator.normal(size=(200, 4)) * 0.3 + label[:, None] * [4, 0, 0, 0]
        label[::50] = np.nan
        probes = Probes(vectors, {"sentiment": label, "stars": np.ones(200)}, seed=1)
        turned = vectors + np.where(vectors[:, :1] > 2, -4.0, 4.0) * [1, 0, 0, 0]
        places = np.arange(200)
        assert probes.agree(vectors, places).all()
        assert (probes.agree(turned, places) == np.isnan(label)).all()  # nothing judges what has no label

    def test_to_have_seen_the_source_is_of_no_use(self):
        """Each vector has a dimension of its own, by which a probe that had seen it would know its label."""
        label = np.tile([0.0, 1.0], 30)
        assert (Probes(np.eye(60), {"sentiment": label}, seed=1).of_source["sentiment"] == label).mean() < 0.7

    def test_where_the_probe_errs_about_the_source_too_the_text_passes(self):
        vectors = np.repeat([[-1.0], [1.0]], 50, axis=0)
        label = np.repeat([0.0, 1.0], 50)
        label[0] = 1.0
        probes = Probes(vectors, {"sentiment": label}, seed=1)
        assert probes.of_source["sentiment"][0] == 0
        assert probes.agree(np.array([[-1.0], [1.0]]), np.array([0, 0])).all()
        assert probes.agree(np.array([[1.0]]), np.array([1])).tolist() == [False]
