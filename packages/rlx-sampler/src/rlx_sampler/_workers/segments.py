"""Episodes that have ended, or were cut: noted one by one, and taken off the step buffer many at a time."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from rlx_sampler._batches.infos import Columns, Info, shared_columns, to_columns
from rlx_sampler._batches.layouts import Layout, fill
from rlx_sampler._batches.recorded import EpisodeChunk, Part, Recorded, as_recorded, assemble
from rlx_sampler._batches.step_types import StepType, label_segments
from rlx_sampler._batches.trees import ArrayTree, stack
from rlx_sampler._workers.step_buffer import StepBuffer


class Segment(NamedTuple):
    """An episode, or a part of one, whose steps are in the step buffer."""

    episode: int
    """Episode number of the key that it belongs to."""
    lane: int
    begin: int
    """Its first step in the step buffer."""
    length: int
    end: StepType
    is_beginning: bool
    last_observation: ArrayTree
    infos: Sequence[Info]
    """One a step; empty where all are."""
    episode_info: Info


class _Columns(NamedTuple):
    """The infos of several segments."""

    by_step: Columns
    by_segment: Columns


def chunks_of(segments: Sequence[Segment], step_buffer: StepBuffer, layout: Layout) -> Iterator[EpisodeChunk]:
    """Take the segments off the step buffer, together where their infos are alike.

    Args:
        segments: In the order of time.
        step_buffer: Where their steps are.
        layout: How observations, actions and agent infos lie in the step buffer.
    """
    if not segments:
        return
    ordered = sorted(segments, key=lambda each: each.episode)
    keys = [list(each) for _, each in groupby(ordered, key=lambda each: each.episode)]
    columns = _shared_columns(ordered)
    if columns is not None:
        yield _chunk(keys, _record(ordered, columns, step_buffer, layout))
        return
    for key in keys:
        alone = [_record([each], _own_columns(each), step_buffer, layout) for each in key]
        yield _chunk([key], _joined(alone))


def _chunk(keys: Sequence[Sequence[Segment]], recorded: Recorded) -> EpisodeChunk:
    return EpisodeChunk([key[0].episode for key in keys], [len(key) for key in keys], recorded)


def _joined(recordings: Sequence[Recorded]) -> Recorded:
    if len(recordings) == 1:
        return recordings[0]
    return as_recorded(assemble([Part.of_all(recorded) for recorded in recordings]))


def _shared_columns(segments: Sequence[Segment]) -> _Columns | None:
    by_segment = shared_columns([each.episode_info for each in segments])
    infos = [info for each in segments for info in each.infos]
    has_all = not infos or all(each.infos for each in segments)
    by_step = shared_columns(infos) if has_all else None
    return None if by_step is None or by_segment is None else _Columns(by_step, by_segment)


def _own_columns(segment: Segment) -> _Columns:
    return _Columns(to_columns(segment.infos), to_columns([segment.episode_info]))


def _record(
    segments: Sequence[Segment], columns: _Columns, step_buffer: StepBuffer, layout: Layout
) -> Recorded:
    lengths = np.array([each.length for each in segments])
    offsets = np.cumsum(lengths) - lengths
    begins = np.array([each.begin for each in segments])
    steps = np.arange(int(lengths.sum())) + np.repeat(begins - offsets, lengths)
    lanes = np.repeat(np.array([each.lane for each in segments]), lengths)
    observations, actions, agent_infos = fill(layout, step_buffer.take(steps, lanes))
    ends = np.array([each.end for each in segments], np.int8)
    return Recorded(
        observations=observations,
        last_observations=stack([each.last_observation for each in segments]),
        actions=actions,
        rewards=step_buffer.rewards(steps, lanes),
        step_types=label_segments(lengths, ends, np.array([each.is_beginning for each in segments])),
        lengths=lengths,
        complete=ends != StepType.MID,
        env_infos=columns.by_step,
        agent_infos=agent_infos,
        episode_infos=columns.by_segment,
    )
