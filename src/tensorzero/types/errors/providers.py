"""What one provider attempt may raise."""

from __future__ import annotations

from typing import Any

from tensorzero.types.errors.base import GatewayError, MessageError
from tensorzero.types.usage import ApiType, RawResponse


class InferenceError(MessageError):
    kind = "Inference"


class ExtraBodyReplacement(GatewayError):
    kind = "ExtraBodyReplacement"
    status = 400

    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(
            f"Error replacing extra body: `{message}` with pointer: `{pointer}`",
            message=message,
            pointer=pointer,
        )


class Serialization(MessageError):
    kind = "Serialization"


class ProviderError(GatewayError):
    """A provider answered with an error, or with something that cannot be read."""

    def __init__(
        self,
        text: str,
        *,
        message: str,
        provider_type: str,
        api_type: ApiType,
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
        **fields: Any,
    ) -> None:
        if debug:
            if raw_request is not None:
                text += f"\nRaw request: {raw_request}"
            if raw_response is not None:
                text += f"\nRaw response: {raw_response}"
        super().__init__(
            text,
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request if debug else None,
            raw_response=raw_response if debug else None,
            **fields,
        )
        self.raw = (
            None if raw_response is None else RawResponse(provider_type, api_type, raw_response)
        )

    def raw_responses(self) -> list[RawResponse]:
        return [] if self.raw is None else [self.raw]


class InferenceClient(ProviderError):
    """The provider says that the request was at fault, or could not be reached."""

    kind = "InferenceClient"

    def __init__(
        self,
        message: str,
        *,
        provider_type: str,
        api_type: ApiType,
        status_code: int | None = None,
        reason: str = "",
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
    ) -> None:
        status_text = f"{status_code} {reason}".strip() + " " if status_code and not debug else ""
        super().__init__(
            f"Error {status_text}from {provider_type} client: {message}",
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=debug,
            status_code=status_code,
        )
        if status_code is not None:
            self.status = status_code


class InferenceServer(ProviderError):
    """The provider failed, or its answer cannot be read."""

    kind = "InferenceServer"

    def __init__(
        self,
        message: str,
        *,
        provider_type: str,
        api_type: ApiType,
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
    ) -> None:
        super().__init__(
            f"Error from {provider_type} server: {message}",
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=debug,
        )


class FatalStreamError(ProviderError):
    """A stream that broke and does not go on."""

    kind = "FatalStreamError"

    def __init__(
        self,
        message: str,
        *,
        provider_type: str,
        api_type: ApiType,
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
    ) -> None:
        super().__init__(
            f"Inference stream closed due to error from {provider_type} server: {message}",
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=debug,
        )
