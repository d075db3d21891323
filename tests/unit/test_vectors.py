"""The memory-mapped matrix of text vectors against a dictionary."""

import numpy as np
import pyarrow as pa
import pytest

from tandemrec.errors import TableError
from tandemrec.lake import Lake, vectors
from tandemrec.lake.vectors import vector_matrix


def _vectors(lake: Lake, encoder: str, rows: dict[str, list[float]]) -> None:
    columns = {"text_hash": list(rows), "encoder": [encoder] * len(rows), "vector": list(rows.values())}
    lake.merge("text_vectors", pa.table(columns))


def _vocabulary(lake: Lake, hashes: list[str]) -> None:
    lake.merge("texts_vocabulary", pa.table({"text_hash": hashes, "text_index": range(1, len(hashes) + 1)}))


def test_each_text_finds_its_own_vector_of_its_own_encoder(lake, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(vectors, "ROWS_AT_A_TIME", 7)
    random = np.random.default_rng(0)
    truth = {f"hash{i}": random.normal(size=5).astype(np.float32) for i in range(50)}
    _vectors(lake, "mine", {h: v.tolist() for h, v in truth.items()})
    _vectors(lake, "other", {h: [9.0, 9.0] for h in truth})
    names = [f"hash{i}" for i in random.permutation(60)]  # 10 have no vector
    _vocabulary(lake, names[:55])
    matrix = vector_matrix(lake, encoder="mine", folder=tmp_path / "cache")
    assert (matrix.shape, matrix.dtype, matrix.flags.writeable) == ((56, 5), np.float16, False)
    expected = [np.zeros(5)] + [truth.get(name, np.zeros(5)) for name in names[:55]]
    np.testing.assert_array_equal(matrix, np.array(expected, np.float16))
    missing = sum(name not in truth for name in names[:55])
    assert f"{missing} of 55 texts have no vector" in capsys.readouterr().err


def test_a_matrix_is_of_the_versions_it_was_asked_for(lake, tmp_path):
    _vectors(lake, "mine", {"a": [1.0, 2.0]})
    _vocabulary(lake, ["a"])
    old = [lake.version("text_vectors"), lake.version("texts_vocabulary")]
    first = vector_matrix(lake, encoder="mine", folder=tmp_path)
    _vectors(lake, "mine", {"b": [3.0, 4.0]})
    _vocabulary(lake, ["a", "b"])
    assert vector_matrix(lake, encoder="mine", folder=tmp_path).tolist() == [[0, 0], [1, 2], [3, 4]]
    again = vector_matrix(lake, encoder="mine", folder=tmp_path, vectors_version=old[0], vocabulary_version=old[1])
    assert again.tolist() == first.tolist() == [[0, 0], [1, 2]]
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_no_vectors_and_odd_ones_are_refused_and_leave_no_file(lake, tmp_path):
    _vectors(lake, "mine", {"a": [1.0, 2.0], "b": [3.0]})
    _vectors(lake, "long", {"a": [65_504.0, 2.0], "b": [1.0, -70_000.0]})
    _vocabulary(lake, ["a", "b"])
    with pytest.raises(TableError, match="no vector of encoder another"):
        vector_matrix(lake, encoder="another", folder=tmp_path / "cache")
    with pytest.raises(TableError, match="not of width"):
        vector_matrix(lake, encoder="mine", folder=tmp_path / "cache")
    with pytest.raises(TableError, match=r"above 65,504, which float16 does not hold, .* embed\.encoder\.normalise"):
        vector_matrix(lake, encoder="long", folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
