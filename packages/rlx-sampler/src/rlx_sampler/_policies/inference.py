"""The start-up probe: on how many rows must a policy run for a row's result to be its own?

Matrix products give other last bits for other numbers of rows. So that an episode does
not depend on how many run beside it, a policy always gets blocks of the same number of
rows; the probe finds the smallest block in which neither the place of a row nor its
neighbours change its result. It works on a copy of the policy with disturbed parameters,
since fresh ones may be zero and then show nothing. Of a narrow net only one row in a
hundred may show what another place does to it, so many rows are asked for, near the
observation and far from it.
"""

from contextlib import suppress
from typing import Any, Final

import numpy as np

from rlx_sampler._batches.tensors import is_tensor, to_array
from rlx_sampler._batches.trees import Array, ArrayTree, flat, leaves, map_leaves, rows, words_as_objects
from rlx_sampler._copies import copy_of
from rlx_sampler._offers import Acting, how_to_act, offered, takes_argument
from rlx_sampler._parameter_trees import put_together, taken_apart
from rlx_sampler._policies.acting import Answer, ask_many
from rlx_sampler._policies.noise import like

BLOCKS: Final = (16, 32, 64)
BLOCKS_FOR_LARGE: Final = (4, 8, 16, 32, 64)
"""For observations so large that a row costs more than a call, as images are."""
LARGE: Final = 4096
ROW_BY_ROW: Final = 1
SHIFTS: Final = (1, 2, 3)
FAR_CROWDS: Final = 12
"""How many sets of rows far from the observation are tried; fewer where a row is large."""


def probe_block(policy: Any, observation: ArrayTree) -> int:
    """Return how many rows `policy` needs; `observation` is one that it accepts."""
    if how_to_act(policy) is not Acting.BATCHED:
        return ROW_BY_ROW
    twin = copy_of(policy, "policy")
    _disturb(twin)
    arrays = [to_array(leaf) for _, leaf in leaves(observation)]
    size = sum(array.size for array in arrays)
    blocks = BLOCKS_FOR_LARGE if size >= LARGE else BLOCKS
    near = _varied(observation, 2 * blocks[-1])
    n_far = 3 if size >= LARGE else FAR_CROWDS
    if not any(array.dtype.kind == "f" for array in arrays):
        n_far = 0  # all that there is lies near
    far = [_spread(observation, 2 * blocks[-1], seed) for seed in range(n_far)]
    return next((block for block in blocks if _block_suffices(twin, near, far, block)), ROW_BY_ROW)


