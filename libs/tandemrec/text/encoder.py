"""A language model as a function: texts in, one vector each out; the same vector alone, in a batch and in any order.

Shapes: B windows of texts in a forward pass (a text is one, unless it is long and `long_text` is windows), N their
tokens, W windows in all, H width of the model, D of its vectors.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tandemrec.config import EncoderSettings
from tandemrec.errors import ModelError
from tandemrec.text.families import FAMILIES, checked_dimension
from tandemrec.text.identity import (
    MIXED,
    SHORT,
    Device,
    encoder_identity,
    refuse_missing_gpu,
    resolved_dtype,
    weight_files,
)
from tandemrec.text.packing import ATTENTION, batches, packed_attention, padded_batches, runs
from tandemrec.text.pooling import POOLINGS
from tandemrec.text.prepacked import can_prepack, prepack
from tandemrec.text.rounded import rounded
from tandemrec.text.sources import model_folder, needs_network

SMALLEST_NORM = 1e-12


class Encoder:
    """An encoder of one setting, in memory and ready.

    Attributes:
        identity: hash of all that changes its vectors.
        dimension: D, the width of its vectors.
        family: BERT, RoBERTa, GPT, or the type of a model that is none of them.
        generates: whether the model is a decoder.

    Raises:
        ModelError: the weights are not there or no safetensors, or a setting does not fit the model.
    """

    def __init__(self, settings: EncoderSettings, *, device: Device = "cpu", tokens_per_batch: int = 4096) -> None:
        if not needs_network(settings.model):
            os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.settings, self.device, self.tokens_per_batch = settings, device, tokens_per_batch
        self.identity = encoder_identity(settings, device=device)
        mixed = (dtype := resolved_dtype(settings, device)) == MIXED
        self.dtype: torch.dtype = torch.bfloat16 if mixed else getattr(torch, dtype)
        refuse_missing_gpu(device)
        if device == "cuda" and self.dtype is torch.bfloat16 and not torch.cuda.is_bf16_supported(False):
            raise ModelError(
                f"encoder.dtype is {settings.dtype}, and this GPU does not multiply bfloat16, which auto is on any: "
                "set it to float32"
            )
        self._tokenizer, self._model = self._load(transformers, torch.float32 if mixed else self.dtype)
        self._refuse_long_prefix()
        config = self._model.config
        family = FAMILIES.get(config.model_type)
        self.family = family.name if family else str(config.model_type)
        self.generates = family.generates if family else self._is_causal()
        # Attention in a packed row sees the whole text, not a window of it.
        self._family = None if getattr(config, "use_sliding_window", False) else family
        if self._family is not None:
            transformers.AttentionInterface.register(ATTENTION, packed_attention)
            self._model.set_attn_implementation(ATTENTION)
        self._exact = self._model if mixed else None  # for short texts
        if mixed:
            self._model = rounded(self._model, exact_norms=device == "cpu")
        if device == "cpu" and self.dtype is torch.bfloat16 and can_prepack():
            prepack(self._model, tokens_per_batch)
        self._first_position = self._family.first_position(config) if self._family else 0
        self.dimension = checked_dimension(settings, config)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of texts, shape (len(texts), D), float32, in the order of the texts.

        A text of nothing but white space, or without a token (those that frame a text count), has the zero vector. One
        longer than max_length tokens is cut, or averaged over windows, each with the weight of its tokens: with mean
        pooling, the mean of all tokens. The prefix is in the first window alone.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        told = np.array([i for i, text in enumerate(texts) if text and not text.isspace()], dtype=np.int64)
        if len(told) == 0:
            return vectors
        windows, owner_W = self.tokenise([self.settings.prefix + texts[i] for i in told])
        if not windows:
            return vectors
        lengths_W = np.array([len(ids) for ids in windows])
        pooled_WH = np.empty((len(windows), self._model.config.hidden_size), np.float32)
        with torch.inference_mode():
            fitting = batches if self._family else padded_batches
            for model, places in self._models(lengths_W):
                for chosen in fitting(lengths_W[places], self.tokens_per_batch):
                    tokens = [windows[i] for i in places[chosen]]
                    pooled_WH[places[chosen]] = self._forward(model, tokens).cpu().numpy()
        owners, starts = np.unique(owner_W, return_index=True)
        sums = np.add.reduceat(pooled_WH * lengths_W[:, None].astype(np.float32), starts)
        means = (sums / np.add.reduceat(lengths_W, starts)[:, None])[:, : self.dimension]
        if self.settings.normalise:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), SMALLEST_NORM)
        vectors[told[owners]] = means
        return vectors

    def tokenise(self, texts: list[str]) -> tuple[list[list[int]], np.ndarray]:
        """The windows of texts as they enter the model, none of them empty, and the position of the text of each."""
        windowed = self.settings.long_text == "windows"
        encoded = self._tokenizer(
            texts,
            truncation=True,
            max_length=self.settings.max_length,
            padding=False,
            return_overflowing_tokens=windowed,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        owner = encoded["overflow_to_sample_mapping"] if windowed else range(len(texts))
        told = [(ids, text) for ids, text in zip(encoded["input_ids"], owner, strict=True) if ids]
        return [ids for ids, _ in told], np.array([text for _, text in told], dtype=np.int64)

    def _refuse_long_prefix(self) -> None:
        """Refuse a prefix that leaves no room for a text: all texts would have one vector."""
        settings = self.settings
        framed = len(self._tokenizer(settings.prefix)["input_ids"]) if settings.prefix else 0
        if framed >= settings.max_length:
            raise ModelError(
                f"encoder.prefix takes {framed} tokens with those that frame a text, expected fewer than the "
                f"{settings.max_length} of encoder.max_length"
            )

    def _models(self, lengths_W: np.ndarray) -> list[tuple[Any, np.ndarray]]:
        """Which model encodes which windows. The length of each decides, so what else is in a batch does not."""
        if self._exact is None:
            return [(self._model, np.arange(len(lengths_W)))]
        short_W = lengths_W < SHORT
        return [(self._exact, np.flatnonzero(short_W)), (self._model, np.flatnonzero(~short_W))]

    def _load(self, transformers: Any, dtype: torch.dtype) -> tuple[Any, Any]:
        folder = model_folder(self.settings.model)
        weight_files(folder)
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
            model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, dtype=dtype, **local)
        except Exception as error:
            raise ModelError(f"encoder {self.settings.model} in {folder}: {' '.join(str(error).split())}") from error
        if model.config.is_encoder_decoder:
            raise ModelError(f"encoder {self.settings.model} is an encoder-decoder, expected an encoder or a decoder")
        if self.settings.long_text == "windows" and not tokenizer.is_fast:
            raise ModelError(
                f"encoder.long_text is windows, which the tokeniser of {self.settings.model} cannot make (it has no "
                "tokenizer.json), expected cut"
            )
        model.config.use_cache = False
        tokenizer.truncation_side = "right"
        return tokenizer, model.eval().to(self.device)

    def _is_causal(self) -> bool:
        return any(getattr(layer, "is_causal", False) for layer in self._model.modules())

    def _forward(self, model: Any, tokens: list[list[int]]) -> Tensor:
        """Shape (B, H), float32, of windows that come sorted by length."""
        lengths = [len(ids) for ids in tokens]
        hidden_NH = (self._packed if self._family else self._padded)(model, tokens, lengths)
        return POOLINGS[self.settings.pooling](hidden_NH.float(), torch.tensor(lengths, device=self.device))

    def _packed(self, model: Any, tokens: list[list[int]], lengths: list[int]) -> Tensor:
        row = np.concatenate(tokens)
        positions = np.concatenate([np.arange(length) for length in lengths]) + self._first_position
        hidden: Tensor = model(
            input_ids=torch.from_numpy(row).to(self.device).unsqueeze(0),
            position_ids=torch.from_numpy(positions).to(self.device).unsqueeze(0),
            packed_runs=runs(lengths),
        ).last_hidden_state
        return hidden.squeeze(0)

    def _padded(self, model: Any, tokens: list[list[int]], lengths: list[int]) -> Tensor:
        mask_BL = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
        ids_BL = torch.zeros(mask_BL.shape, dtype=torch.int64)
        ids_BL[mask_BL] = torch.from_numpy(np.concatenate(tokens))
        mask_BL = mask_BL.to(self.device)
        hidden: Tensor = model(input_ids=ids_BL.to(self.device), attention_mask=mask_BL.long()).last_hidden_state
        return hidden[mask_BL]
