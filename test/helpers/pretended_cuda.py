"""A pretended GPU: tensors that compute on the CPU but claim to be on CUDA, and refuse to meet CPU tensors.

In ``pretended_cuda()`` PyTorch seems to have a GPU. A tensor made with ``device="cuda"`` or moved there is a
:class:`PretendedTensor`, whose values are computed on the CPU. What a real GPU refuses raises here, too:
operations on tensors of both devices (a CPU tensor without dimensions may join), conversion to NumPy without
``.cpu()``, and random numbers from a generator of the other device. So code that mixes devices fails on a machine
without a GPU, with real values: control flow that depends on data, SVD and autograd work.

The tensors' C++ device is 'meta', which PyTorch knows in every build; a function mode translates 'cuda' to it.

CUDA graphs are pretended, too: ``torch.cuda.graph`` records the operations, and a replay runs them again on the
same tensors. A transfer from or to the CPU during the recording raises, as on a GPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda", 0)
_META = torch.device("meta")
_CPU = torch.device("cpu")
_aten = torch.ops.aten
_CROSSING = {_aten.copy_.default, _aten._to_copy.default, _aten._foreach_copy_.default}
"""Operations that move values between devices."""
_CPU_INDICES = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default}
"""Operations that take CPU indices into a tensor on a GPU, not the other way round."""
_SAME_DEVICE_ALWAYS = {_aten.cat.default, _aten.stack.default}
"""Operations that refuse even a CPU tensor without dimensions."""


class PretendedTensor(Tensor):
    """A tensor that claims to be on a GPU; ``held`` is the CPU tensor with its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> PretendedTensor:
        """Wrap a CPU tensor, whose memory is shared."""
        return Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=_META,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    @property
    def device(self) -> torch.device:
        """The pretended device."""
        return CUDA

    @property
    def is_cuda(self) -> bool:
        """True."""
        return True

    def tolist(self) -> Any:
        """Values, which a GPU's tensor gives, too."""
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Refuse, like a GPU's tensor."""
        raise TypeError(f"can't convert {CUDA} device type tensor to numpy. Use Tensor.cpu() first.")

    def data_ptr(self) -> int:
        """Address of the values."""
        return self.held.data_ptr()

    def __deepcopy__(self, memo: dict) -> Tensor:
        """Copy the values."""
        if id(self) not in memo:
            copied = self.detach().clone()
            is_parameter = isinstance(self, torch.nn.Parameter)
            memo[id(self)] = torch.nn.Parameter(copied) if is_parameter else copied
            memo[id(self)].requires_grad_(self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Store the values, as a tensor of the CPU."""
        return self.held.detach().__reduce_ex__(protocol)

    def __repr__(self) -> str:  # the base's would compute with the tensor
        return f"{self.held!r} on {CUDA}"

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        """Compute on the CPU; see :func:`_run`."""
        return _run(function, args, kwargs or {})


class PretendedGenerator(torch.Generator):
    """A CPU generator that says which device it was made for."""

    def __new__(cls, device: Any = "cpu") -> PretendedGenerator:
        """Make a generator, of the CPU in truth."""
        made = super().__new__(cls, "cpu")
        made.place = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        """The device that it was made for."""
        return self.place


class PretendedGraph:
    """A CUDA graph: the operations of one run, with the tensors that they read and write."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, tuple, dict, Any]] = []
        self.replays = 0

    def replay(self) -> None:
        """Run the operations again; new results go into the memory of the recorded ones."""
        self.replays += 1
        for function, args, kwargs, recorded in self.calls:
            found = function(*args, **kwargs)
            for old, new in zip(tree_leaves(recorded), tree_leaves(found), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


_recording: list[PretendedGraph] = []


@contextlib.contextmanager
def _record(graph: PretendedGraph) -> Iterator[None]:
    _recording.append(graph)
    try:
        yield
    finally:
        _recording.pop()


@contextlib.contextmanager
def pretended_cuda() -> Iterator[None]:
    """Let PyTorch pretend to have a GPU."""
    with (
        mock.patch.object(torch.cuda, "Stream"),
        mock.patch.object(torch.cuda, "stream"),
        mock.patch.object(torch.cuda, "current_stream"),
        mock.patch.object(torch.cuda, "CUDAGraph", PretendedGraph),
        mock.patch.object(torch.cuda, "graph", _record),
        mock.patch.object(torch.cuda, "is_available", return_value=True),
        mock.patch.object(torch.cuda, "is_bf16_supported", return_value=False),
        # Optimisers ask the driver whether a graph is being captured; a build with CUDA has none to ask here.
        mock.patch.object(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", create=True),
        mock.patch.object(torch.optim.Optimizer, "_cuda_graph_capture_health_check", create=True),
        mock.patch.object(torch, "Generator", PretendedGenerator),
        _Translation(),
        _Pretence(),
    ):
        yield


class _Pretence(TorchDispatchMode):
    """Runs every operation by :func:`_run`, also those that make tensors."""

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled() and torch._C._dispatch_has_kernel_for_dispatch_key(
            function.name(), "CompositeImplicitAutograd"
        ):  # operations made of others, which autograd splits elsewhere
            with self:
                return function._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        return _run(function, args, kwargs)


class _Translation(TorchFunctionMode):
    """Translates 'cuda' to the device that the tensors have in C++."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            return _from_data(function, args, kwargs)
        if _is_cuda(kwargs.get("device")):
            kwargs["device"] = _META
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            args = (args[0], _without_lists(args[1]), *args[2:])
        elif function is Tensor.to:
            args = tuple(_META if _is_cuda(one) else one for one in args)
        elif function is Tensor.cuda:
            function, args = Tensor.to, (args[0], _META)
        if kwargs.get("generator") is None:
            return function(*args, **kwargs)
        # PyTorch hands operations another object for the same generator, which does not know the device.
        result = function(*args, **kwargs)
        _check_generator(kwargs["generator"], result)
        return result


def _from_data(function: Any, args: tuple, kwargs: dict) -> Tensor:
    """Make a tensor of Python numbers; on 'meta' PyTorch would drop them."""
    device = kwargs.pop("device", None)
    if function is Tensor.new_tensor:
        like, *args = args
        function, device = torch.tensor, like.device if device is None else device
        kwargs.setdefault("dtype", like.dtype)
    made = function(*args, **kwargs)
    if device is None:
        return made
    return made.to(_META if _is_cuda(device) else device)


def _without_lists(index: Any) -> Any:
    """Turn sequences in an index into tensors; made by PyTorch on 'meta', they would lose their values."""
    if not isinstance(index, tuple):
        return torch.tensor(index) if isinstance(index, list | range) else index
    return tuple(torch.tensor(one) if isinstance(one, list | tuple | range) else one for one in index)


def _is_cuda(device: Any) -> bool:
    if isinstance(device, str):
        return device.startswith("cuda")
    return isinstance(device, torch.device) and device.type == "cuda"


def _run(function: Any, args: tuple, kwargs: dict) -> Any:
    """Run an operation on the CPU; its results are on the device of its arguments, or the one it asks for."""
    _check_devices(function, args, kwargs)
    given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    device = kwargs.get("device")
    on_gpu = (
        any(isinstance(one, PretendedTensor) for one in given)
        if device is None
        else torch.device(device).type == _META.type
    )
    wrapper = {id(one.held): one for one in given if isinstance(one, PretendedTensor)}

    def inner(one: Any) -> Any:
        if isinstance(one, PretendedTensor):
            return one.held
        return _CPU if isinstance(one, torch.device) else one

    def outer(one: Any) -> Any:
        if not isinstance(one, Tensor) or isinstance(one, PretendedTensor) or not on_gpu:
            return one
        if id(one) in wrapper:
            return wrapper[id(one)]
        with torch.inference_mode(False):  # autograd marks views of tensors that were made outside it
            return PretendedTensor(one)

    inner_args, inner_kwargs = tree_map(inner, (args, kwargs))
    result = function(*inner_args, **inner_kwargs)
    if _recording and (on_gpu or wrapper):
        _check_capture(function, given, on_gpu)
        _recording[-1].calls.append((function, inner_args, inner_kwargs, result))
    return tree_map(outer, result)


def _check_capture(function: Any, given: Sequence[Tensor], on_gpu: bool) -> None:
    """Raise RuntimeError where a GPU could not record the operation."""
    crosses = function in _CROSSING and not (
        on_gpu and all(isinstance(one, PretendedTensor) for one in given)
    )
    if crosses or function is _aten._local_scalar_dense.default or function is _aten.nonzero.default:
        raise RuntimeError(f"operation not permitted when stream is capturing: {function}")


def _check_devices(function: Any, args: tuple, kwargs: dict) -> None:
    """Raise RuntimeError where a GPU would refuse the devices of the arguments."""
    if function in _CROSSING:
        return
    checked: Sequence[Any] = tree_leaves((args, kwargs))
    if function in _CPU_INDICES and isinstance(args[0], PretendedTensor):
        checked = [args[0], *args[2:3]]  # the tensor and the values, not the indices
    tensors = [one for one in checked if isinstance(one, Tensor)]
    on_gpu = any(isinstance(one, PretendedTensor) for one in tensors)
    may_join = function not in _SAME_DEVICE_ALWAYS
    on_cpu = [one for one in tensors if not isinstance(one, PretendedTensor) and (one.ndim or not may_join)]
    if on_gpu and on_cpu:
        shapes = ", ".join(f"{tuple(one.shape)} on {one.device}" for one in tensors)
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {function} got tensors {shapes}"
        )


def _check_generator(generator: torch.Generator, drawn: Tensor) -> None:
    if generator.device.type != drawn.device.type:
        raise RuntimeError(
            f"Expected a {drawn.device.type!r} generator for {drawn.device}, but found {generator.device}"
        )
