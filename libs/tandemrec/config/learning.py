"""Settings of the model, its tasks and the training loop."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from tandemrec.config.base import Section
from tandemrec.config.interest import InterestSettings
from tandemrec.config.preparing import Choice

Kind = Literal["binary", "multiclass", "regression", "next_item"]
Reads = Literal["user", "item", "review", "row"]
Bottom = Literal["vectors", "bag", "cnn", "rnn"]

METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("accuracy", "precision", "recall", "f1", "f1_macro", "auc", "log_loss"),
    "multiclass": ("accuracy", "precision", "recall", "f1", "log_loss"),
    "regression": ("rmse", "mae"),
    "next_item": ("hr", "recall", "ndcg", "mrr"),
}


class Task(Section):
    """One thing the model learns to predict.

    `label` is the column of the examples that holds its labels; null there means that the row says nothing about
    this task. `reads` is what the task may see: recommendation tasks read user and item as of the event, text tasks
    the review's own vector, tasks of tabular data the columns of the row. A task that predicts what a user does can
    never read the review that says it.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="unique; stands in metrics and predictions")
    kind: Kind = Field(description="of answer: yes or no, one of some classes, a number, or a ranking of all items")
    label: str = Field(default="", description="default: the task's name")
    reads: list[Reads] = Field(default=["user", "item"], min_length=1, description="what the task may see")
    weight: float = Field(default=1.0, gt=0, description="of its loss, before train.balance")
    given: str = Field(
        default="",
        description="binary only: a binary task that has to come true first; this one's probability is that of both, "
        "learned over every row that was shown (ESMM)",
    )
    ordinal: bool = Field(
        default=False, description="regression on whole numbers from 0 only: learned as ordered steps"
    )
    negatives: int | None = Field(
        default=None,
        ge=1,
        description="next_item only: items drawn in each step in place of the whole catalogue; for large catalogues",
    )

    @property
    def column(self) -> str:
        return self.label or self.name

    @property
    def head(self) -> str:
        """What stands on the tower: the kind's own head, or the one of ordered steps."""
        return "ordinal" if self.ordinal else self.kind

    @property
    def counts_classes(self) -> bool:
        """Whether the number of outputs follows from the largest label."""
        return self.head in ("multiclass", "ordinal")

    @model_validator(mode="after")
    def _options_fit(self) -> "Task":
        for option, kind in (("given", "binary"), ("ordinal", "regression"), ("negatives", "next_item")):
            if getattr(self, option) and self.kind != kind:
                raise ValueError(f"{option} is {getattr(self, option)!r} of a {self.kind} task, expected kind {kind}")
        return self

    @model_validator(mode="after")
    def _reads_fit(self) -> "Task":
        reads = set(self.reads)
        if len(reads) > 1 and (alone := reads & {"review", "row"}):
            raise ValueError(f"reads {self.reads}: {min(alone)} is read alone, not beside user and item")
        if self.kind == "next_item" and reads != {"user"}:
            raise ValueError(f"reads {self.reads}: next_item ranks all items for a user, expected ['user']")
        if reads == {"item"} or (reads == {"user"} and self.kind != "next_item"):
            raise ValueError(f"reads {self.reads}: expected ['user', 'item'], ['review'] or ['row']")
        return self


DEFAULT_TASKS = (
    Task(name="next_item", kind="next_item", reads=["user"]),
    Task(name="click", kind="binary"),
    Task(name="purchase", kind="binary"),
    Task(name="rating", kind="regression"),
    Task(name="sentiment", kind="binary", reads=["review"]),
    Task(name="category", kind="multiclass", reads=["review"]),
)


def check_given(tasks: Sequence[Task]) -> None:
    """Refuse a task that is to follow on something that is no such task.

    Raises:
        ValueError: names both.
    """
    by_name = {task.name: task for task in tasks}
    for task in tasks:
        before = by_name.get(task.given)
        if task.given and (before is None or before.kind != "binary" or before.reads != task.reads):
            fit = [t.name for t in tasks if t.kind == "binary" and t.reads == task.reads and t is not task]
            raise ValueError(
                f"tasks.{task.name}.given is {task.given!r}, expected a binary task of these inputs: {fit}"
            )
        passed = {task.name}
        while before is not None:
            if before.name in passed:
                raise ValueError(f"tasks.{task.name}.given leads back to {before.name}, expected an order")
            passed.add(before.name)
            before = by_name.get(before.given)


