"""Every route with every method: the answer, 405 with what is allowed, or 404 (the contract's
native inference API, section 1)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.api import Api

ID = "0190f000-0000-7000-8000-000000000001"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
ROUTES = {
    "/status": "GET,HEAD",
    "/health": "GET,HEAD",
    "/metrics": "GET,HEAD",
    "/internal/object_storage": "GET,HEAD",
    "/openai/v1/models": "GET,HEAD",
    "/openai/v1/models/tensorzero::function_name::chat": "GET,HEAD",
    "/inference": "POST",
    "/openai/v1/chat/completions": "POST",
    "/openai/v1/embeddings": "POST",
    "/feedback": "POST",
    "/batch_inference": "POST",
    f"/batch_inference/{ID}": "GET,HEAD",
    f"/batch_inference/{ID}/inference/{ID}": "GET,HEAD",
    "/workflow_evaluation_run": "POST",
    f"/workflow_evaluation_run/{ID}/episode": "POST",
    "/dynamic_evaluation_run": "POST",
    f"/dynamic_evaluation_run/{ID}/episode": "POST",
    "/v1/inferences/list_inferences": "POST",
    "/v1/inferences/get_inferences": "POST",
    "/v1/datasets/get_datapoints": "POST",
    "/v1/datasets/d": "DELETE",
    "/v1/datasets/d/datapoints": "DELETE,PATCH,POST",
    "/v1/datasets/d/datapoints/metadata": "PATCH",
    "/v1/datasets/d/from_inferences": "POST",
    "/v1/datasets/d/list_datapoints": "POST",
    "/v1/datasets/d/get_datapoints": "POST",
    "/internal/datasets": "GET,HEAD",
    "/internal/datasets/d/datapoints/clone": "POST",
    "/internal/datasets/d/datapoints/count": "GET,HEAD",
}
UNKNOWN = (
    "/",
    "/nope",
    "/Inference",
    "/inference/",
    "//inference",
    "/feedback/x",
    "/batch_inference/",
    f"/batch_inference/{ID}/",
    f"/batch_inference/{ID}/inference",
    f"/batch_inference/{ID}/inference/",
    f"/workflow_evaluation_run/{ID}",
    "/workflow_evaluation_run//episode",
    "/v1/datasets",
    "/v1/datasets/",
    "/v1/datasets//datapoints",
    "/v1/datasets/d/",
    "/v1/datasets/d/datapoints/x",
    "/v1/inferences",
    "/datasets/d/datapoints",
    "/internal/datasets/",
    "/internal/datasets/d/datapoints",
    "/openai/v1/models/",
    "/openai/v1",
)


@pytest.fixture(scope="module", params=["", "/p"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Without a base path, and with one (which records nothing)."""
    api: Api = request.getfixturevalue("silent" if request.param else "api")
    with httpx.Client(base_url=api.url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("path", ROUTES)
def test_a_route(client: httpx.Client, path: str) -> None:
    allowed = ROUTES[path].split(",")
    for method in METHODS:
        answer = client.request(method, path)
        assert answer.headers["x-tensorzero-gateway-version"], method
        if method in allowed:
            assert answer.status_code != 405, method
            assert not answer.text.startswith('{"error":"Route not found'), method
        else:
            assert (method, answer.status_code, answer.content) == (method, 405, b"")
            assert answer.headers["allow"] == ROUTES[path], method


@pytest.mark.parametrize("path", [path for path, allowed in ROUTES.items() if "HEAD" in allowed])
def test_head_is_answered_as_get_without_the_body(client: httpx.Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path not in ("/metrics", "/health"):  # whose bodies may have changed
        assert head.headers["content-length"] == got.headers["content-length"]
    # The connection is where the next request expects it.
    assert client.get("/status").json()["status"] == "ok"


@pytest.mark.parametrize("path", UNKNOWN)
def test_no_route(client: httpx.Client, path: str) -> None:
    base = client.base_url.path.rstrip("/")
    for method in METHODS:
        answer = client.request(method, str(client.base_url).rstrip("/") + path)
        assert (method, answer.status_code) == (method, 404)
        assert "allow" not in answer.headers
        assert answer.headers["x-tensorzero-gateway-version"]
        if method != "HEAD":
            assert answer.json()["error"] == f"Route not found: {method} {base}{path}"


def test_routes_are_below_the_base_path_only(silent: Api) -> None:
    for path in ("/status", "/inference", f"/batch_inference/{ID}", "/v1/datasets/d"):
        assert httpx.post(silent.gateway.url + path).status_code == 404
