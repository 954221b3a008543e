"""``POST /batch_inference`` and the routes that poll a batch."""

from __future__ import annotations

from tensorzero.api.use_case import Call, UseCase
from tensorzero.gateway.batch.poll import poll
from tensorzero.gateway.batch.start import start
from tensorzero.gateway.services import Services


def batch_use_cases(services: Services) -> dict[tuple[str, str], UseCase]:
    """By method and path. A poll writes too, so it goes on when its client leaves."""

    async def start_batch(call: Call) -> object:
        return await start(call.body, services)

    async def poll_batch(call: Call) -> object:
        return await poll(call.path["batch_id"], call.path.get("inference_id"), services)

    return {
        ("POST", "/batch_inference"): start_batch,
        ("GET", "/batch_inference/{batch_id}"): poll_batch,
        ("GET", "/batch_inference/{batch_id}/inference/{inference_id}"): poll_batch,
    }
