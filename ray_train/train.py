"""Stage train: one model for all tasks, data-parallel with Ray Train.

After each epoch the workers report with a checkpoint of safetensors and JSON. Ray Train keeps the last ones below
{lake.root}/models/RUN_ID and hands the newest to workers that start again, be it after a crash or because the stage was
interrupted and is run anew. At the end the best model lies in best/ there. With `train.refit` a second model learns
from training and validation rows together for as many epochs as were best, below refit/, and that one is kept.
"""

import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray.train
import torch
from pyarrow import fs
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchTrainer, get_device
from ray.util.queue import Queue

from ray_train.groups import group_of
from tandemrec import console
from tandemrec.config import Settings, parse_settings
from tandemrec.config.sources import SPLITS
from tandemrec.ease import LARGEST
from tandemrec.engines.ray import cpus
from tandemrec.errors import ConfigError, ModelError
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures, Run, finished
from tandemrec.lake.store import address
from tandemrec.learn import workers
from tandemrec.learn.calibration import calibrate, yes_from
from tandemrec.learn.checkpoint import (
    Metadata,
    load_best,
    models_folder,
    restore_checkpoint,
    save_checkpoint,
    save_model,
)
from tandemrec.learn.features import after_validation, load_features, sizes_of
from tandemrec.learn.feeds import TRAIN_VALID, Examples, load_examples
from tandemrec.learn.loop import Data, Progress, Training, fit
from tandemrec.learn.neighbours import learn_neighbours, weigh_neighbours
from tandemrec.learn.new_items import weigh_new_items
from tandemrec.learn.validation import contradictions, refuse_missing_labels, same_for_all
from tandemrec.model import Features, MultiTaskModel, Sizes
from tandemrec.pipeline import run_identity, stage_main
from tandemrec.text.identity import embedding_identity
from tandemrec.text.layers import Cut, upper_weights

READS = (
    *("examples", "item_features", "users_vocabulary", "attributes_vocabulary", "texts_vocabulary", "text_vectors"),
    *("reviews", "text_terms", "synthetic_texts"),
)


def run(settings: Settings) -> Figures:
    """Train and put the best model in its place; the learning curve and what the model is."""
    run_id, lake = run_identity(settings, "train"), Lake.of(settings.lake)
    # What is wrong with the tables is told here, in one line, and not by a worker.
    config, splits, features = looked_at(settings)
    refuse_missing_labels(settings.tasks, splits["train"], splits["valid"], features, settings.train.stop_on)
    for warnings in (contradictions, same_for_all):
        for warning in warnings(settings.tasks, splits["train"]):
            console.warn(warning)
    files, folder = _place(settings, run_id)
    if _has(files, f"{folder}/best"):  # finished before, and asked for again: from the start
        files.delete_dir(folder)
    told = {**config, "threads": _threads(settings)}
    model, progress = _train(settings, models_folder(settings.lake.root, run_id), told)
    model.eval()
    if settings.train.calibrate:
        calibrate(model, splits["valid"], features, seed=settings.seed)
    told_from, weighing = yes_from(model), None
    for task, probability in told_from.items():
        console.line(f"  {task}: yes from a probability of {probability:.2f}")
    if model.neighbours is not None:
        weighing = weigh_neighbours(model, splits["train"], splits["valid"], features, seed=settings.seed)
        console.line(f"  neighbours of items: {weighing}")
    elif settings.model.neighbours and model.sizes.items > LARGEST:
        console.line(f"  neighbours of items: none, for there are {model.sizes.items - 1:,}, more than {LARGEST:,}")
    new_items = None
    if any(task.kind == "next_item" for task in model.tasks):
        new_items = weigh_new_items(model, splits["valid"], features, seed=settings.seed)
    if new_items is not None:
        console.line(f"  items without training interactions: {new_items}")
    if settings.train.refit:
        chosen, refitted = model, f"{models_folder(settings.lake.root, run_id)}/refit"
        model, _ = _train(settings, refitted, told | {"refit_epochs": progress.best_epoch})
        # Fitted on rows that this model has not learned from, which are no longer to be had.
        model.calibration.load_state_dict(chosen.calibration.state_dict())
        if weighing is not None:
            before_test = _splits(lake, settings, config["versions"], [TRAIN_VALID])[TRAIN_VALID]
            learn_neighbours(model, before_test, weighing)
        model.new_items.copy_(chosen.new_items)
    metadata = Metadata(
        run_id=run_id,
        encoder=config["encoder"],
        cut=config["cut"],
        versions=config["versions"],
        epoch=progress.best_epoch,
        metrics=progress.best_metrics,
        refit=settings.train.refit,
    )
    with tempfile.TemporaryDirectory() as local:
        save_model(Path(local) / "best", model, metadata)
        files.create_dir(f"{folder}/best.part")
        fs.copy_files(f"{local}/best", f"{folder}/best.part", destination_filesystem=files)
        files.move(f"{folder}/best.part", f"{folder}/best")
    return {
        "run_id": run_id,
        "encoder": config["encoder"],
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_value": progress.best_value,
        "stop_on": settings.train.stop_on,
        "metrics": progress.best_metrics,
        "curve": progress.curve,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "rows": {split: len(examples) for split, examples in splits.items()},
        "workers": settings.train.workers,
        "refit": settings.train.refit,
        "yes_from": told_from,
        "neighbours": None if weighing is None else asdict(weighing),
        "new_items": None if new_items is None else asdict(new_items),
    }


