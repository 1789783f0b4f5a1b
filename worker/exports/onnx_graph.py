"""A dense network as an ONNX graph, made from our closed list of layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from worker import forward
from worker.activations import LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE
from worker.networks import NetworkSpec

ONNX = "model.onnx"
INPUTS, OUTPUTS = "inputs", "outputs"
# The first with Gelu, of October 2023; the version of the file format that came with it.
OPSET, IR_VERSION = 20, 9

Attributes = dict[str, Any]  # Any: numbers of several types, which onnx tells apart itself
# An activation of one operation, with its attributes.
PLAIN: dict[str, tuple[str, Attributes]] = {
    "linear": ("Identity", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "tanh": ("Tanh", {}),
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": LEAKY_SLOPE}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}),
    "gelu": ("Gelu", {"approximate": "none"}),
    "mish": ("Mish", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "softmax": ("Softmax", {"axis": 1}),
}


def write(spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """An ONNX file, checked against the standard."""
    graph = _Graph()
    block = INPUTS
    for number, (kernel, bias, activation) in enumerate(forward.dense(spec, weights)):
        name = f"layer_{number}"
        product = graph.add("MatMul", [block, graph.keep(f"{name}_kernel", kernel)], f"{name}_product")
        block = graph.add("Add", [product, graph.keep(f"{name}_bias", bias)], f"{name}_sum")
        block = graph.activate(activation, block, name)
    graph.add("Identity", [block], OUTPUTS)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "network",
            [helper.make_tensor_value_info(INPUTS, onnx.TensorProto.FLOAT, ["rows", spec.inputs])],
            [helper.make_tensor_value_info(OUTPUTS, onnx.TensorProto.FLOAT, ["rows", spec.outputs])],
            graph.arrays,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="etude",
    )
    onnx.checker.check_model(model, full_check=True)
    return {ONNX: model.SerializeToString()}


class _Graph:
    """The operations so far, and the arrays that they need."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []

    def add(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operation, inputs, [output], name=output, **attributes))
        return output

    def keep(self, name: str, array: np.ndarray) -> str:
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def activate(self, activation: str, block: str, name: str) -> str:
        if activation in ("silu", "swish"):
            gate = self.add("Sigmoid", [block], f"{name}_gate")
            return self.add("Mul", [block, gate], f"{name}_activation")
        if activation == "relu6":
            bounds = [self.keep(f"{name}_low", np.array(0.0)), self.keep(f"{name}_high", np.array(6.0))]
            return self.add("Clip", [block, *bounds], f"{name}_activation")
        operation, attributes = PLAIN[activation]
        return self.add(operation, [block], f"{name}_activation", **attributes)


def run(files: Mapping[str, bytes], x: np.ndarray) -> np.ndarray:
    """What the written file answers for a float32 matrix (rows, inputs), by ONNX's own reference."""
    # What overflows comes out as such, and is compared like the rest.
    with np.errstate(all="ignore"):
        (answered,) = ReferenceEvaluator(files[ONNX]).run(None, {INPUTS: x})
    return np.asarray(answered)