def without_labels(tasks: Sequence[Task], labelled: Mapping[str, int]) -> str | None:
    """What is to be said of the tasks that no training row has a label of, and what to do; None where there is none.

    Args:
        labelled: how many training rows have a label, by the column that holds it.
    """
    missing = [task for task in tasks if not labelled.get(task.column)]
    if not missing:
        return None
    names = ", ".join(task.name for task in missing)
    said = f"no training row has a label of {names}: leave {'it' if len(missing) == 1 else 'them'} out of `tasks`"
    if choices := ", ".join(task.name for task in missing if task.column in get_args(Choice)):
        said += (
            f"; {choices}: told by what was chosen of what was shown, which takes view events (map an event type to "
            "view in sources.NAME.event_types) or examples.negatives in their place, and events of the choice itself, "
            "with its name in examples.choices"
        )
    return said


class WordSettings(Section):
    """The words that networks over text read. Hashed: there is no vocabulary that another split's texts or a later
    run could change, and a word's number is the same for ever.
    """

    buckets: int = Field(default=32_768, ge=16, le=2**24, description="two words may share one")
    longest: int = Field(default=256, ge=8, le=8192, description="words of a text that are read; what follows is not")
    width: int = Field(default=64, ge=4, le=4096, description="of a word's vector")
    filters: int = Field(default=96, ge=1, le=4096, description="cnn: of each height; rnn: states of each direction")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="bag: of whole words too; from few texts .8 was best")


class FinetuneSettings(Section):
    """The encoder's last layers learned along, for tasks that read a review; what is below them stays as it is.

    What the lower layers make of each review is computed once a node and kept there: width x 2 bytes a token.
    """

    layers: int = Field(default=1, ge=1, le=48, description="the last ones, in the train step")
    longest: int = Field(default=128, ge=8, le=8192, description="tokens of a review that are read")
    learning_rate: float = Field(default=1e-4, gt=0, description="of these layers; train.learning_rate is of the rest")


class RowSettings(Section):
    """How the columns of tabular data become a vector."""

    bins: int = Field(default=48, ge=1, le=1024, description="of a number: quantiles of the training rows")
    width: int = Field(default=16, ge=1, le=1024, description="of each column's vector")
    members: int = Field(
        default=1,
        ge=1,
        le=64,
        description="of an ensemble in the model, which share all but a factor for each input: as many times the work",
    )


INPUTS: dict[str, dict[str, bool | None]] = {
    "collaborative": {"user_id": True, "item_id": True, "text": False, "attributes": False, "interest": None},
    "content": {"user_id": False, "item_id": False, "text": True, "attributes": True},
    "hybrid": {"user_id": True, "item_id": True, "text": True, "attributes": True},
}