def still_there(settings: Settings, run: Run) -> bool:
    """Whether the best model of a finished run lies where others look for it."""
    files, folder = _place(settings, run.run_id)
    return _has(files, f"{folder}/best")


def work(config: Mapping[str, Any]) -> None:
    """What each worker does: map the rows, build the model, go on where the last checkpoint is."""
    settings = parse_settings(config["settings"])
    torch.set_num_threads(config["threads"])
    model, data, _ = built(settings, config, seed=settings.seed, device=get_device())
    loop, epochs = settings.train, config.get("refit_epochs")
    if epochs is not None:
        data, loop = before_the_test(settings, config, data), loop.model_copy(update={"max_epochs": epochs})
    fit(model, data, loop, seed=settings.seed, resume=_resume, after_epoch=_report)


def looked_at(settings: Settings) -> tuple[dict[str, Any], dict[str, Examples], Features]:
    """What a training is to be told (settings, sizes, encoder, cut, and versions of what is read), the examples of each
    split, and what is known of items and texts.

    Raises:
        ModelError: the vectors are of another encoder than the one whose last layers are to be learned.
    """
    lake = Lake.of(settings.lake)
    versions = {name: version for name in READS if (version := lake.version(name)) is not None}
    encoder = encoder_of(lake, settings)
    splits = _splits(lake, settings, versions)
    words, cut = settings.model.words_of(settings.tasks), _cut(settings)
    if cut is not None and encoder is not None and encoder != (asked := embedding_identity(settings.embed)):
        raise ModelError(
            f"model.finetune: encoder {cut.encoder.model} is {asked} and the newest vectors are of {encoder}, expected "
            "those of the encoder whose last layers are learned: run embed first"
        )
    terms = settings.model.interest is not None
    features = load_features(lake, encoder=encoder, words=words, cut=cut, terms=terms, versions=versions)
    sizes = sizes_of(lake, features, splits, settings.tasks, versions, cut, settings.model.rows.bins)
    config = {"settings": settings.model_dump(mode="json"), "sizes": asdict(sizes)}
    read = {"encoder": encoder, "cut": None if cut is None else cut.name, "versions": versions}
    return config | read, splits, features


def built(
    settings: Settings, config: Mapping[str, Any], *, seed: int, device: torch.device
) -> tuple[MultiTaskModel, Data, Examples]:
    """A fresh model of the settings, what it learns from, and the test rows.

    Args:
        config: of `looked_at`.
    """
    lake, versions = Lake.of(settings.lake), config["versions"]
    splits = _splits(lake, settings, versions)
    words, cut = settings.model.words_of(settings.tasks), _cut(settings)
    terms = settings.model.interest is not None
    features = load_features(lake, encoder=config["encoder"], words=words, cut=cut, terms=terms, versions=versions)
    features = features.to(device)
    torch.manual_seed(seed)
    model = MultiTaskModel(settings.model, settings.tasks, Sizes(**config["sizes"]))
    if cut is not None and model.encoder is not None:
        model.encoder.layers.load_state_dict(upper_weights(cut))
    data = Data(features=features, train=splits["train"], valid=splits["valid"])
    return model.to(device), data, splits["test"]


def before_the_test(settings: Settings, config: Mapping[str, Any], data: Data) -> Data:
    """To learn from the validation split as well, with nothing left to stop on."""
    rows = _splits(Lake.of(settings.lake), settings, config["versions"], [TRAIN_VALID])[TRAIN_VALID]
    features = data.features if data.valid is None else after_validation(data.features, data.valid)
    return Data(features=features, train=rows, valid=None)


def _resume(training: Training) -> None:
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as directory:
            restore_checkpoint(Path(directory), training)


def _report(training: Training) -> None:
    progress = training.progress
    metrics = {**progress.curve[-1], "best_value": progress.best_value, "best_epoch": progress.best_epoch}
    if workers.rank() > 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as local:
        folder = Path(local) / "checkpoint"
        save_checkpoint(folder, training)
        ray.train.report(metrics, Checkpoint.from_directory(folder))


