"""Lists of inputs and outputs of an ONNX graph, and its weights, on a file made by hand."""

import numpy as np
import pytest

from memaudit.encoders.onnx_graph import weights_of, with_one_input, with_one_output
from memaudit.errors import InputError

WEIGHTS = np.arange(6, dtype="<f4").reshape(2, 3)


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def tensor(name: str, values: np.ndarray, kind: int = 1) -> bytes:
    shape = b"".join(bytes([1 << 3, length]) for length in values.shape)
    return shape + bytes([2 << 3, kind]) + field(8, name.encode()) + field(9, values.tobytes())


def model(inputs: str = "ab", outputs: str = "yz", kind: int = 1) -> bytes:
    """A version, a graph of a node, weights and lists, and a producer after it."""
    lists = [
        field(number, field(1, name.encode())) for number, names in ((11, inputs), (12, outputs)) for name in names
    ]
    graph = field(1, b"node") + field(5, tensor("w", WEIGHTS, kind)) + b"".join(lists)
    return bytes([1 << 3, 8]) + field(7, graph) + field(2, b"maker")


def test_only_the_list_that_is_meant_changes() -> None:
    """An output may be any value of the graph: it is known by its name."""
    assert with_one_input(model(), "a") == model(inputs="a")
    assert with_one_output(model(), "m") == model(outputs="m")


def test_weights_have_their_shape_and_values() -> None:
    np.testing.assert_array_equal(weights_of(model(), ["w"])["w"], WEIGHTS)


@pytest.mark.parametrize(
    ("data", "names", "why"),
    [
        (model(), ["w", "v"], "it has no weights v"),
        (model(kind=3), ["w"], "weights of type 3"),
        (b"\x3a\xff\x03", [], "it ends early"),
        (b"\x09" + bytes(4), [], "it ends early"),
        (b"\x0d" + bytes(4) + b"\x0b", [], "a field of wire type 3"),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, names: list[str], why: str) -> None:
    with pytest.raises(InputError, match=f"no ONNX model: .*{why}"):
        weights_of(data, names)