class ModelSettings(Section):
    """What the model reads, and what its parts are."""

    inputs: Literal["collaborative", "content", "hybrid"] | None = Field(
        default=None,
        description="one word for user_id, item_id, text and attributes: ids alone (which are without interest as "
        "well), what is said and known of things alone, or both; null: as each of them says",
    )
    sharing: Literal["none", "shared_bottom", "mmoe", "ple", "cross_stitch"] = Field(
        default="mmoe",
        description="what stands between the representations and the towers of the tasks",
    )
    share_next_item: bool = Field(
        default=False,
        description="whether next item takes part in `sharing`: the catalogue is asked with the user's vector and what "
        "the shared layers make of it; else with the user's vector alone",
    )
    experts: int = Field(default=4, ge=1, le=64, description="that all tasks share; of mmoe and ple")
    own_experts: int = Field(default=1, ge=1, le=64, description="of each task; of ple")
    levels: int = Field(default=1, ge=1, le=8, description="of ple, where 1 is CGC, and of cross_stitch")
    width: int = Field(default=64, ge=4, le=4096, description="D: of every representation")
    pairs: Literal["network", "product"] = Field(
        default="network",
        description="what a task on a user and an item makes of them: networks beside u . v + b_u + b_i, or that alone",
    )
    tower: list[Annotated[int, Field(ge=1)]] = Field(default=[64], description="hidden widths of each task's tower")
    history: Literal["none", "mean", "mlp", "cnn", "rnn", "attention"] = Field(
        default="mean",
        description="what reads the items of a user's history; mean: a weight a place; cnn: Caser's horizontal filters "
        "alone",
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="in training: share of hidden values left out, and of items of histories"
    )
    user_id: bool = Field(default=True, description="a learned vector a user beside history and text")
    item_id: bool = Field(default=True, description="a learned vector an item beside attributes and text")
    id_dropout: float = Field(default=0.1, ge=0, lt=1, description="share of id vectors hidden in training: new items")
    neighbours: int = Field(
        default=200,
        ge=0,
        le=4096,
        description="of each item, that are added to the next-item scores of whoever has had it: a linear "
        "autoencoder over training (EASE), weighed in validation, the last items most; none for 0, without item_id, "
        "and in catalogues of more than 16,000 items",
    )
    text: bool = Field(default=True, description="reviews and descriptions as inputs of users and items")
    text_scale: float = Field(
        default=1,
        gt=0,
        description="root mean square length of the encoder's vectors as they are read, their mean subtracted: the "
        "smaller, the more slowly texts are learned from, which helps where they are few and rows are too",
    )
    attributes: bool = Field(
        default=True, description="category, brand, price and what `examples.attributes` names as inputs of items"
    )
    bottoms: list[Bottom] = Field(
        default=["vectors"],
        min_length=1,
        description="what tasks that read a review read of it, added up: the encoder's vector, networks over its words",
    )
    words: WordSettings = WordSettings()
    interest: InterestSettings | None = Field(
        default=None, description="of users: terms that their last reviews name (stage profiles); null: not read"
    )
    rows: RowSettings = RowSettings()
    finetune: FinetuneSettings | None = Field(
        default=None, description="of the encoder whose vectors text tasks read; null: its vectors as they are"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, given: Any) -> Any:
        meant = INPUTS.get(given.get("inputs") or "", {}) if isinstance(given, dict) else {}
        for name, value in meant.items():
            if given.get(name, value) != value:
                raise ValueError(f"inputs is {given['inputs']} and {name} {given[name]}, expected one of the two only")
        return {**given, **meant} if meant else given

    @model_validator(mode="after")
    def _parts_fit(self) -> "ModelSettings":
        if len(set(self.bottoms)) < len(self.bottoms):
            raise ValueError(f"bottoms is {self.bottoms}, expected each once")
        if self.share_next_item and self.pairs == "product":
            raise ValueError("share_next_item is true and pairs product, which shares nothing, expected network")
        if self.finetune is not None and "vectors" not in self.bottoms:
            raise ValueError(f"finetune is set and bottoms is {self.bottoms}, expected vectors in it")
        return self

    def words_of(self, tasks: Iterable[Task]) -> WordSettings | None:
        """What to read of words; None where no task does."""
        read = any("review" in task.reads for task in tasks) and set(self.bottoms) - {"vectors"}
        return self.words if read else None

    def finetune_of(self, tasks: Iterable[Task]) -> FinetuneSettings | None:
        """What to learn of the encoder; None where no task reads a review."""
        return self.finetune if any("review" in task.reads for task in tasks) else None

    def reads_vectors(self, tasks: Iterable[Task]) -> bool:
        """Whether users, items or a task read the encoder's vectors."""
        return self.text or ("vectors" in self.bottoms and any("review" in task.reads for task in tasks))

    @model_validator(mode="after")
    def _something_is_read(self) -> "ModelSettings":
        if not (self.item_id or self.text or self.attributes):
            raise ValueError(
                "item_id, text and attributes are all false, expected one: nothing would be known of items"
            )
        if not (self.user_id or self.text or self.history != "none" or self.interest is not None):
            raise ValueError(
                "user_id and text are false, history is none and interest null: nothing would be known of users"
            )
        return self


