"""Episodes that have ended, or were cut: noted one by one, and taken off the tape many at a time."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from rlx_sampler._batches.infos import Columns, Info, shared_columns, to_columns
from rlx_sampler._batches.layouts import Layout, fill
from rlx_sampler._batches.recorded import Harvest, Part, Recorded, as_recorded, assemble
from rlx_sampler._batches.step_types import StepType, label_pieces
from rlx_sampler._batches.trees import ArrayTree, stack
from rlx_sampler._workers.tape import Tape


class Piece(NamedTuple):
    """An episode, or a part of one, whose steps are on the tape."""

    episode: int
    """Episode number of the key that it belongs to."""
    lane: int
    begin: int
    """Its first step on the tape."""
    length: int
    end: StepType
    is_beginning: bool
    last_observation: ArrayTree
    infos: Sequence[Info]
    """One a step; empty where all are."""
    episode_info: Info


class _Columns(NamedTuple):
    """The infos of several pieces."""

    by_step: Columns
    by_piece: Columns


def harvest(pieces: Sequence[Piece], tape: Tape, layout: Layout) -> Iterator[Harvest]:
    """Take the pieces off the tape, together where their infos are alike.

    Args:
        pieces: In the order of time.
        tape: Where their steps are.
        layout: How observations, actions and agent infos lie on the tape.
    """
    if not pieces:
        return
    ordered = sorted(pieces, key=lambda each: each.episode)
    keys = [list(each) for _, each in groupby(ordered, key=lambda each: each.episode)]
    columns = _shared_columns(ordered)
    if columns is not None:
        yield _harvest(keys, _record(ordered, columns, tape, layout))
        return
    for key in keys:
        alone = [_record([each], _own_columns(each), tape, layout) for each in key]
        yield _harvest([key], _joined(alone))


def _harvest(keys: Sequence[Sequence[Piece]], recorded: Recorded) -> Harvest:
    return Harvest([key[0].episode for key in keys], [len(key) for key in keys], recorded)


def _joined(recordings: Sequence[Recorded]) -> Recorded:
    if len(recordings) == 1:
        return recordings[0]
    return as_recorded(assemble([Part.of_all(recorded) for recorded in recordings]))


def _shared_columns(pieces: Sequence[Piece]) -> _Columns | None:
    by_piece = shared_columns([each.episode_info for each in pieces])
    infos = [info for each in pieces for info in each.infos]
    has_all = not infos or all(each.infos for each in pieces)
    by_step = shared_columns(infos) if has_all else None
    return None if by_step is None or by_piece is None else _Columns(by_step, by_piece)


def _own_columns(piece: Piece) -> _Columns:
    return _Columns(to_columns(piece.infos), to_columns([piece.episode_info]))


def _record(pieces: Sequence[Piece], columns: _Columns, tape: Tape, layout: Layout) -> Recorded:
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
        env_infos=columns.by_step,
        agent_infos=agent_infos,
        episode_infos=columns.by_piece,
    )
