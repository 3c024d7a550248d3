"""Tensors: aliases, views and layouts survive; devices that are missing do not stop a load."""

import functools
import pickle
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Snapshotter, UnpicklableStateError

torch: Any = pytest.importorskip("torch", reason="needs torch, which has no small wheel to test with")


def both_ways(directory: Path, state: object) -> list[Any]:
    """`state` as `pickle.load` and as the snapshotter return it."""
    snapshotter = Snapshotter(directory)
    snapshotter.save_itr_params(0, state)
    with (directory / "params.pkl").open("rb") as file:
        return [pickle.load(file), snapshotter.load(directory)]


def quantized() -> Any:
    """A quantised tensor, which newer versions of torch would rather not make."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.linspace(-1, 1, 10), 0.1, 0, torch.qint8)


TENSORS: dict[str, Any] = {
    "bfloat16": torch.randn(1000, 100).bfloat16(),
    "booleans": torch.arange(100_000) % 3 == 0,
    "no elements": torch.zeros(0, 4),
    "no dimensions": torch.tensor(2.5),
    "transposed": torch.randn(400, 500).t(),
    "with gradient": torch.randn(300, 300, requires_grad=True),
    "parameter": torch.nn.Parameter(torch.randn(300, 300)),
    "frozen parameter": torch.nn.Parameter(torch.arange(6), requires_grad=False),
    "complex": torch.randn(500, dtype=torch.complex64),
    "lazily conjugated": torch.randn(5, dtype=torch.complex64).conj(),
    "computed": torch.ones(3, requires_grad=True) * 2,
    "sparse": torch.eye(5).to_sparse(),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensor_survives(tmp_path: Path, kind: str) -> None:
    """Class, type, shape, layout, strides, gradient flag and contents come back."""
    tensor = TENSORS[kind]
    for loaded in both_ways(tmp_path, tensor):
        assert (type(loaded), loaded.dtype, loaded.shape) == (type(tensor), tensor.dtype, tensor.shape)
        assert (loaded.requires_grad, loaded.layout) == (tensor.requires_grad, tensor.layout)
        assert loaded.to_dense().equal(tensor.to_dense())
        if tensor.layout is torch.strided and not tensor.is_conj():
            assert loaded.stride() == tensor.stride()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_quantised_and_meta_tensors_survive(tmp_path: Path) -> None:
    """Kinds without plain storage take torch's own way."""
    tensor = quantized()
    for loaded in both_ways(tmp_path, [tensor, torch.empty(3, device="meta")]):
        assert loaded[0].dequantize().equal(tensor.dequantize())
        assert (loaded[1].device.type, loaded[1].shape) == ("meta", (3,))


def test_views_share_memory_and_cost_nothing(tmp_path: Path) -> None:
    """Twenty views of a 4 MB tensor alias it again, in a file of 4 MB."""
    tensor = torch.randn(1000, 1000)
    state = [tensor, *(tensor[3 * row : 3 * row + 5] for row in range(20))]
    for loaded in both_ways(tmp_path, state):
        loaded[0][0, 0] = 77
        assert loaded[1][0, 0] == 77
    assert (tmp_path / "params.pkl").stat().st_size < 4_020_000


def test_optimiser_keeps_pointing_at_its_policy(tmp_path: Path) -> None:
    """Tied weights and the optimiser's references are one object, and training continues identically."""
    policy = torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.Linear(256, 256))
    policy[1].weight = policy[0].weight
    optimizer = torch.optim.Adam(policy.parameters())
    _train(policy, optimizer)
    copies = both_ways(tmp_path, {"policy": policy, "optimizer": optimizer})
    _train(policy, optimizer)
    for loaded in copies:
        layers = loaded["policy"]
        assert layers[1].weight is layers[0].weight
        assert loaded["optimizer"].param_groups[0]["params"][0] is layers[0].weight
        _train(layers, loaded["optimizer"])
        assert all(a.equal(b) for a, b in zip(layers.parameters(), policy.parameters(), strict=True))


def test_storage_of_two_types_is_shared(tmp_path: Path) -> None:
    """A view of the same bytes under another type still aliases."""
    tensor = torch.zeros(30_000)
    for loaded in both_ways(tmp_path, (tensor, tensor.view(torch.int32))):
        loaded[0][0] = 1.0
        assert loaded[1][0] == 0x3F800000


def test_subclass_and_attributes_survive(tmp_path: Path) -> None:
    """A tensor's own class and attributes are kept."""
    buffer = torch.nn.Buffer(torch.ones(3))
    tagged = torch.ones(3)
    tagged.note = "kept"
    for loaded in both_ways(tmp_path, [buffer, tagged]):
        assert isinstance(loaded[0], torch.nn.Buffer)
        assert loaded[1].note == "kept"


def _doubled(gradient: Any) -> Any:
    return gradient * 2


def _increased_by(amount: int) -> Callable[[Any], Any]:
    return lambda gradient: gradient + amount


