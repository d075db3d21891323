import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import ray
import torch
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from small_lake import ENCODER, small_lake

from ray_train import train
from ray_train.groups import group_of
from tandemrec.config import AugmentSettings, FinetuneSettings, Settings, TrainSettings, parse_settings
from tandemrec.errors import ConfigError, ModelError
from tandemrec.lake import runs
from tandemrec.lake.types import arrow_schema
from tandemrec.learn import Data, fit, load_examples, load_features, load_model, score_examples
from tandemrec.learn.calibration import yes_from
from tandemrec.learn.feeds import TRAIN_VALID, seen_at
from tandemrec.learn.neighbours import Weighing, learn_neighbours
from tandemrec.learn.new_items import NewItems
from tandemrec.metrics import prediction_metrics
from tandemrec.model import MultiTaskModel
from tandemrec.pipeline import run_identity, run_stage
from tandemrec.pipeline.stages import stage
from tandemrec.rank.trained import newest
from tandemrec.text.identity import embedding_identity
from tandemrec.text.layers import Cut, upper_weights

pytestmark = pytest.mark.usefixtures("ray_local")

SOURCE = {"name": "events", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}


def settings_for(root: Path, **of_train) -> Settings:
    return parse_settings(
        {
            "data": {"root": str(root)},
            "lake": {"root": str(root)},
            "sources": [SOURCE],
            "model": {"width": 8, "tower": [8], "experts": 2, "dropout": 0.0, "id_dropout": 0.0},
            "train": {"batch_size": 64, "max_epochs": 4, "patience": 9, "learning_rate": 0.01, "threads_per_worker": 1}
            | of_train,
        }
    )


def told(curve):
    return [{name: entry[name] for name in ("epoch", "losses", "valid")} for entry in curve]


@pytest.fixture(scope="module")
def trained(ray_local, tmp_path_factory):
    """A finished run with one worker: its lake, settings and figures."""
    root = tmp_path_factory.mktemp("lake")
    lake, settings = small_lake(root), settings_for(root)
    return lake, settings, train.run(settings)


def test_figures_and_files(trained):
    lake, settings, figures = trained
    json.dumps(figures, allow_nan=False)
    assert figures["run_id"] == run_identity(settings, "train")
    assert [entry["epoch"] for entry in figures["curve"]] == [1, 2, 3, 4]
    assert set(figures["curve"][0]) == {"epoch", "losses", "valid", "learning_rate", "seconds"}
    values = [entry["valid"]["next_item/ndcg@10"] for entry in figures["curve"]]
    assert figures["best_value"] == max(values) == values[figures["best_epoch"] - 1]
    assert figures["rows"]["train"] == len(load_examples(lake)["train"])
    folder = Path(lake.root) / "models" / figures["run_id"]
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
    assert suffixes == {".json", ".safetensors"}
    assert len(list(folder.glob("*/optimizer.safetensors"))) == settings.train.keep_checkpoints


def test_the_best_model_is_worth_what_the_figures_say(trained):
    lake, _, figures = trained
    model, metadata = load_model(Path(lake.root) / "models" / figures["run_id"] / "best")
    assert (metadata.run_id, metadata.encoder, metadata.epoch) == (figures["run_id"], ENCODER, figures["best_epoch"])
    assert metadata.versions["examples"] == lake.version("examples")
    valid, features = load_examples(lake)["valid"], load_features(lake, encoder=ENCODER)
    known = valid.labels["rating"] == valid.labels["rating"]

    def rmse():
        scores = score_examples(model, valid, features).scores["rating"]
        return ((scores - valid.labels["rating"])[known] ** 2).mean() ** 0.5

    calibrated = rmse()
    for calibration in model.calibration.values():
        calibration.shift.zero_()
        calibration.log_slope.zero_()
    assert calibrated < rmse() == pytest.approx(metadata.metrics["rating/rmse"], abs=1e-5)


