"""Parameters of any shape on their way to the workers."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from sampler_worlds import Array, Walk, make_factory, make_local

from rlx_sampler import LocalSampler, MultiprocessingSampler, PerWorker
from rlx_sampler._parameter_trees import copy_of_parameters, put_together, taken_apart
from rlx_sampler._processes.parameters import ParameterWriter, read_parameters
from rlx_sampler._processes.shared_memory import SharedMemory, has_shared_memory


class Layer(NamedTuple):
    """A layer, as users of JAX write it."""

    weight: Array
    bias: Array


@dataclass
class Net:
    """Parameters in a dataclass."""

    layers: list[Layer]
    scale: Array


TREES: dict[str, Any] = {
    "list": [np.arange(3.0), np.ones((2, 2), np.float32)],
    "tuple": (np.arange(3.0), 2.5),
    "named tuple": Layer(np.ones((2, 3)), np.zeros(3)),
    "lists in a dict": {"layers": [Layer(np.ones(2), np.zeros(1))] * 2, "names": ["a", "b"]},
    "dataclass": Net([Layer(np.ones(2), np.zeros(1))], np.float64(2)),  # type: ignore[arg-type]
    "ordered dict": OrderedDict(b=np.ones(2), a=np.zeros(3)),
    "empty": [],
}


class Recalling:
    """A policy that says in its infos which types its parameters have."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def get_actions(
        self, observations: Array, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        del rngs
        seen = np.array([shape_of(self.values)] * len(observations), object)
        return np.zeros((len(observations), 3), np.float32), {"seen": seen}

    def get_param_values(self) -> Any:
        return self.values

    def set_param_values(self, values: Any) -> None:
        self.values = values


def shape_of(tree: Any) -> str:
    """Say which types and numbers a tree has."""
    kind = type(tree).__name__
    if kind == "Net":  # in a worker process it is another class of that name
        return f"{kind}({shape_of(tree.layers)}, {shape_of(tree.scale)})"
    if isinstance(tree, dict):
        named = cast("dict[str, Any]", tree)
        return f"{kind}({', '.join(f'{name}={shape_of(named[name])}' for name in named)})"
    if isinstance(tree, list | tuple):
        several = cast("Sequence[Any]", tree)
        return f"{kind}({', '.join(shape_of(each) for each in several)})"
    return f"{kind}:{np.asarray(tree).tolist()}"


@pytest.mark.parametrize("name", TREES)
class TestTrees:
    def test_keep_their_types(self, name: str) -> None:
        """A copy has the containers of the original, and arrays of its own."""
        copied = copy_of_parameters(TREES[name])
        assert shape_of(copied) == shape_of(TREES[name])
        arrays, others = taken_apart(TREES[name]).arrays, taken_apart(copied).arrays
        assert not any(np.shares_memory(*pair) for pair in zip(arrays, others, strict=True))

    def test_reach_the_policy_in_one_process(self, name: str) -> None:
        """The policy gets what its `get_param_values` gave."""
        batch = make_local(Recalling(None)).obtain_samples(0, 5, TREES[name])
        assert set(batch.agent_infos["seen"]) == {shape_of(TREES[name])}


@pytest.mark.processes
class TestInProcesses:
    def test_keep_their_types(self) -> None:
        """What crosses to another process arrives with its types, again and again."""
        sampler = MultiprocessingSampler(make_factory(n_workers=2), Recalling(None), Walk())
        for tree in [*TREES.values(), TREES["list"]]:
            batch = sampler.obtain_samples(0, 5, tree)
            assert set(batch.agent_infos["seen"]) == {shape_of(tree)}
        sampler.shutdown_worker()


class TestListsOfParameters:
    @pytest.mark.parametrize("n_workers", [1, 2, 3])
    def test_are_one_value(self, n_workers: int) -> None:
        """A list as long as there are workers is not dealt out."""
        values = [np.zeros(2), np.ones(2)]
        batch = make_local(Recalling(None), n_workers=n_workers).obtain_samples(0, 9, values)
        assert set(batch.agent_infos["seen"]) == {shape_of(values)}

    def test_are_dealt_out_where_they_are_meant_so(self) -> None:
        """`PerWorker` gives each worker its own."""
        sampler = make_local(Recalling(None), n_workers=2)
        batch = sampler.obtain_exact_episodes(1, PerWorker([np.zeros(1), np.ones(1)]))
        first, second = (each.agent_infos["seen"][0] for each in batch.split())
        assert (first, second) == ("ndarray:[0.0]", "ndarray:[1.0]")

    def test_of_another_length_are_refused(self) -> None:
        """`PerWorker` has as many values as there are workers."""
        with pytest.raises(ValueError, match=r"agent_update must be one value.*exactly 2"):
            make_local(n_workers=2).obtain_samples(0, 9, PerWorker([np.zeros(1)]))

    def test_of_policies_are_dealt_out(self) -> None:
        """A list of policies is one a worker, as in garage."""
        policies = [Recalling(np.zeros(1)), Recalling(np.ones(1))]
        sampler = LocalSampler(make_factory(n_workers=2), Recalling(None), Walk())
        seen = [each.agent_infos["seen"][0] for each in sampler.obtain_exact_episodes(1, policies).split()]
        assert seen == ["ndarray:[0.0]", "ndarray:[1.0]"]


@pytest.mark.skipif(not has_shared_memory(), reason="shared memory is for Linux")
def test_a_tree_of_the_same_form_is_told_once() -> None:
    """Only the numbers move when nothing else has changed."""
    memory = SharedMemory()
    writer = ParameterWriter(memory)
    first, second = ({"net": [Layer(np.full(3, value), np.zeros(1))]} for value in (1.0, 2.0))
    assert writer.write(first)
    assert not writer.write(second)
    assert writer.layout is not None
    assert shape_of(read_parameters(memory, writer.layout)) == shape_of(second)


def test_tensors_stay_tensors() -> None:
    """Tensors come back without their history, and share no memory."""
    torch = pytest.importorskip("torch")
    tensor = torch.nn.Parameter(torch.ones(2)) * 2
    parts = taken_apart([tensor, {"a": tensor}])
    assert [part is tensor for part in parts.arrays] == [True, True]
    copied = copy_of_parameters([tensor])
    assert not copied[0].requires_grad
    assert put_together(parts.skeleton, [1, 2]) == [1, {"a": 2}]
