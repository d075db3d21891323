"""Which texts need a vector, and a text that no encoder can take."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tandemrec.config import EncoderSettings
from tandemrec.text.encoder import Encoder
from tandemrec.text.packing import batches, packed_attention, runs
from tandemrec.text.pending import encode_each, one_each, vector_column
from tandemrec.text.sources import model_folder


def test_one_row_a_text_and_known_where_any_row_says_so():
    rows = pa.table({"text_hash": ["c", "a", "b", "a", "b", "d"], "text": ["C", "A", None, "A", "B", None]})
    assert one_each(rows).select(["text_hash", "known"]).to_pylist() == [
        {"text_hash": "a", "known": False},
        {"text_hash": "b", "known": True},
        {"text_hash": "c", "known": False},
        {"text_hash": "d", "known": True},
    ]
    assert one_each(rows.slice(0, 2))["text"].to_pylist() == ["A", "C"]
    assert one_each(rows.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize("poison", [set(), {0}, {6}, {2, 3}, set(range(7))])
def test_a_poison_text_loses_neither_its_batch_nor_its_name(poison):
    def encode(texts):
        if bad := [text for text in texts if int(text) in poison and int(text) % 2]:
            raise ValueError(f"cannot read {bad[0]}")
        return np.array([[float(t), np.nan if int(t) in poison else 1.0] for t in texts], np.float32)

    vectors, errors = encode_each(encode, [str(i) for i in range(7)])
    assert set(errors) == poison
    assert all((f"cannot read {i}" if i % 2 else "not finite") in errors[i] for i in poison)
    if len(poison) == 7:
        assert vectors is None
    else:
        assert vectors.tolist() == [[0, 0] if i in poison else [i, 1] for i in range(7)]


def test_a_text_at_which_the_tokeniser_panics_is_left_out_alone(tmp_path):
    """What Rust code raises then is no Exception. Here its search gives up on a pattern that has too many ways."""
    for file in model_folder("tiny:0").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": "(?:a|aa)+$"}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, tokenizer["pre_tokenizer"]]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    encoder = Encoder(EncoderSettings(model=str(tmp_path), dtype="float32"))
    vectors, errors = encode_each(encoder.encode, ["good", "a" * 60 + "b", "bad"])
    assert list(errors) == [1] and errors[1].startswith("PanicException: ")
    assert vectors.any(axis=1).tolist() == [True, False, True]


@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit])
def test_who_is_told_to_stop_stops(ends):
    def encode(texts):
        raise ends

    with pytest.raises(ends):
        encode_each(encode, ["good", "bad"])


def test_vectors_enter_arrow_as_they_are():
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    column = vector_column(vectors)
    assert column.to_pylist() == vectors.tolist()
    assert column.flatten().to_numpy(zero_copy_only=True).ctypes.data == vectors.ctypes.data


LENGTHS = [3, 5, 5, 9]


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    row, _ = packed_attention(nn.Identity(), query, key, value, None, packed_runs=runs(LENGTHS), is_causal=False)
    return row


def test_attention_of_a_bfloat16_row_is_that_of_each_text_alone():
    states = torch.randn(3, 1, 2, sum(LENGTHS), 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    texts = zip(*(part.float().split(LENGTHS, dim=2) for part in states), strict=True)
    expected = torch.cat([F.scaled_dot_product_attention(*text).transpose(1, 2) for text in texts], dim=1)
    torch.testing.assert_close(_attention(*states).float(), expected, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("score", [200.0, -200.0])  # its exponential overflows, or rounds to nothing
def test_scores_of_any_size_have_weights(score):
    query, key = torch.zeros(2, 1, 2, sum(LENGTHS), 8).bfloat16()
    query[..., 0], key[..., 0] = 1.0, score * 8**0.5
    value = torch.randn(1, 2, sum(LENGTHS), 8, generator=torch.Generator().manual_seed(1)).bfloat16()
    means = [text.mean(2, keepdim=True).expand_as(text) for text in value.float().split(LENGTHS, dim=2)]
    expected = torch.cat(means, dim=2).transpose(1, 2)
    torch.testing.assert_close(_attention(query, key, value).float(), expected, atol=0.02, rtol=0.02)


def test_batches_hold_each_text_once_by_length_and_within_the_budget():
    lengths = np.random.default_rng(0).integers(1, 60, 200)
    found = list(batches(lengths, 100))
    assert sorted(np.concatenate(found)) == list(range(200))
    assert (np.diff(lengths[np.concatenate(found)]) >= 0).all()
    assert all(lengths[batch].sum() <= 100 for batch in found)
    # No batch could have taken the next text too.
    assert all(lengths[a].sum() + lengths[b[0]] > 100 for a, b in pairwise(found))
    assert [len(batch) for batch in batches(np.array([500, 3]), 100)] == [1, 1]