def test_two_workers_learn_what_one_does(trained, tmp_path, monkeypatch):
    def weighed(model, *_, **__):  # training has seen every item of the small lake
        model.new_items.fill_(1.5)
        return NewItems(offset=1.5, described=1, without=0.1, reciprocal_rank=0.2)

    monkeypatch.setattr("ray_train.train.weigh_new_items", weighed)
    _, _, alone = trained
    lake = small_lake(tmp_path)
    settings = settings_for(tmp_path, workers=2, max_epochs=2, refit=True)
    run_stage(settings, stage("train"))
    figures = runs.finished(lake, "train")[0].figures
    for entry, expected in zip(figures["curve"], alone["curve"][:2], strict=True):
        assert entry["losses"] == pytest.approx(expected["losses"], abs=1e-3)
        assert entry["valid"]["rating/rmse"] == pytest.approx(expected["valid"]["rating/rmse"], abs=1e-3)
    kept_after_validation_rows(lake, settings, figures)


def kept_after_validation_rows(lake, settings, figures):
    """With `refit` the model that is found is the one that this process alone learns from the rows of both splits."""
    trained = newest(lake)
    model, features = trained.model()
    splits = load_examples(lake, parts=["train", "valid", TRAIN_VALID])
    valid, both = splits["valid"], splits[TRAIN_VALID]
    assert trained.refit and len(trained.examples(TRAIN_VALID)) == len(both)
    assert int(features.interactions.sum()) == (both.labels["next_item"] > 0).sum()
    torch.manual_seed(settings.seed)
    expected = MultiTaskModel(settings.model, settings.tasks, model.sizes)
    loop = settings.train.model_copy(update={"max_epochs": figures["best_epoch"], "workers": 1})
    fit(expected, Data(features=features, train=both, valid=None), loop, seed=settings.seed)
    for (name, tensor), other in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(tensor, other, atol=1e-3, rtol=1e-3, msg=name)
    learn_neighbours(expected, both, Weighing(**figures["neighbours"]))
    had = seen_at(valid, np.arange(len(valid)))
    torch.testing.assert_close(model.neighbours(had), expected.neighbours(had))
    offset = figures["new_items"] and figures["new_items"]["offset"]
    assert float(model.new_items) == (-np.inf if offset is None else offset)
    assert any(calibration.shift for calibration in model.calibration.values())
    assert figures["yes_from"] == pytest.approx(yes_from(model)) and set(figures["yes_from"].values()) != {0.5}


@pytest.mark.slow
def test_texts_that_were_made_are_learned_from_where_they_are_asked_for(tmp_path):
    lake, settings = small_lake(tmp_path), settings_for(tmp_path, max_epochs=1)
    plain = len(load_examples(lake)["train"])
    row = {"review_id": "r1", "text": "good", "method": "crop_shuffle", "similarity": 0.9, "recipe": "r", "run_id": "r"}
    rows = [
        row | {"synthetic_id": f"s{n}", "text_hash": f"t{n}", "text_index": n, "sentiment": 1.0, "stars": 5.0}
        for n in range(1, 8)
    ]
    schema = arrow_schema(lake.table("synthetic_texts"))
    lake.merge("synthetic_texts", pa.Table.from_pylist([{f: r.get(f) for f in schema.names} for r in rows], schema))
    versions = {"examples": lake.version("examples"), "synthetic_texts": lake.version("synthetic_texts")}
    assert len(train._splits(lake, settings, versions)["train"]) == plain
    asked = settings.model_copy(update={"augment": AugmentSettings()})
    figures = train.run(asked)
    assert figures["rows"]["train"] == plain + 7
    assert figures["run_id"] != run_identity(settings, "train")
    _, metadata = load_model(Path(lake.root) / "models" / figures["run_id"] / "best")
    assert metadata.versions["synthetic_texts"] == versions["synthetic_texts"]


