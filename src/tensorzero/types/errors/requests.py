"""Requests that cannot be understood, or ask for what is not there."""

from __future__ import annotations

from typing import Any

from tensorzero.types.errors.base import GatewayError, MessageError


class JsonRequest(MessageError):
    kind = "JsonRequest"
    status = 400


class InvalidRequest(MessageError):
    kind = "InvalidRequest"
    status = 400


class InvalidOpenAICompatibleRequest(MessageError):
    kind = "InvalidOpenAICompatibleRequest"
    status = 400
    prefix = "Invalid request to OpenAI-compatible endpoint: "


class InvalidInferenceTarget(MessageError):
    kind = "InvalidInferenceTarget"
    status = 400
    prefix = "Invalid inference target: "


class InvalidMessage(MessageError):
    kind = "InvalidMessage"
    status = 400


class DynamicJsonSchema(MessageError):
    kind = "DynamicJsonSchema"
    status = 400


class DynamicTemplateLoad(MessageError):
    kind = "DynamicTemplateLoad"
    status = 400


class JsonSchemaValidation(GatewayError):
    """An input that breaks its schema. ``data`` is shown in debug mode only."""

    kind = "JsonSchemaValidation"
    status = 400

    def __init__(
        self, message: str, *, schema: Any, data: Any, schema_text: str, data_text: str | None
    ) -> None:
        shown = "" if data_text is None else f"\n\nData:\n{data_text}"
        super().__init__(
            f"JSON Schema validation failed\n{message}{shown}\n\nSchema:\n{schema_text}",
            messages=[message],
            data=data if data_text is not None else None,
            schema=schema,
        )


class InvalidUuid(GatewayError):
    kind = "InvalidUuid"
    status = 400

    def __init__(self, raw_uuid: str) -> None:
        super().__init__(f"Failed to parse UUID as v7: {raw_uuid}", raw_uuid=raw_uuid)


class InvalidTensorzeroUuid(GatewayError):
    kind = "InvalidTensorzeroUuid"
    status = 400

    def __init__(self, uuid_kind: str, message: str) -> None:
        super().__init__(f"Invalid {uuid_kind} ID: {message}", kind=uuid_kind, message=message)


class InvalidWorkflowEvaluationRun(GatewayError):
    kind = "InvalidWorkflowEvaluationRun"
    status = 400

    def __init__(self, episode_id: str) -> None:
        super().__init__(
            f"Workflow evaluation run not found for episode id: {episode_id}",
            episode_id=episode_id,
        )


class RouteNotFound(GatewayError):
    kind = "RouteNotFound"
    status = 404

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"Route not found: {method} {path}", path=path, method=method)
