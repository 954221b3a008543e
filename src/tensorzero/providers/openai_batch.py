"""OpenAI's Batch API: a file of requests up, a batch, a file of answers down.

Source: the contract's page on the OpenAI-like family, section 11;
https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import orjson

from tensorzero.providers.batch import Items
from tensorzero.providers.chat_completions.answers import batch_result
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.credentials import api_key
from tensorzero.providers.failures import UNREADABLE
from tensorzero.providers.http import join_api_base
from tensorzero.types import json_text
from tensorzero.types.batch import BatchPoll, BatchResult, BatchStatus, StartedBatch
from tensorzero.types.credentials import Credentials
from tensorzero.types.errors.batch import InvalidBatchParams, MissingBatchInferenceResponse
from tensorzero.types.model import Attempt
from tzcore.client import ClientError, Response, Target

log = logging.getLogger(__name__)

ENDPOINT = "/v1/chat/completions"
_STATUSES: Mapping[str, BatchStatus] = {
    "validating": "pending",
    "in_progress": "pending",
    "finalizing": "pending",
    "completed": "completed",
    "failed": "failed",
    "expired": "failed",
    "cancelling": "failed",
    "cancelled": "failed",
}
_LINES_AT_ONCE = 100
"""Lines that are read before other requests have their turn."""


class OpenAIBatches:
    """Batches of one ``openai`` provider. ``chat`` writes and reads the bodies of the items."""

    def __init__(self, chat: ChatCompletionsProvider) -> None:
        self._chat = chat
        self._base = chat.config.options.get("api_base") or chat.api_base

    async def start(self, items: Items) -> StartedBatch:
        """Upload the items, then create the batch."""
        raw_requests = []
        lines = []
        for request, attempt in items:
            payload, raw_request = await self._chat.rendered_body(request, attempt)
            raw_requests.append(raw_request)
            lines.append(
                b'{"custom_id":"%b","method":"POST","url":"%b","body":%b}'
                % (request.inference_id.encode(), ENDPOINT.encode(), payload)
            )
        credentials = items[0][1].credentials
        file_id = await self._upload(b"\n".join(lines), credentials)
        body = {
            "input_file_id": file_id,
            "endpoint": ENDPOINT,
            "completion_window": "24h",
        }
        raw_request = orjson.dumps(body).decode()
        target = self._target("batches", credentials)
        response = await self._post(target, raw_request.encode(), raw_request)
        try:
            batch = json_text.loads(response.body)
            batch_id = _text(batch["id"], "id")
            _text(batch["status"], "status")
            faults = (batch.get("errors") or {}).get("data") or []
            errors = [orjson.dumps(fault).decode() for fault in faults]
        except UNREADABLE as error:
            raise self._chat.failures.unreadable(error, response, raw_request, target) from None
        return StartedBatch(
            {"file_id": file_id, "batch_id": batch_id},
            raw_requests,
            raw_request,
            response.body.decode("utf-8", "replace"),
            errors,
        )

    async def poll(self, params: Mapping[str, Any]) -> BatchPoll:
        """Ask for the batch; fetch its answers when it is completed."""
        for name in ("file_id", "batch_id"):
            if not isinstance(params.get(name), str):
                raise InvalidBatchParams(f"`{name}` is missing or not a string")
        credentials = Credentials()
        path = f"batches/{params['batch_id']}"
        target = self._target(path, credentials)
        raw_request = join_api_base(self._base, path)
        response = await self._answer(target, b"", b"GET", raw_request)
        text = response.body.decode("utf-8", "replace")
        if response.status == 404:
            log.warning("openai does not know batch %s any more: it failed", params["batch_id"])
            return BatchPoll("failed", raw_request, text)
        self._check(response, raw_request, target)
        try:
            batch = json_text.loads(response.body)
            status = _STATUSES.get(_text(batch["status"], "status"))
            if status is None:
                raise ValueError(f"unknown batch status `{batch['status']}`")
            output, fault = batch.get("output_file_id"), batch.get("error_file_id")
            finished = batch.get("completed_at")
        except UNREADABLE as error:
            raise self._chat.failures.unreadable(error, response, raw_request, target) from None
        poll = BatchPoll(status, raw_request, text)
        if status != "completed":
            return poll
        if isinstance(finished, int):
            poll.finished_at_ms = finished * 1000
        if output:
            await self._add_results(poll, _text(output, "output_file_id"))
        else:
            poll.status = "failed"
            if not fault:
                poll.error = self._chat.failures.server(
                    "The batch is completed, but has no output file", raw_request, text
                )
        return poll

    async def _add_results(self, poll: BatchPoll, file_id: str) -> None:
        path = f"files/{file_id}/content"
        target = self._target(path, Credentials())
        raw_request = join_api_base(self._base, path)
        response = await self._answer(target, b"", b"GET", raw_request)
        self._check(response, raw_request, target)
        lines = [line for line in response.body.split(b"\n") if line.strip()]
        for number, line in enumerate(lines):
            if number % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                poll.results.append(self._result(line))
            except UNREADABLE as error:
                log.error("a line of a batch's answers cannot be read: %s", error)
        if poll.results:
            return
        poll.status = "failed"
        poll.error = MissingBatchInferenceResponse()
        if lines:
            poll.error = self._chat.failures.server(
                "No line of the batch's output file can be read", raw_request, None
            )

    def _result(self, line: bytes) -> BatchResult:
        row = json_text.loads(line)
        inference_id = str(UUID(_text(row["custom_id"], "custom_id")))
        body = row["response"]["body"]
        answer = self._chat.answer(body, Attempt("", "", "", Credentials()))
        return batch_result(inference_id, answer, body)

    async def _upload(self, content: bytes, credentials: Credentials) -> str:
        boundary = uuid4().hex.encode()
        part = b"--%b\r\ncontent-disposition: form-data; " % boundary
        body = b"".join(
            (
                part + b'name="purpose"\r\n\r\nbatch\r\n',
                part + b'name="file"; filename="data.jsonl"\r\n',
                b"content-type: application/json\r\n\r\n",
                content,
                b"\r\n--%b--\r\n" % boundary,
            )
        )
        form = ("content-type", f"multipart/form-data; boundary={boundary.decode()}")
        target = self._target("files", credentials).with_headers([form], [])
        response = await self._post(target, body, "")
        try:
            return _text(json_text.loads(response.body)["id"], "id")
        except UNREADABLE as error:
            raise self._chat.failures.unreadable(error, response, "", target) from None

    def _target(self, path: str, credentials: Credentials) -> Target:
        chat = self._chat
        key = api_key(chat.config.credential, credentials, chat.display_name)
        auth = [] if key is None else chat.auth_headers(key)
        return chat.make_target(auth, False, join_api_base(self._base, path))

    async def _post(self, target: Target, body: bytes, raw_request: str) -> Response:
        response = await self._answer(target, body, b"POST", raw_request)
        self._check(response, raw_request, target)
        return response

    async def _answer(
        self, target: Target, body: bytes, method: bytes, raw_request: str
    ) -> Response:
        """The answer, whatever its status; raises ``GatewayError`` when there is none."""
        chat = self._chat
        try:
            return await chat.context.pool.request(
                target, body, method=method, timeout_s=chat.timeout_s
            )
        except ClientError as error:
            raise chat.failures.unreachable(error, raw_request, target) from None

    def _check(self, response: Response, raw_request: str, target: Target) -> None:
        if not 200 <= response.status < 300:
            raise self._chat.failures.refusal(response, raw_request, target)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is not a string")
    return value