def crashing_work():
    """What a worker runs that dies once before it reports its second epoch and once before its third.

    A function inside a function travels whole: workers cannot import this file.
    """

    def work(config):
        report, root = train._report, Path(config["settings"]["lake"]["root"])

        def kept(root):
            """Checkpoints that Ray Train's controller has noted."""
            noted = [json.loads(path.read_text()) for path in root.glob("models/*/checkpoint_manager_snapshot.json")]
            return max((len(each["checkpoint_results"]) for each in noted), default=0)

        def report_or_die(training):
            marker = root / f"died-{training.progress.epoch}"
            if training.progress.epoch in (2, 3) and not marker.exists():
                marker.touch()
                while kept(root) < training.progress.epoch - 1:  # what was reported before has arrived
                    time.sleep(0.05)
                os._exit(1)
            report(training)

        train._report = report_or_die
        train.work(config)

    return work


def test_training_goes_on_after_a_crash_and_when_the_stage_is_run_again(trained, tmp_path, monkeypatch, capsys):
    _, _, undisturbed = trained
    small_lake(tmp_path)
    settings = settings_for(tmp_path, max_failures=1)
    with monkeypatch.context() as patched:
        patched.setattr(train, "work", crashing_work())
        with pytest.raises(ModelError, match="training failed on worker 0"):
            train.run(settings)
    assert (tmp_path / "died-2").exists() and (tmp_path / "died-3").exists()
    capsys.readouterr()
    figures = train.run(settings)
    assert "epoch   1" not in capsys.readouterr().out
    assert told(figures["curve"]) == told(undisturbed["curve"])


def test_a_finished_run_is_known_and_a_forced_one_starts_anew(trained, capsys):
    lake, settings, figures = trained
    run = runs.Run(
        run_id=figures["run_id"],
        stage="train",
        status="done",
        started_at=runs.now(),
        seconds=1.0,
        inputs={},
        outputs={},
        config_hash="",
        code_version="",
    )
    assert train.still_there(settings, run)
    again = train.run(settings)
    assert "epoch   1" in capsys.readouterr().out
    assert told(again["curve"]) == told(figures["curve"])
    shutil.rmtree(Path(lake.root) / "models" / figures["run_id"] / "best")
    assert not train.still_there(settings, run)


@pytest.mark.slow
def test_words_and_upper_layers_are_learned_and_found_again_by_whoever_scores(ray_local, tmp_path):
    settings = settings_for(tmp_path, max_epochs=2, stop_on="sentiment/auc")
    model = {"bottoms": ["vectors", "cnn"], "words": {"buckets": 100}, "finetune": {"layers": 1, "longest": 16}}
    settings = parse_settings(
        settings.model_dump()
        | {"model": settings.model.model_dump() | model, "embed": {"encoder": {"model": "tiny:3", "max_length": 32}}}
    )
    lake = small_lake(tmp_path, encoder=embedding_identity(settings.embed))
    run_stage(settings, stage("train"))
    trained = newest(lake)
    assert "reviews" in trained.inputs
    model, features = trained.model()
    cut = Cut.of(model.settings, model.tasks, settings.embed.encoder)
    assert load_model(Path(lake.root) / "models" / trained.run_id / "best")[1].cut == cut.name
    start = upper_weights(cut)
    learned = model.encoder.layers.state_dict()
    moved = max((learned[name] - start[name]).abs().max().item() for name in start)
    assert 0 < moved < 0.1  # from the encoder's own weights, at a rate of their own
    figures = runs.finished(lake, "train")[0].figures
    valid = trained.examples("valid")
    scores = score_examples(model, valid, features).scores["sentiment"]
    known = ~np.isnan(valid.labels["sentiment"])
    found = prediction_metrics("binary", valid.labels["sentiment"][known], scores[known])
    assert found["auc"] == pytest.approx(figures["metrics"]["sentiment/auc"], abs=1e-5)


