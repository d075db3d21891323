"""Attention within the texts of a packed row, against torch's own on each text alone."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tandemrec.text.packing import batches, packed_attention, padded_batches, runs

HEADS, WIDTH, LENGTHS = 3, 8, [1, 4, 4, 9]


class Looking(torch.nn.Module):
    is_causal = False


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("far", [0, 40, -40])
def test_attention_in_a_packed_row_is_that_of_each_text_alone(dtype, far):
    draw = torch.Generator().manual_seed(0)
    query, key, value = torch.randn((3, 1, HEADS, sum(LENGTHS), WIDTH), generator=draw).to(dtype)
    if far:  # scores of some 4,500, whose powers no float holds; alike in a row, for bfloat16 has three digits of them
        query, key = torch.full_like(query, far), torch.full_like(key, abs(far))

    packed, _ = packed_attention(Looking(), query, key, value, None, packed_runs=runs(LENGTHS))

    start, near = 0, 1e-5 if dtype is torch.float32 else 2e-2
    for length in LENGTHS:
        text = slice(start, start + length)
        alone = F.scaled_dot_product_attention(*(part[:, :, text].float() for part in (query, key, value)))
        torch.testing.assert_close(packed[:, text].transpose(1, 2).float(), alone, rtol=near, atol=near)
        start += length


@pytest.mark.parametrize(
    ("fitting", "room"), [(batches, sum), (padded_batches, lambda lengths: len(lengths) * max(lengths))]
)
def test_a_batch_holds_as_many_texts_as_fit(fitting, room):
    lengths = np.array([7, 3, 3, 40, 3, 9, 12, 3, 3, 3])
    found = list(fitting(lengths, 21))
    assert np.concatenate(found).tolist() == np.argsort(lengths, kind="stable").tolist()
    told = [lengths[batch].tolist() for batch in found]
    assert all(room(batch) <= 21 or len(batch) == 1 for batch in told)
    assert all(room([*batch, after[0]]) > 21 for batch, after in pairwise(told))
