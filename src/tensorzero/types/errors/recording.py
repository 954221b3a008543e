"""What is recorded, and the database that holds it."""

from __future__ import annotations

from tensorzero.types.errors.base import GatewayError, MessageError


class ObservabilityUnavailable(MessageError):
    """Recording is required and cannot take another row."""

    kind = "ObservabilityUnavailable"
    status = 503


class ClickHouseConnection(MessageError):
    kind = "ClickHouseConnection"
    status = 503


class ClickHouseQuery(MessageError):
    kind = "ClickHouseQuery"
    status = 500


class ClickHouseDeserialization(MessageError):
    """A stored row that cannot be read."""

    kind = "ClickHouseDeserialization"
    status = 500
    prefix = "Error deserializing ClickHouse response: "


class InvalidDatasetName(GatewayError):
    kind = "InvalidDatasetName"
    status = 400

    def __init__(self, dataset_name: str) -> None:
        super().__init__(
            f'Invalid dataset name: {dataset_name}. Datasets cannot be named "builder" or begin '
            'with "tensorzero::"',
            dataset_name=dataset_name,
        )


class DatapointNotFound(GatewayError):
    kind = "DatapointNotFound"
    status = 404

    def __init__(self, dataset_name: str, datapoint_id: str) -> None:
        super().__init__(
            f"Datapoint not found for dataset: {dataset_name} and id: {datapoint_id}",
            dataset_name=dataset_name,
            datapoint_id=datapoint_id,
        )