class BalanceSettings(Section):
    """How the losses of the tasks become one step. All but the first three compute each task's gradient alone."""

    method: Literal["fixed", "uncertainty", "dwa", "gradnorm", "pcgrad", "cagrad", "mgda"] = Field(
        default="fixed", description="fixed: the losses times their weights, added; the others: docs/multitask.md"
    )
    temperature: float = Field(default=2.0, gt=0, description="of dwa: the higher, the nearer to equal weights")
    alpha: float = Field(default=1.5, ge=0, description="of gradnorm: how strongly tasks are held to one pace")
    rate: float = Field(default=0.025, gt=0, description="of gradnorm: learning rate of the logarithms of the weights")
    radius: float = Field(
        default=0.5, ge=0, lt=1, description="of cagrad: c, how far from the mean gradient a step may be"
    )


class MixupSettings(Section):
    """Each text with a label is learned from together with another of its batch: both inputs and both losses mixed by
    shares drawn from Beta(alpha, alpha). Off unless it is set.
    """

    alpha: float = Field(
        default=0.4, gt=0, le=100, description="the smaller, the nearer a mixture is to one of the two"
    )
    where: Literal["vectors", "hidden"] = Field(
        default="vectors",
        description="what is mixed: the vectors of texts (of networks over words, what they make of a text), or what "
        "the shared layers make of them",
    )


class TrainSettings(Section):
    """The training loop."""

    workers: int = Field(default=1, ge=1, description="processes of Ray Train that share the rows of each step")
    gpu: bool = Field(default=False, description="one for each worker")
    threads_per_worker: int | None = Field(default=None, ge=1, description="default: cores of ray / workers")
    batch_size: int = Field(default=512, ge=1, description="rows in one step over all workers together")
    accumulate: int = Field(default=1, ge=1, description="parts of a worker's rows, one after the other: saves memory")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="of activations; weights stay float32"
    )
    max_epochs: int = Field(
        default=30,
        ge=1,
        description="passes over the training rows, at most; see patience. compare and transfer make all",
    )
    balance: BalanceSettings = BalanceSettings()
    mixup: MixupSettings | None = Field(default=None, description="of tasks that read a review")
    history: Literal["before", "around"] = Field(
        default="before",
        description="what a training row of next item knows of its user: what came before it, or what came nearest to "
        "it of all training interactions: for users who have few",
    )
    optimizer: Literal["adam", "sgd"] = Field(default="adam", description="adam: AdamW; sgd: without momentum")
    learning_rate: float = Field(default=2e-3, gt=0, description="of the optimizer")
    weight_decay: float = Field(default=0.0, ge=0, description="of the optimizer, for all weights of the model")
    clip_norm: float = Field(default=5.0, gt=0, description="a longer gradient is cut to this length before the step")
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="what is validated and kept is the running average of the weights, each step this share of the old "
        "one: .995 is the mean of some 200 steps; 0: the weights themselves",
    )
    stop_on: str = Field(
        default="next_item/ndcg@10",
        description="TASK/METRIC of the validation split; higher is better, but for log_loss, rmse and mae",
    )
    patience: int = Field(default=4, ge=1, description="epochs without a better value before training stops")
    refit: bool = Field(
        default=False,
        description="once the best epoch is known, learn anew from training and validation rows together for as many "
        "epochs, and keep that model; baselines do the same",
    )
    calibrate: bool = Field(
        default=True,
        description="after training, a shift and a slope of each task's answers, and what each class weighs where one "
        "is told (for the best macro-F1), fitted on the validation split",
    )
    keep_checkpoints: int = Field(default=2, ge=1, description="the last ones stay, to go on from after a crash")
    max_failures: int = Field(default=1, ge=0, description="times Ray starts the workers again after a crash")

    @model_validator(mode="after")
    def _batch_divides(self) -> "TrainSettings":
        if self.batch_size % self.workers:
            raise ValueError(
                f"batch_size is {self.batch_size}, expected a multiple of workers, which is {self.workers}"
            )
        return self