@pytest.mark.parametrize("kind", ["tensor", "parameter", "tagged parameter"])
def test_backward_hooks_survive(tmp_path: Path, kind: str) -> None:
    """What is done to a gradient on its way is done again after loading, by functions and lambdas."""
    tensor = torch.ones(3, requires_grad=True) if kind == "tensor" else torch.nn.Parameter(torch.ones(3))
    if kind == "tagged parameter":
        tensor.note = "kept"
    tensor.register_hook(_doubled)
    tensor.register_hook(_increased_by(1))
    for loaded in both_ways(tmp_path, [tensor, tensor]):
        assert loaded[0] is loaded[1]
        loaded[0].sum().backward()
        assert loaded[0].grad.tolist() == [3, 3, 3]


def test_hooks_marked_as_not_to_be_saved_stay_out(tmp_path: Path) -> None:
    """Torch's decorator for hooks that belong to this process is respected."""
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.register_hook(torch.utils.hooks.unserializable_hook(_increased_by(5)))
    for loaded in both_ways(tmp_path, parameter):
        loaded.sum().backward()
        assert loaded.grad.tolist() == [1]


def test_hook_that_cannot_be_saved_is_named(tmp_path: Path) -> None:
    """It is an error, not a hook that is silently missing after a resume."""
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.register_hook(functools.partial(print, threading.Lock()))
    with pytest.raises(UnpicklableStateError, match=r"cannot pickle '_thread\.lock'"):
        Snapshotter(tmp_path).save_itr_params(0, {"weights": parameter})


def test_names_only_public_functions(tmp_path: Path) -> None:
    """Plain tensors are written without torch's private rebuilding functions."""
    Snapshotter(tmp_path).save_itr_params(0, torch.nn.Linear(300, 300).state_dict())
    assert b"torch._" not in (tmp_path / "params.pkl").read_bytes()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_tensors_return_to_their_device(tmp_path: Path) -> None:
    """A tensor on a GPU is saved through the host and comes back where it was, aliases included."""
    tensor = torch.randn(300, 300, device="cuda")
    for loaded in both_ways(tmp_path, [tensor, tensor[1]]):
        assert loaded[0].device == tensor.device
        assert loaded[0].equal(tensor)
        loaded[0][1, 0] = 5
        assert loaded[1][0] == 5


def _train(policy: Any, optimizer: Any) -> None:
    optimizer.zero_grad()
    policy(torch.linspace(-1, 1, 512).reshape(2, 256)).square().sum().backward()
    optimizer.step()


def test_gradient_comes_back(tmp_path: Path) -> None:
    """An accumulation that is not finished continues: tensors and parameters keep what was added up."""
    layer = torch.nn.Linear(3, 2)
    layer(torch.ones(1, 3)).sum().backward()
    marked = torch.ones(2, requires_grad=True)
    marked.flag, marked.grad = "mine", torch.full((2,), 0.5)
    for loaded, tensor in both_ways(tmp_path, (layer, marked)):
        assert loaded.weight.grad.equal(layer.weight.grad)
        assert loaded.bias.grad.equal(layer.bias.grad)
        assert (tensor.grad.tolist(), tensor.flag) == ([0.5, 0.5], "mine")


def test_hooks_of_an_optimizer_come_back(tmp_path: Path) -> None:
    """So do attributes it was given, and hooks that run once a gradient has been added up."""
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    optimizer.register_step_post_hook(_note)
    optimizer.noted = []
    parameter.register_post_accumulate_grad_hook(_double)
    for loaded, same in both_ways(tmp_path, (optimizer, parameter)):
        assert loaded.param_groups[0]["params"][0] is same
        same.sum().backward()
        loaded.step()
        assert loaded.noted == [[2.0, 2.0]]


def _note(optimizer: Any, *_: object) -> None:
    optimizer.noted.append(optimizer.param_groups[0]["params"][0].grad.tolist())


def _double(parameter: Any) -> None:
    parameter.grad *= 2


@pytest.mark.parametrize("name", ["spectral_norm", "weight_norm", "orthogonal"])
def test_parametrized_module_trains_on_alike(tmp_path: Path, name: str) -> None:
    """Torch refuses to pickle one; here it comes back with its optimizer, and can be saved again."""
    layer = getattr(torch.nn.utils.parametrizations, name)(torch.nn.Linear(3, 3))
    optimizer = torch.optim.Adam(layer.parameters())
    rows = torch.arange(6.0).reshape(2, 3)

    def train(layer: Any, optimizer: Any) -> list[list[float]]:
        optimizer.zero_grad()
        layer(rows).pow(2).sum().backward()
        optimizer.step()
        outputs: list[list[float]] = layer.eval()(rows).tolist()
        layer.train()
        return outputs

    train(layer, optimizer)
    copies = [pair for _ in range(2) for pair in both_ways(tmp_path, (layer, optimizer))]
    wanted = [train(layer, optimizer) for _ in range(2)]
    for copy in copies:
        again = both_ways(tmp_path, copy)[0]
        assert [train(*again) for _ in range(2)] == wanted
        assert type(copy[0]).__bases__ == (torch.nn.Linear,)


def test_parametrized_module_of_recurrent_weights(tmp_path: Path) -> None:
    """One that has a way of its own to be pickled keeps to it."""
    net = torch.nn.utils.parametrizations.spectral_norm(torch.nn.GRU(3, 3), "weight_hh_l0")
    rows = torch.ones(1, 2, 3)
    copies = both_ways(tmp_path, net.eval())
    wanted = net(rows)[0]
    assert all(copy(rows)[0].equal(wanted) for copy in copies)