class BlockMerging:
    """Finds, once for each number of blocks, whether a policy may get them in one call.

    Beyond a few rows most matrix products give the same bits for any number; a call for all
    rows is then as good as one a block, and cheaper. It matters for speed only.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], bool] = {}

    def __call__(self, policy: Any, observations: ArrayTree, block: int) -> bool:
        """Say whether `observations`, a stack of blocks, may be one call of `policy`."""
        n_rows = len(flat(observations)[0])
        if (n_rows, block) not in self._found:
            twin = copy_of(policy, "policy")
            _disturb(twin)
            near, far = (make(rows(observations, 0), n_rows) for make in (_varied, _spread))
            merge = _blocks_merge(twin, near, block)
            if merge:
                with np.errstate(all="ignore"), suppress(Exception):  # far rows may be refused
                    merge = _blocks_merge(twin, far, block)
            self._found[n_rows, block] = merge
        return self._found[n_rows, block]


def _blocks_merge(policy: Any, crowd: ArrayTree, block: int) -> bool:
    members = np.arange(len(flat(crowd)[0]))
    for shift in SHIFTS:
        moved = np.roll(members, shift)
        together = _answer(policy, crowd, moved)
        for at in range(0, len(members), block):
            part = slice(at, at + block)
            if not _same(_rows_of(together, part), _answer(policy, crowd, moved[part])):
                return False
    return True


def _disturb(policy: Any) -> None:
    """Move the parameters off special values, where the policy lets them be set."""
    get, put = offered(policy, "get_param_values"), offered(policy, "set_param_values")
    if get is None or put is None:
        return
    rng = np.random.Generator(np.random.PCG64(1))
    skeleton, arrays = taken_apart(get())
    put(put_together(skeleton, [_disturbed(array, rng) for array in arrays]))


def _disturbed(leaf: Any, rng: np.random.Generator) -> Any:
    noise = 0.1 * rng.standard_normal(tuple(leaf.shape))
    if is_tensor(leaf):
        return leaf.detach() + like(leaf, noise).to(leaf.dtype) if leaf.is_floating_point() else leaf
    return leaf + noise.astype(leaf.dtype) if leaf.dtype.kind == "f" else leaf


def _varied(observation: ArrayTree, count: int) -> ArrayTree:
    """Stack `count` variations that stay close to `observation`, and among its values where they are integral."""
    rng = np.random.Generator(np.random.PCG64(0))

    def vary(leaf: Any) -> Array:
        array = words_as_objects(to_array(leaf))
        stack = np.repeat(array[None], count, axis=0)
        if array.dtype.kind == "f":
            noise = 1 + 0.1 * rng.standard_normal(stack.shape)
            return np.asarray(stack * noise + 0.01 * rng.standard_normal(stack.shape), array.dtype)
        return rng.permuted(stack.reshape(count, -1), axis=1).reshape(stack.shape)

    return map_leaves(vary, observation)


def _spread(observation: ArrayTree, count: int, seed: int = 0) -> ArrayTree:
    """Stack `count` rows, each at a distance of its own from `observation`, where values are not integral."""
    rng = np.random.Generator(np.random.PCG64([2, seed]))
    distances = 10 ** rng.uniform(-1, 1, count)

    def spread(leaf: Any) -> Array:
        array = to_array(leaf)
        if array.dtype.kind != "f":
            return np.asarray(_varied(array, count))
        noise = rng.standard_normal((count, *array.shape))
        noise *= distances.reshape(-1, *(1,) * array.ndim)
        return np.asarray(array + noise * np.maximum(1, np.abs(array)), array.dtype)

    return map_leaves(spread, observation)


def _answer(policy: Any, crowd: ArrayTree, members: Array) -> Answer:
    """Ask for the rows `members` of the crowd, each with noise that belongs to the member."""
    reset = offered(policy, "reset")
    if reset is not None and takes_argument(reset):
        reset(np.ones(len(members), bool))
    rngs = [np.random.Generator(np.random.PCG64(int(member))) for member in members]
    return ask_many(policy, rows(crowd, members), rngs)


def _block_suffices(policy: Any, near: ArrayTree, far: list[ArrayTree], block: int) -> bool:
    """Whether rows are independent in blocks; far rows that the policy refuses show nothing."""
    if not _rows_are_independent(policy, near, block):
        return False
    for crowd in far:
        with np.errstate(all="ignore"), suppress(Exception):
            if not _rows_are_independent(policy, crowd, block):
                return False
    return True


def _rows_are_independent(policy: Any, crowd: ArrayTree, block: int) -> bool:
    members = np.arange(block)
    strangers = members + BLOCKS[-1]
    reference = _answer(policy, crowd, members)
    for shift in SHIFTS:
        moved = np.roll(members, shift)
        if not _same(_rows_of(reference, moved), _answer(policy, crowd, moved)):
            return False
    for parity in (0, 1):
        kept = members[parity::2]
        mixed = np.where(members % 2 == parity, members, strangers)
        if not _same(_rows_of(reference, kept), _rows_of(_answer(policy, crowd, mixed), kept)):
            return False
    return True


def _rows_of(answer: Answer, index: Array | slice) -> Answer:
    return Answer(rows(answer.actions, index), rows(answer.infos, index))


def _same(one: Answer, other: Answer) -> bool:
    pairs = zip(leaves(tuple(one)), leaves(tuple(other)), strict=True)
    return all(bool(left.tobytes() == right.tobytes()) for (_, left), (_, right) in pairs)
