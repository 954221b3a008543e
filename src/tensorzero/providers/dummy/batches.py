"""Batches of the dummy: answered at their start, shown after some polls.

Nothing is kept here: what a batch answers stands in its ``params``, so any worker can be polled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from tensorzero.providers.base import Provider
from tensorzero.providers.batch import Items
from tensorzero.providers.chat_completions.answers import AnswerReader, batch_result
from tensorzero.types.batch import BatchPoll, BatchResult, StartedBatch
from tensorzero.types.errors.batch import InvalidBatchParams

_READER = AnswerReader("dummy")


class DummyBatches:
    """Batches of one dummy model. ``polls``: how many polls find it pending."""

    def __init__(self, model: Provider, polls: int) -> None:
        self._model = model
        self._polls = polls

    async def start(self, items: Items) -> StartedBatch:
        responses = await asyncio.gather(
            *(self._model.infer(request, attempt) for request, attempt in items)
        )
        answers = {
            request.inference_id: orjson.loads(response.raw_response)
            for (request, _), response in zip(items, responses, strict=True)
        }
        return StartedBatch(
            {"polls": self._polls, "answers": answers},
            [response.raw_request for response in responses],
            orjson.dumps({"requests": len(items)}).decode(),
            '{"status":"validating"}',
        )

    async def poll(self, params: Mapping[str, Any]) -> BatchPoll:
        polls, answers = params.get("polls"), params.get("answers")
        if type(polls) is not int or type(answers) is not dict:
            raise InvalidBatchParams("`polls` is no number, or `answers` is no object")
        if polls > 0:
            left = {**params, "polls": polls - 1}
            return BatchPoll("pending", "poll", '{"status":"in_progress"}', left)
        results = [_result(inference_id, body) for inference_id, body in answers.items()]
        return BatchPoll("completed", "poll", '{"status":"completed"}', results=results)


def _result(inference_id: str, body: Any) -> BatchResult:
    try:
        answer = _READER.read(body)
    except (ValueError, TypeError) as error:
        raise InvalidBatchParams(f"an answer cannot be read: {error}") from None
    return batch_result(inference_id, answer, body)