class Announce(UserCallback):
    """Pass what the first worker reports to the driver: the callback itself runs in Ray Train's controller."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """One message an epoch."""
        self.queue.put(metrics[0])


def _train(settings: Settings, folder: str, config: dict[str, Any]) -> tuple[MultiTaskModel, Progress]:
    """Run the workers to the end, with checkpoints below a folder; the best model, and how training went."""
    train, threads = settings.train, config["threads"]
    above, _, name = folder.rpartition("/")
    resources = {"CPU": threads, **({"GPU": 1} if train.gpu else {})}
    with _progress(settings) as announce:
        trainer = TorchTrainer(
            work,
            train_loop_config=config,
            torch_config=group_of(train),
            scaling_config=ScalingConfig(num_workers=train.workers, use_gpu=train.gpu, resources_per_worker=resources),
            run_config=RunConfig(
                name=name,
                storage_path=address(above),
                checkpoint_config=CheckpointConfig(num_to_keep=train.keep_checkpoints),
                failure_config=FailureConfig(max_failures=train.max_failures),
                callbacks=[announce],
            ),
        )
        try:
            result = trainer.fit()
        except ray.train.WorkerGroupError as error:
            rank, failure = next(iter(error.worker_failures.items()))
            raise ModelError(f"training failed on worker {rank}: {last_line(failure)}") from error
        except ray.train.TrainingFailedError as error:
            raise ModelError(f"training failed: {last_line(error)}") from error
    model = MultiTaskModel(settings.model, settings.tasks, Sizes(**config["sizes"]))
    with result.checkpoint.as_directory() as directory:
        return model, load_best(Path(directory), model)


@contextmanager
def _progress(settings: Settings) -> Iterator[Announce]:
    """A callback whose messages become one line an epoch on the driver's console."""
    queue = Queue(actor_options={"num_cpus": 0})

    def show() -> None:
        while (entry := queue.get()) is not None:
            console.line(_line(entry, settings.train.stop_on))

    reader = threading.Thread(target=show, daemon=True)
    reader.start()
    try:
        yield Announce(queue)
    finally:
        queue.put(None)
        reader.join()
        queue.shutdown()


def _line(entry: Mapping[str, Any], stop_on: str) -> str:
    losses = "  ".join(f"{name} {loss:.3f}" for name, loss in entry["losses"].items())
    held_out = "validation rows learned from too"
    if (value := entry["valid"].get(stop_on)) is not None:
        held_out = f"{stop_on} {value:.4f} (best {entry['best_value']:.4f} in {entry['best_epoch']})"
    return f"  epoch {entry['epoch']:>3}  {held_out}  losses: {losses}  {entry['seconds']:.1f} s"


def last_line(error: BaseException) -> str:
    """What a traceback ends with: the error itself."""
    return ([type(error).__name__, *str(error).strip().splitlines()])[-1].strip()


def encoder_of(lake: Lake, settings: Settings) -> str | None:
    """Whose vectors to read: those of the newest embed run up to the version of the table; None where nothing reads
    text or there is none. A warning says so where that run had other settings of the encoder.

    Raises:
        ModelError: there are texts and no vectors.
    """
    reads_text = settings.model.reads_vectors(settings.tasks)
    texts = lake.info("texts_vocabulary").rows if lake.exists("texts_vocabulary") else 0
    if not reads_text or texts == 0:
        return None
    vectors = lake.version("text_vectors")
    written = (
        run for run in finished(lake, "embed") if vectors is None or run.outputs.get("text_vectors", 0) <= vectors
    )
    embedded = next(written, None)
    if embedded is None:
        raise ModelError(f"the examples refer to {texts:,} texts and there is no finished embed run: run embed first")
    encoder: str = embedded.figures["encoder"]
    asked, its = settings.embed.encoder.model_dump(mode="json"), embedded.settings.get("embed", {}).get("encoder", {})
    if other := [key for key, value in its.items() if asked.get(key) != value]:
        console.warn(
            f"the newest vectors, of {encoder}, were made with other settings ({', '.join(other)}) of embed.encoder, "
            "and are read all the same: run embed first"
        )
    return encoder


def _splits(
    lake: Lake, settings: Settings, versions: Mapping[str, int], parts: Sequence[str] = SPLITS
) -> dict[str, Examples]:
    """With what was made from training reviews where the settings ask for it."""
    synthetic = None if settings.augment is None else versions.get("synthetic_texts")
    return load_examples(lake, version=versions.get("examples"), synthetic=synthetic, parts=parts)


def _cut(settings: Settings) -> Cut | None:
    return Cut.of(settings.model, settings.tasks, settings.embed.encoder)


def _threads(settings: Settings) -> int:
    """Threads of each worker; refuses workers that would wait for ever for cores or GPUs that are not there."""
    train = settings.train
    threads = train.threads_per_worker or max(1, cpus() // train.workers)
    if threads * train.workers > cpus():
        raise ConfigError(
            f"train.workers is {train.workers} with {threads} threads each, expected at most {cpus()} threads in all, "
            "the cores of ray"
        )
    gpus = int(ray.cluster_resources().get("GPU", 0))
    if train.gpu and train.workers > gpus:
        raise ConfigError(f"train.workers is {train.workers} with a GPU each, expected at most {gpus}, the GPUs of ray")
    return threads


def _place(settings: Settings, run_id: str) -> tuple[fs.FileSystem, str]:
    """File system and path of a run's models."""
    files, folder = fs.FileSystem.from_uri(address(models_folder(settings.lake.root, run_id)))
    return files, folder


def _has(files: fs.FileSystem, path: str) -> bool:
    return bool(files.get_file_info(path).type != fs.FileType.NotFound)


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("train", argv)


if __name__ == "__main__":
    sys.exit(main())
