"""What `examples.attributes` names of items, from gold.item_features into the vectors of items."""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_lake import ENCODER, ITEMS, small_lake

from tandemrec.config import ModelSettings
from tandemrec.config.learning import DEFAULT_TASKS, TrainSettings
from tandemrec.lake.types import arrow_schema
from tandemrec.learn import load_examples, load_features, sizes_of
from tandemrec.learn.loop import Data, fit
from tandemrec.model import MultiTaskModel, Sizes

SIZES = {item: item % 4 for item in range(1, ITEMS + 1)}  # 0 unknown
COLOURS = {item: item % 3 for item in range(1, ITEMS + 1)}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Items have an index, size, of 1 to 3, and a one-hot, colour, of 1 and 2; none has anything of nowhere."""
    lake = small_lake(tmp_path_factory.mktemp("attributes"))
    rows = lake.read("item_features").to_pylist()
    for row in rows:
        item = row["item_index"]
        row["attributes"] = {
            "size": [SIZES[item]],
            "colour": [int(value == COLOURS[item]) for value in (1, 2)],
            "nowhere": [],
        }
    lake.overwrite("item_features", pa.Table.from_pylist(rows, arrow_schema(lake.table("item_features"))))
    return lake


@pytest.fixture(scope="module")
def features(lake):
    return load_features(lake, encoder=ENCODER)


def model_of(lake, features, **settings):
    torch.manual_seed(3)
    chosen = ModelSettings(width=8, tower=[8], experts=2, dropout=0, **settings)
    return MultiTaskModel(chosen, DEFAULT_TASKS, sizes_of(lake, features, load_examples(lake), DEFAULT_TASKS))


def test_an_index_and_a_one_hot_are_read_as_the_value_that_an_item_has(lake, features):
    wanted = [[0, 0, 0], *([COLOURS[item], 0, SIZES[item]] for item in range(1, ITEMS + 1))]  # by name: colour, nowhere
    assert features.attributes.tolist() == wanted
    assert sizes_of(lake, features, load_examples(lake), DEFAULT_TASKS).attributes == [3, 1, 4]


def test_a_lake_that_names_none_has_none(tmp_path):
    plain = load_features(small_lake(tmp_path), encoder=ENCODER)
    assert plain.attributes is None


def test_items_are_told_apart_by_them_alone(lake, features):
    """With nothing else told of items, those of the same values have the same vector, and no others do."""
    bare = {name: torch.zeros_like(getattr(features, name)) for name in ("category", "brand", "price")}
    alone = replace(features, **bare)
    model = model_of(lake, alone, text=False, user_id=False, item_id=False)
    splits = load_examples(lake)
    before = model.eval().catalogue(alone).vectors
    assert torch.equal(before[1:], before[1:2].expand(ITEMS, -1))
    loop = TrainSettings(batch_size=64, max_epochs=2, learning_rate=0.02)
    fit(model, Data(features=alone, train=splits["train"], valid=splits["valid"]), loop, seed=1)
    vectors = model.eval().catalogue(alone).vectors
    for one in range(1, ITEMS + 1):
        for other in range(1, one):
            same = (SIZES[one], COLOURS[one]) == (SIZES[other], COLOURS[other])
            assert torch.allclose(vectors[one], vectors[other], atol=1e-6) == same, (one, other)
    told = {item for item in range(1, ITEMS + 1) if SIZES[item] or COLOURS[item]}
    assert set(model.item.described(alone).nonzero()[:, 0].tolist()) == told


def test_a_model_of_before_and_one_that_reads_no_attributes_go_on_without(lake, features):
    model = model_of(lake, features)
    old = asdict(model.sizes)
    del old["attributes"]
    before = MultiTaskModel(model.settings, DEFAULT_TASKS, Sizes(**old)).eval()
    collaborative = model_of(lake, features, inputs="collaborative").eval()
    for reads_none in (before, collaborative):
        assert not any("named" in name for name, _ in reads_none.named_parameters())
        other = replace(features, attributes=torch.zeros_like(features.attributes))
        with torch.no_grad():
            found, changed = (reads_none.catalogue(f).vectors for f in (features, other))
        np.testing.assert_array_equal(found, changed)
