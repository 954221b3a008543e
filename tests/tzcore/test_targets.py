"""What workers remember of what they have recorded."""

from __future__ import annotations

import os
from uuid import UUID

import pytest

from tzcore.targets import TargetMemory
from tzcore.uuid7 import uuid7


def test_inferences_and_episodes_are_told_apart() -> None:
    memory = TargetMemory()
    pairs = [(uuid7(), uuid7()) for _ in range(1000)]
    for inference_id, episode_id in pairs:
        memory.add(inference_id, episode_id)
    for inference_id, episode_id in pairs:
        assert memory.has_inference(inference_id) and memory.has_episode(episode_id)
        assert not memory.has_inference(episode_id) and not memory.has_episode(inference_id)
    assert not any(memory.has_inference(uuid7()) for _ in range(1000))


def test_every_digit_counts() -> None:
    memory = TargetMemory()
    memory.add(id_ := uuid7(), id_)
    number = UUID(id_).int
    for bit in range(128):
        other = str(UUID(int=number ^ 1 << bit))
        assert not memory.has_inference(other)
        assert not memory.has_episode(other)


@pytest.mark.parametrize("text", ["", "x", "é" * 18, "-" * 36, "0" * 36, "0" * 1000])
def test_other_texts_are_no_ids(text: str) -> None:
    memory = TargetMemory()
    memory.add(text, text)
    assert not memory.has_inference(text)
    assert not memory.has_episode(text)


def test_processes_share_it_and_the_oldest_goes_first() -> None:
    fd = os.memfd_create("recorded")
    memory = TargetMemory(fd)
    other = TargetMemory(fd)
    os.close(fd)
    episode = uuid7()
    first = uuid7()
    memory.add(first, episode)
    assert other.has_inference(first)
    ids = [uuid7() for _ in range(600_000)]
    for id_ in ids:
        other.add(id_, episode)
    assert not memory.has_inference(first)
    assert all(memory.has_inference(id_) for id_ in ids[-20_000:])
    other.add(ids[0], episode)
    assert memory.has_episode(episode)
