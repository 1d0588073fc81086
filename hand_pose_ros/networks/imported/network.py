"""The network of a TFLite file as a PyTorch module with the file's weights."""

from __future__ import annotations

from torch import Tensor, nn

from hand_pose_ros.files.bounded_text import shown
from hand_pose_ros.networks.imported.operations import build
from hand_pose_ros.networks.imported.tflite_file import TfliteGraph, read_tflite


class ImportedNetwork(nn.Module):
    """The graph of a TFLite file, which can run on any device, be fine-tuned, and be exported.

    input_size: (height, width) of its input images, pixels. parameters: the file's weights, trainable.
    """

    def __init__(self, graph: TfliteGraph) -> None:
        """Build the modules of all operations.

        Raises:
            ValueError: an operation of the graph is not supported, or its input is not a colour image.
        """
        super().__init__()
        shape = graph.shapes[graph.input]
        if len(shape) != 4 or shape[3] != 3:
            raise ValueError(f"the network's input must be a colour image, it has shape {shape}")
        self.input_size = (shape[1], shape[2])
        self._input, self._outputs = graph.input, graph.outputs
        self._steps = [
            (
                tuple(index for index in one.inputs if index >= 0 and index not in graph.constants),
                one.outputs[0],
            )
            for one in graph.operations
        ]
        self._last_uses = _last_uses(self._steps, graph.outputs)
        self.operations = nn.ModuleList(build(one, graph.shapes, graph.constants) for one in graph.operations)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the network.

        Args:
            images: (n, 3, height, width) RGB in [0, 1], of ``input_size``.

        Returns:
            The file's outputs in the order of their names, each (n, ...) with the axes of the file.
        """
        values = {self._input: images}
        for operation, (inputs, output), unused in zip(
            self.operations, self._steps, self._last_uses, strict=True
        ):
            values[output] = operation(*(values[index] for index in inputs))
            for index in unused:
                del values[index]
        return tuple(values[index] for index in self._outputs)


def import_network(content: bytes) -> ImportedNetwork:
    """Build the network in the content of a TFLite file, in evaluation mode.

    Raises:
        ValueError: not a TFLite file, a damaged one, or one with operations that are not supported.
        ImportError: the library ``tflite`` is not installed.
    """
    graph = read_tflite(content)
    try:
        return ImportedNetwork(graph).eval()
    except (
        IndexError,
        KeyError,
        TypeError,
        ZeroDivisionError,
        RuntimeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ValueError(
            f"an operation of the network does not fit its tensors or options: {shown(error)}"
        ) from error


def _last_uses(steps: list[tuple[tuple[int, ...], int]], outputs: tuple[int, ...]) -> list[tuple[int, ...]]:
    """For each step, the tensors that no later step and no output needs."""
    needed = set(outputs)
    unused: list[tuple[int, ...]] = []
    for inputs, output in reversed(steps):
        free = {*inputs, output} - needed
        unused.append(tuple(free))
        needed.update(inputs)
    return unused[::-1]
