"""``list_inferences`` and ``get_inferences``: the contract's page on inference queries."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tensorzero.gateway.queries.page import find_ids, find_page
from tensorzero.gateway.queries.request import (
    GetInferences,
    ListInferences,
    check_list,
    function_type,
    parse_get,
    parse_list,
)
from tensorzero.gateway.queries.rows import read_rows
from tensorzero.gateway.services import Services
from tensorzero.gateway.stored.inference import StoredInference
from tensorzero.types.json_text import dumps_exactly


async def list_inferences(
    request: ListInferences, services: Services
) -> AsyncIterator[StoredInference]:
    """What is recorded and fits; raises the refusals of the contract and what ``Reads`` raises.

    Without recording there is nothing.
    """
    check_list(request, services.config)
    if services.records:
        keys = await find_page(request, services.config, services.reads)
        async for inference in read_rows(keys, request.output_source, services.reads):
            yield inference


async def get_inferences(
    request: GetInferences, services: Services
) -> AsyncIterator[StoredInference]:
    """Those that are there, newest first; raises as ``list_inferences`` does."""
    if request.function_name is not None:
        function_type(request.function_name, services.config)
    if services.records:
        only, reads = request.function_name, services.reads
        keys = await find_ids(request.ids, only, services.config, reads)
        async for inference in read_rows(keys, request.output_source, reads):
            yield inference


async def answer_list(body: bytes, services: Services) -> bytes:
    """The answer to a request, as JSON."""
    return await _answer(list_inferences(parse_list(body), services))


async def answer_get(body: bytes, services: Services) -> bytes:
    """The answer to a request, as JSON."""
    return await _answer(get_inferences(parse_get(body), services))


async def _answer(inferences: AsyncIterator[StoredInference]) -> bytes:
    written = [dumps_exactly(inference.to_json()) async for inference in inferences]
    return b'{"inferences":[' + b",".join(written) + b"]}"