class TestRefusals:
    def test_texts_without_vectors(self, tmp_path):
        lake = small_lake(tmp_path)
        shutil.rmtree(lake.path("runs"))
        with pytest.raises(ModelError, match=r"refer to \d+ texts and there is no finished embed run: run embed first"):
            train.run(settings_for(tmp_path))

    def test_vectors_of_other_settings_than_these_are_read_and_it_is_said(self, tmp_path, capsys):
        lake, settings = small_lake(tmp_path), settings_for(tmp_path)
        made = replace(runs.finished(lake, "embed")[0], settings={"embed": settings.embed.model_dump(mode="json")})
        runs.record(lake, made)
        other = settings.embed.encoder.model_copy(update={"prefix": "query: "})
        set_anew = settings.model_copy(update={"embed": settings.embed.model_copy(update={"encoder": other})})
        assert (train.encoder_of(lake, settings), capsys.readouterr().err) == (ENCODER, "")
        assert train.encoder_of(lake, set_anew) == ENCODER
        assert f"the newest vectors, of {ENCODER}, were made with other settings (prefix)" in capsys.readouterr().err

    def test_vectors_of_another_encoder_than_the_one_that_is_learned_along(self, tmp_path):
        small_lake(tmp_path)
        settings = settings_for(tmp_path)
        model = settings.model.model_copy(update={"finetune": FinetuneSettings(layers=1, longest=16)})
        with pytest.raises(ModelError, match=f"the newest vectors are of {ENCODER}, expected those of the encoder"):
            train.run(settings.model_copy(update={"model": model}))

    def test_a_task_without_labels(self, tmp_path):
        small_lake(tmp_path, sentiment=False)
        with pytest.raises(ModelError, match="no training row has a label of sentiment: leave it out of `tasks`"):
            train.run(settings_for(tmp_path))

    def test_more_workers_than_cores(self, tmp_path):
        small_lake(tmp_path)
        with pytest.raises(ConfigError, match=r"train.workers is 4 with 1 threads each, expected at most 2 threads"):
            train.run(settings_for(tmp_path, workers=4))


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_workers_listen_to_this_machine_alone(workers, tmp_path):
    """One has no process group at all."""

    def work() -> None:
        assert torch.distributed.is_initialized() == (workers > 1)
        own = {os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()}
        tables = [Path(f"/proc/self/net/{name}") for name in ("tcp", "tcp6")]
        entries = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
        listening = [entry[1] for entry in entries if entry[3] == "0A" and f"socket:[{entry[9]}]" in own]
        loopback = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
        assert listening and all(address.startswith(loopback) for address in listening), listening

    TorchTrainer(
        work,
        torch_config=group_of(TrainSettings(workers=workers)),
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(storage_path=str(tmp_path)),
    ).fit()


def test_threads_that_wait_do_not_spin_for_long():
    """Read by libgomp when torch is loaded, so it has to stand in the environment of workers too."""

    @ray.remote(num_cpus=0)
    def spins() -> str | None:
        return os.environ.get("GOMP_SPINCOUNT")

    assert ray.get(spins.remote()) == os.environ["GOMP_SPINCOUNT"]


@pytest.mark.slow
def test_a_run_that_was_interrupted_while_it_learned_anew_goes_on_there(ray_local, tmp_path, monkeypatch, capsys):
    small_lake(tmp_path)
    settings = settings_for(tmp_path, refit=True, max_epochs=3)
    train_once, epochs = train._train, []

    def interrupted(settings, folder, config):
        epochs.append(config.get("refit_epochs"))
        if len(epochs) == 2:
            train_once(settings, folder, config | {"refit_epochs": 1})
            raise KeyboardInterrupt
        return train_once(settings, folder, config)

    with monkeypatch.context() as patched:
        patched.setattr(train, "_train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train.run(settings)
    capsys.readouterr()
    figures = train.run(settings)
    said = capsys.readouterr().out
    assert "epoch   1" not in said and said.count("validation rows learned from too") == figures["best_epoch"] - 1
    assert figures["epochs"] == 3 and epochs == [None, figures["best_epoch"]]
