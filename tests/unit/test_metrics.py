import numpy as np
import pytest
from sklearn import metrics as oracle

from tandemrec.metrics import bootstrap_interval, prediction_metrics, ranking_metrics, row_values, standard_error

random = np.random.default_rng(7)


def brute_force(ranks, k):
    """The metrics of one query from their definitions, item by item."""
    found = sorted(rank for rank in ranks if 1 <= rank <= k)
    dcg = sum(1 / np.log2(1 + rank) for rank in found)
    ideal = sum(1 / np.log2(1 + rank) for rank in range(1, min(k, len(ranks)) + 1))
    return {
        "hr": float(bool(found)),
        "recall": len(found) / len(ranks),
        "ndcg": dcg / ideal,
        "mrr": 1 / found[0] if found else 0.0,
    }


def test_ranking_metrics_are_their_definitions_on_many_queries_in_any_order():
    queries = random.integers(100, 140, size=300)
    ranks = np.zeros(300, dtype=np.int64)
    for query in np.unique(queries):
        rows = queries == query
        ranks[rows] = random.permutation(60)[: rows.sum()]  # distinct places; 0 is a miss
    got = ranking_metrics(ranks, queries, [1, 5, 10])
    for k in (1, 5, 10):
        want = [brute_force(ranks[queries == query], k) for query in np.unique(queries)]
        for name in ("hr", "recall", "ndcg", "mrr"):
            np.testing.assert_allclose(got[f"{name}@{k}"], [w[name] for w in want], err_msg=f"{name}@{k}")


def test_ndcg_is_that_of_sklearn():
    scores = random.permutation(50).astype(float)
    relevant = random.choice(50, size=4, replace=False)
    ranks = np.array([1 + (scores > scores[item]).sum() for item in relevant])
    relevance = np.zeros((1, 50))
    relevance[0, relevant] = 1
    got = ranking_metrics(ranks, np.zeros(4, dtype=int), [3, 20])
    for k in (3, 20):
        assert got[f"ndcg@{k}"][0] == pytest.approx(oracle.ndcg_score(relevance, scores[None], k=k))


def test_a_perfect_ranking_has_ones_and_a_ranking_that_misses_all_has_zeros():
    perfect = ranking_metrics(np.array([1, 2, 1]), np.array([0, 0, 1]), [2, 10])
    worst = ranking_metrics(np.array([0, 11, 0]), np.array([0, 0, 1]), [2, 10])
    assert all((values == 1).all() for values in perfect.values())
    assert all((values == 0).all() for values in worst.values())


def by_sklearn(kind, labels, scores):
    """The metrics of classes, of an independent hand."""
    predicted = scores >= 0.5 if kind == "binary" else scores.argmax(axis=1)
    options = {"average": "binary" if kind == "binary" else "macro", "zero_division": 0.0}
    ranked = {}
    if kind == "binary":
        f1_macro = oracle.f1_score(labels, predicted, average="macro", zero_division=0.0)
        ranked = {"auc": oracle.roc_auc_score(labels, scores), "f1_macro": f1_macro}
    classes = range(2 if kind == "binary" else scores.shape[1])
    return ranked | {
        "accuracy": oracle.accuracy_score(labels, predicted),
        "precision": oracle.precision_score(labels, predicted, **options),
        "recall": oracle.recall_score(labels, predicted, **options),
        "f1": oracle.f1_score(labels, predicted, **options),
        "log_loss": oracle.log_loss(labels, np.clip(scores, 1e-15, 1 - 1e-15), labels=classes),
    }


def test_binary_metrics_are_those_of_sklearn():
    labels = random.integers(0, 2, size=200).astype(float)
    scores = np.clip(random.normal(0.3 + 0.3 * labels, 0.2), 0.01, 0.99)
    assert prediction_metrics("binary", labels, scores) == pytest.approx(by_sklearn("binary", labels, scores))


def test_multiclass_metrics_are_those_of_sklearn():
    labels = random.integers(1, 4, size=150)
    scores = random.dirichlet(np.ones(5), size=150)
    found = prediction_metrics("multiclass", labels.astype(float), scores)
    assert found == pytest.approx(by_sklearn("multiclass", labels, scores))


def test_regression_metrics_by_hand():
    assert prediction_metrics("regression", np.array([1.0, 5.0]), np.array([2.0, 2.0])) == pytest.approx(
        {"rmse": 5**0.5, "mae": 2.0}
    )


def test_what_is_undefined_is_left_out_and_what_divides_by_zero_earns_nothing():
    one_class = prediction_metrics("binary", np.ones(3), np.array([0.1, 0.2, 0.3]))
    assert "auc" not in one_class
    assert (one_class["precision"], one_class["recall"], one_class["f1"]) == (0, 0, 0)
    certain_and_wrong = prediction_metrics("binary", np.ones(1), np.zeros(1))
    assert np.isfinite(certain_and_wrong["log_loss"])
    assert prediction_metrics("regression", np.array([]), np.array([])) == {}


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        prediction_metrics("regression", np.array([1.0]), np.array([np.nan]))


