"""Episodes that have ended, or were cut: noted one by one, and taken off the tape many at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np

from rlx_sampler._infos import Columns, InfoColumn
from rlx_sampler._layouts import Layout, fill
from rlx_sampler._recorded import Harvest, Part, Recorded, as_recorded, assemble
from rlx_sampler._step_types import StepType, label_pieces
from rlx_sampler._tape import Tape
from rlx_sampler._trees import ArrayTree, stack


@dataclass(frozen=True, slots=True)
class Piece:
    """An episode, or a part of one, whose steps are on the tape."""

    index: int
    """Episode number of the key that it belongs to."""
    lane: int
    begin: int
    """Its first step on the tape."""
    length: int
    end: StepType
    is_beginning: bool
    last_observation: ArrayTree
    env_infos: Columns
    episode_info: Columns


_Shape: TypeAlias = tuple[object, ...]


def harvest(pieces: Sequence[Piece], tape: Tape, layout: Layout) -> Iterator[Harvest]:
    """Take the pieces off the tape, together where their infos are columns of the same kind.

    Args:
        pieces: In the order of time.
        tape: Where their steps are.
        layout: How observations, actions and agent infos lie on the tape.
    """
    ordered = sorted(pieces, key=lambda each: each.index)
    keys = [list(each) for _, each in groupby(ordered, key=lambda each: each.index)]
    for shape, group in groupby(keys, key=_shape):
        together = list(group)
        if shape is not None:
            yield _harvest(together, _record([each for key in together for each in key], tape, layout))
            continue
        for key in together:
            alone = [_record([each], tape, layout) for each in key]
            yield _harvest([key], _joined(alone))


def _harvest(keys: Sequence[Sequence[Piece]], recorded: Recorded) -> Harvest:
    return Harvest([key[0].index for key in keys], [len(key) for key in keys], recorded)


def _joined(recordings: Sequence[Recorded]) -> Recorded:
    if len(recordings) == 1:
        return recordings[0]
    return as_recorded(assemble([Part.of_all(recorded) for recorded in recordings]))


def _shape(key: Sequence[Piece]) -> _Shape | None:
    """Return what the columns of pieces that go together have in common; None where they have gaps or differ."""
    shapes = {_columns_shape(each.env_infos) + _columns_shape(each.episode_info) for each in key}
    shape = shapes.pop()
    return None if shapes or None in shape else shape


def _columns_shape(columns: Columns) -> _Shape:
    shapes = tuple(
        (path, column.values.dtype, column.values.shape[1:]) if column.present is None else None
        for path, column in columns.items()
    )
    return (len(shapes), *shapes)


def _record(pieces: Sequence[Piece], tape: Tape, layout: Layout) -> Recorded:
    """Take pieces off the tape; several only where their columns have no gaps."""
    lengths = np.array([each.length for each in pieces])
    offsets = np.cumsum(lengths) - lengths
    begins = np.array([each.begin for each in pieces])
    steps = np.arange(int(lengths.sum())) + np.repeat(begins - offsets, lengths)
    lanes = np.repeat(np.array([each.lane for each in pieces]), lengths)
    observations, actions, agent_infos = fill(layout, tape.take(steps, lanes))
    ends = np.array([each.end for each in pieces], np.int8)
    return Recorded(
        observations=observations,
        last_observations=stack([each.last_observation for each in pieces]),
        actions=actions,
        rewards=tape.rewards(steps, lanes),
        step_types=label_pieces(lengths, ends, np.array([each.is_beginning for each in pieces])),
        lengths=lengths,
        complete=ends != StepType.MID,
        env_infos=_joined_columns([each.env_infos for each in pieces]),
        agent_infos=agent_infos,
        episode_infos=_joined_columns([each.episode_info for each in pieces]),
    )


def _joined_columns(columns: Sequence[Columns]) -> Columns:
    if len(columns) == 1:
        return columns[0]
    return {
        path: InfoColumn(np.concatenate([each[path].values for each in columns]), None) for path in columns[0]
    }
