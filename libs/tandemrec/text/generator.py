"""A decoder that writes on: prompts in, one text each out; the same one for the same prompt, settings and seed.

Shapes: B prompts of a batch, L tokens so far, V tokens of the vocabulary.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tandemrec.errors import ModelError
from tandemrec.text.identity import Device, refuse_missing_gpu, weight_files
from tandemrec.text.sources import model_folder, needs_network


class Generator:
    """A decoder in memory and ready.

    Args:
        model: as encoder.model.
        max_tokens: of what is written.
        temperature: 0: always the likeliest token.
        top_p: tokens that make up this share of the probability are drawn from.
        batch: prompts at a time. More than one are padded, which changes sums of a model in their last digits.

    Raises:
        ModelError: the weights are not there, the model does not generate, or there is no GPU that it is to be on.
    """

    def __init__(
        self,
        model: str,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        batch: int = 1,
        device: Device = "cpu",
    ) -> None:
        refuse_missing_gpu(device)
        if not needs_network(model):
            os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model, self.max_tokens, self.batch, self.device = model, max_tokens, batch, device
        self._drawn_from: list[Any] = []  # how scores change before a token is drawn; empty: the likeliest is taken
        if temperature > 0:
            warpers = transformers.generation
            self._drawn_from = [warpers.TemperatureLogitsWarper(temperature), warpers.TopPLogitsWarper(top_p)]
        self._tokenizer, self._model = self._load(transformers, model)
        self._room = int(getattr(self._model.config, "max_position_embeddings", 2**30)) - max_tokens
        if self._room < 1:
            raise ModelError(
                f"max_tokens is {max_tokens}, expected fewer than the {self._room + max_tokens} positions that {model} "
                "has"
            )

    def write(self, prompt: str) -> str:
        """What the model goes on with, `max_tokens` at most, in one line; a prompt that leaves no room loses its end.

        A model of chats gets the prompt as a user's turn.
        """
        return self.write_each([prompt], seeds=[0])[0]

    def write_each(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list[str]:
        """The same for several prompts, in batches of like lengths.

        Args:
            seeds: one a prompt, of what is drawn for it: the other prompts change nothing.
        """
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        written = [""] * len(prompts)
        for start in range(0, len(order), self.batch):
            places = order[start : start + self.batch]
            texts = self._batch([prompts[place] for place in places], [seeds[place] for place in places])
            for place, text in zip(places, texts, strict=True):
                written[place] = text
        return written

    def _batch(self, prompts: list[str], seeds: list[int]) -> list[str]:
        fitting = {
            "return_tensors": "pt",
            "padding": len(prompts) > 1,
            "truncation": True,
            "max_length": self._room,
        }
        if self._tokenizer.chat_template:
            # What ends a turn is text where a review says it: nobody's review is to answer, or ask, in its place.
            turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
            asked = self._tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, sanitize_control_tokens=True, **fitting
            )
        else:
            asked = self._tokenizer(prompts, **fitting)
        ids = asked["input_ids"].to(self.device)
        with torch.inference_mode():
            answers = self._model.generate(
                input_ids=ids,
                attention_mask=asked["attention_mask"].to(self.device),
                max_new_tokens=self.max_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
                do_sample=False,
                logits_processor=[*self._drawn_from, _Noise(seeds)] if self._drawn_from else [],
            )
        said = self._tokenizer.batch_decode(answers[:, ids.shape[1] :], skip_special_tokens=True)
        return [" ".join(text.split()) for text in said]

    def _load(self, transformers: Any, model: str) -> tuple[Any, Any]:
        folder = model_folder(model)
        weight_files(folder)
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left", **local)
            found, told = transformers.AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
            )
        except Exception as error:
            raise ModelError(f"generator {model} in {folder}: {' '.join(str(error).split())}") from error
        if missing := sorted(told["missing_keys"]):
            raise ModelError(f"generator {model} has no weights for {missing}, expected a decoder that can write")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
        return tokenizer, found.eval().to(self.device)


class _Noise:
    """Gumbel noise for the scores of each prompt, from a generator of its own: the token with the largest sum is a draw
    from their softmax (Gumbel 1954).
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, ids_BL: Tensor, scores_BV: Tensor) -> Tensor:
        waits_BV = torch.empty(scores_BV.shape)
        for waits_V, generator in zip(waits_BV, self.generators, strict=True):
            waits_V.exponential_(generator=generator)
        return scores_BV - waits_BV.clamp_min(torch.finfo(waits_BV.dtype).tiny).log().to(scores_BV.device)


def filled(template: str, *, keywords: Sequence[str], reviews: Sequence[str], language: str) -> str:
    """The prompt of a template. What users wrote is put in as it is: braces in it stand for nothing."""
    return template.format(
        keywords=", ".join(keywords), reviews="\n".join(f"- {review}" for review in reviews), language=language
    )