def test_intervals_cover_the_true_mean_about_as_often_as_they_say():
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(size=150)
        low, high = bootstrap_interval(values, 200, seed)
        covered += low <= 1.0 <= high
    assert 0.88 <= covered / 200 <= 0.98


@pytest.mark.parametrize("hits", [False, True])
def test_intervals_of_people_with_several_rows_cover_the_true_mean_too(hits):
    """Rows of one person have much in common: taken one by one they are too sure of the mean."""
    together = alone = of_error = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        owner = draw.integers(60, size=240)
        values = draw.normal(size=60)[owner] + 0.5 * draw.normal(size=240)
        if hits:
            values = (values > 0).astype(float)
        mean = 0.5 if hits else 0.0
        low, high = bootstrap_interval(values, 200, seed, owner)
        together += low <= mean <= high
        low, high = bootstrap_interval(values, 200, seed)
        alone += low <= mean <= high
        of_error += abs(values.mean() - mean) <= 1.96 * standard_error(values, owner)
    assert alone / 200 < 0.8 and 0.88 <= together / 200 <= 0.98 and 0.88 <= of_error / 200 <= 0.98


def test_people_with_a_row_each_are_rows():
    values, own = random.normal(size=300), random.permutation(300)
    assert (
        standard_error(values, own)
        == pytest.approx(standard_error(values))
        == pytest.approx(values.std(ddof=1) / 300**0.5)
    )
    low, high = bootstrap_interval(values, 500, 1, own)
    assert (low, high) == pytest.approx(bootstrap_interval(values, 500, 2), abs=0.05)
    assert standard_error(values, np.zeros(300)) < 1e-12


@pytest.mark.parametrize("values", [random.normal(3.0, 2.0, size=2000), random.integers(0, 2, size=2000)])
def test_an_interval_has_the_width_that_theory_gives_and_its_seed_decides_it(values, monkeypatch):
    low, high = bootstrap_interval(values, 1000, 5)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 2000**0.5, rel=0.1)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.02)
    assert bootstrap_interval(values, 1000, 5) == (low, high) != bootstrap_interval(values, 1000, 6)
    monkeypatch.setattr("tandemrec.metrics.interval.DRAWS_AT_ONCE", 5000)  # in chunks
    assert bootstrap_interval(values, 1000, 5) == pytest.approx((low, high))


class TestRowValues:
    """Every metric as a mean over rows, against the metrics themselves."""

    @staticmethod
    def drawn(kind, seed, rows=300):
        draw = np.random.default_rng(seed)
        labels = draw.integers(2 if kind == "binary" else 4, size=rows).astype(np.float32)
        if kind == "multiclass":
            labels[labels == 3] = 5  # 3 is predicted only, 2 never, and 4 is nowhere
            scores = draw.dirichlet(np.ones(6), rows) + 0.5 * np.eye(6)[labels.astype(int)]
            scores[:, [2, 4]] = 0.001
            return labels, scores / scores.sum(1, keepdims=True)
        if kind == "binary":
            return labels, np.round(np.clip(0.3 + 0.3 * labels + draw.normal(0, 0.3, rows), 0.01, 0.99), 1)
        return labels, labels + draw.normal(0, 1, rows)

    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_their_means_are_the_metrics_where_scores_tie_and_classes_are_missing(self, kind):
        labels, scores = self.drawn(kind, 1)
        means = {metric: values.mean() for metric, values in row_values(kind, labels, scores).items()}
        assert means == pytest.approx(by_sklearn(kind, labels, scores), rel=1e-5)

    @pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
    def test_their_spread_is_that_of_the_metric_over_other_rows(self, kind):
        labels, scores = self.drawn(kind, 2)
        draw, again = np.random.default_rng(3), []
        for _ in range(400):
            rows = draw.integers(300, size=300)
            again.append(prediction_metrics(kind, labels[rows], scores[rows]))
        for metric, values in row_values(kind, labels, scores).items():
            spread = np.std([one[metric] for one in again])
            assert values.std() / np.sqrt(300) == pytest.approx(spread, rel=0.12), metric

    def test_one_class_has_no_order_and_no_answer_no_precision(self):
        labels, scores = np.ones(3), np.array([0.1, 0.2, 0.3])
        found = row_values("binary", labels, scores)
        assert "auc" not in found and found.keys() == prediction_metrics("binary", labels, scores).keys()
        assert found["precision"].tolist() == found["recall"].tolist() == found["f1"].tolist() == [0, 0, 0]
        assert row_values("regression", labels[:0], scores[:0]) == {}
