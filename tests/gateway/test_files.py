"""Files: forms, object storage, fetching, what is recorded (checklist 24 to 26)."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from blake3 import blake3

from gateway import functions
from gateway.api import Api, text, user
from gateway.provider import Provider
from gateway.running import Gateway
from gateway.s3 import S3

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
PDF = b"%PDF-1.7 nothing"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def path_of(data: bytes, extension: str) -> str:
    """The content address: BLAKE3 of the base64 text."""
    return f"observability/files/{blake3(encoded(data).encode()).hexdigest()}{extension}"


def image(data: bytes = PNG, **fields: Any) -> dict[str, Any]:
    return {"type": "file", "file_type": "base64", "data": encoded(data), **fields}


def store(api: Api) -> Path:
    return api.data_dir / "files"


def kind(api: Api) -> dict[str, str]:
    return {"type": "filesystem", "path": str(store(api).resolve())}


def blocks(api: Api, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of the only message of the recorded input."""
    content: list[dict[str, Any]] = api.row(answer["inference_id"])["input"]["messages"][0][
        "content"
    ]
    return content


def sent_urls(api: Api) -> list[str]:
    content = api.provider.last["messages"][0]["content"]
    return [part["image_url"]["url"] for part in content if part["type"] == "image_url"]


def test_a_file_is_sent_stored_and_pointed_to(api: Api) -> None:
    """Checklist 24: with recording on it lies below the data directory."""
    data = PNG + b"first"
    answer = api.ok(function_name="chat", input=user(text("look"), image(data, detail="low")))
    assert sent_urls(api) == [f"data:image/png;base64,{encoded(data)}"]
    assert blocks(api, answer)[1] == {
        "type": "file",
        "source_url": None,
        "mime_type": "image/png",
        "storage_path": {"kind": kind(api), "path": path_of(data, ".png")},
        "detail": "low",
    }
    assert (store(api) / path_of(data, ".png")).read_bytes() == data
    model = api.model_row(answer["inference_id"])
    assert encoded(data) not in json.dumps(model)
    assert "data:image/png;base64,<TENSORZERO_FILE_0>" in model["raw_request"]
    assert model["input_messages"][0]["content"][1] == blocks(api, answer)[1]


def test_the_same_file_twice_is_one_object(api: Api) -> None:
    """Checklist 25; detail and filename are no part of the address."""
    data = PNG + b"twice"
    before = len(list((store(api) / "observability/files").glob("*")))
    given = user(image(data), image(data, filename="a.png", detail="high"))
    answers = [api.ok(function_name="chat", input=given) for _ in range(2)]
    for answer in answers:
        first, second = blocks(api, answer)
        assert first["storage_path"] == second["storage_path"]
        assert second["filename"] == "a.png"
        raw_request = api.model_row(answer["inference_id"])["raw_request"]
        assert "<TENSORZERO_FILE_0>" in raw_request
        assert "<TENSORZERO_FILE_1>" in raw_request
    assert len(list((store(api) / "observability/files").glob("*"))) == before + 1


@pytest.mark.parametrize(
    ("mime_type", "extension"),
    [
        ("image/jpeg", ".jpg"),
        ("image/gif", ".gif"),
        ("image/webp", ".webp"),
        ("application/pdf", ".pdf"),
        ("text/plain", ".txt"),
        ("audio/mpeg", ".mp3"),
        ("audio/mp4", ".m4a"),
        ("audio/wav", ".wav"),
    ],
)
def test_extensions_follow_the_mime_type(api: Api, mime_type: str, extension: str) -> None:
    """Section 4.4; with a MIME type given the bytes are not checked."""
    data = f"not a {mime_type}".encode()
    answer = api.ok(function_name="chat", input=user(image(data, mime_type=mime_type)))
    assert blocks(api, answer)[0]["storage_path"]["path"] == path_of(data, extension)


def test_the_type_is_guessed_from_the_first_bytes(api: Api) -> None:
    """Section 4.1."""
    answer = api.ok(function_name="chat", input=user(image(PDF)))
    assert blocks(api, answer)[0]["mime_type"] == "application/pdf"
    sent = api.provider.last["messages"][0]["content"][0]
    assert sent["file"]["file_data"] == f"data:application/pdf;base64,{encoded(PDF)}"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"file_type": "base64", "data": "data:image/png;base64,AAAA"}, ".data"),
        ({"file_type": "base64", "data": encoded(b"plain text")}, ""),
        ({"file_type": "base64", "data": "?"}, ""),
        ({"file_type": "base64"}, ""),
        ({"file_type": "url", "url": "/relative.png"}, ".url"),
        ({"file_type": "url", "url": 5}, ".url"),
        ({"file_type": "url"}, ""),
        ({"file_type": "nope"}, ".file_type"),
        ({"file_type": "url", "url": "http://x/y", "detail": "huge"}, ".detail"),
        ({"file_type": "url", "url": "http://x/y", "filename": 5}, ".filename"),
        ({}, ""),
        ({"file_type": "object_storage_pointer", "mime_type": "a/b"}, ""),
        (
            {
                "file_type": "object_storage_pointer",
                "storage_path": {"kind": {"type": "disabled"}, "path": "x"},
            },
            "",
        ),
        (
            {
                "file_type": "object_storage_pointer",
                "mime_type": "a/b",
                "storage_path": {"kind": {"type": "tape"}, "path": "x"},
            },
            ".storage_path.kind.type",
        ),
        (
            {
                "file_type": "object_storage",
                "mime_type": "a/b",
                "storage_path": {"kind": {"type": "disabled"}, "path": "x"},
            },
            "",
        ),
    ],
)
def test_files_that_are_refused(api: Api, fields: dict[str, Any], path: str) -> None:
    """Checklist 26."""
    body = api.refused(400, function_name="chat", input=user({"type": "file", **fields}))
    assert body["error"].startswith(f"input.messages[0].content[0]{path}: "), body


def test_forms_without_file_type(api: Api) -> None:
    """Checklist 26: the deprecated forms that clients still send."""
    url = f"{api.provider.origin}/old.png"
    api.provider.files["/old.png"] = ("image/png", PNG)
    old = [
        {"type": "image", "url": url},
        {"type": "image", "mime_type": "image/png", "data": encoded(PNG)},
        {"type": "file", "url": url, "data": "ignored: the URL comes first"},
    ]
    answer = api.ok(function_name="chat", input=user(*old))
    assert sent_urls(api) == [url, f"data:image/png;base64,{encoded(PNG)}", url]
    stored = blocks(api, answer)
    assert [block["type"] for block in stored] == ["file"] * 3
    assert [block["source_url"] for block in stored] == [url, None, url]
    assert {block["storage_path"]["path"] for block in stored} == {path_of(PNG, ".png")}


def test_a_url_is_forwarded_and_fetched_once_for_the_record(api: Api) -> None:
    """Section 4.3."""
    data = PNG + b"by url"
    api.provider.files["/a.bin"] = ("application/octet-stream", data)
    url = f"{api.provider.origin}/a.bin"
    block = {"type": "file", "file_type": "url", "url": url}
    answer = api.ok(function_name="chat", input=user(block))
    assert sent_urls(api) == [url]
    assert blocks(api, answer) == [
        {
            "type": "file",
            "source_url": url,
            "mime_type": "image/png",
            "storage_path": {"kind": kind(api), "path": path_of(data, ".png")},
        }
    ]
    assert api.provider.fetched == ["/a.bin"]
    assert {agent.split("/")[0] for agent in api.provider.agents} == {"TensorZero"}
    assert (store(api) / path_of(data, ".png")).read_bytes() == data


def test_a_dryrun_forwards_the_url_and_fetches_nothing(api: Api) -> None:
    """Section 4.4: no writes when nothing is recorded."""
    data = PNG + b"dry"
    api.provider.files["/dry.png"] = ("image/png", data)
    block = {"type": "file", "file_type": "url", "url": f"{api.provider.origin}/dry.png"}
    api.ok(function_name="chat", dryrun=True, input=user(block, image(data)))
    assert api.provider.fetched == []
    assert not (store(api) / path_of(data, ".png")).exists()


def test_a_url_of_another_type_is_fetched_once_for_provider_and_record(api: Api) -> None:
    """Sections 4.3: what the provider does not take by URL goes by content."""
    api.provider.files["/doc"] = ("application/pdf", PDF)
    block = {
        "type": "file",
        "file_type": "url",
        "url": f"{api.provider.origin}/doc",
        "mime_type": "application/pdf",
        "filename": "doc.pdf",
    }
    answer = api.ok(function_name="routed", input=user(block))
    assert [sent["model"] for sent in api.provider.sent] == ["status-500", "scripted"]
    sent = api.provider.last["messages"][0]["content"][0]
    assert sent == {
        "type": "file",
        "file": {
            "file_data": f"data:application/pdf;base64,{encoded(PDF)}",
            "filename": "doc.pdf",
        },
    }
    assert api.provider.fetched == ["/doc"]
    assert blocks(api, answer)[0]["storage_path"]["path"] == path_of(PDF, ".pdf")


@pytest.mark.parametrize(
    ("given", "header", "data", "wanted"),
    [
        ("image/webp", "image/gif", PNG, "image/webp"),
        (None, "image/gif", PNG + b"sniffed", "image/png"),
        (None, "image/svg+xml; charset=utf-8", b"<svg/>", "image/svg+xml"),
    ],
)
def test_which_mime_type_wins(
    api: Api, given: str | None, header: str, data: bytes, wanted: str
) -> None:
    """Section 4.3: given, then magic bytes, then the header."""
    api.provider.files["/typed"] = (header, data)
    block = {
        "type": "file",
        "file_type": "url",
        "url": f"{api.provider.origin}/typed",
        "mime_type": given,
    }
    answer = api.ok(function_name="chat", input=user(block))
    assert blocks(api, answer)[0]["mime_type"] == wanted


def test_a_file_that_is_missing_costs_neither_answer_nor_row(api: Api) -> None:
    """Section 15, section 16.5: recorded without the file."""
    url = f"{api.provider.origin}/gone.png"
    answer = api.ok(
        function_name="chat",
        input=user(text("look"), {"type": "file", "file_type": "url", "url": url}),
    )
    assert sent_urls(api) == [url]
    assert blocks(api, answer) == [text("look")]
    rendered = api.model_row(answer["inference_id"])["input_messages"]
    assert rendered == [{"role": "user", "content": [text("look")]}]


def test_a_file_that_is_slow_holds_the_answer_up_for_five_seconds_only(api: Api) -> None:
    """The record then does without it."""
    api.provider.files["/slow.png"] = ("image/png", PNG)
    block = {"type": "file", "file_type": "url", "url": f"{api.provider.origin}/slow.png"}
    started = time.monotonic()
    answer = api.ok(function_name="chat", input=user(text("look"), block))
    assert 4.5 < time.monotonic() - started < 6.9
    assert blocks(api, answer) == [text("look")]


def test_a_fetch_that_fails_is_the_provider_s_failure(api: Api) -> None:
    """Section 4.3: `BadFileFetch` inside an attempt."""
    url = f"{api.provider.origin}/gone.pdf"
    block = {"type": "file", "file_type": "url", "url": url, "mime_type": "application/pdf"}
    body = api.refused(500, url, "404", function_name="chat", variant_name="v", input=user(block))
    assert "All model providers failed" in body["error"]
    assert api.provider.requests == []


def test_a_pointer_is_read_from_the_store(api: Api) -> None:
    """Section 4.1: a stored block given back."""
    data = PNG + b"pointed"
    stored = blocks(api, api.ok(function_name="chat", input=user(image(data))))[0]
    for file_type in ("object_storage_pointer", "object_storage_error", None):
        pointer = {**stored, "file_type": file_type, "error": "once"}
        answer = api.ok(function_name="chat", input=user(pointer))
        assert sent_urls(api) == [f"data:image/png;base64,{encoded(data)}"]
        assert blocks(api, answer) == [stored]
    carried = {**stored, "file_type": "object_storage", "data": encoded(data)}
    answer = api.ok(function_name="chat", input=user({**carried, "source_url": "http://a/b.png"}))
    assert sent_urls(api) == [f"data:image/png;base64,{encoded(data)}"]
    assert blocks(api, answer) == [{**stored, "source_url": "http://a/b.png"}]


@pytest.mark.parametrize("path", ["observability/files/none.png", "../../../../etc/passwd", ""])
def test_a_pointer_to_nothing(api: Api, path: str) -> None:
    """Nor out of the store."""
    pointer = {
        "type": "file",
        "file_type": "object_storage_pointer",
        "mime_type": "image/png",
        "storage_path": {"kind": kind(api), "path": path},
    }
    api.refused(500, "fetching file", function_name="chat", variant_name="v", input=user(pointer))
    assert api.provider.requests == []


def test_a_pointer_into_another_store(api: Api) -> None:
    """Only the configured store is read."""
    pointer = {
        "type": "file",
        "file_type": "object_storage_pointer",
        "mime_type": "text/plain",
        "storage_path": {"kind": {"type": "filesystem", "path": "/etc"}, "path": "hostname"},
    }
    api.refused(500, "not configured", function_name="chat", variant_name="v", input=user(pointer))


def read_object(api: Api, storage_path: Any) -> httpx.Response:
    query = storage_path if isinstance(storage_path, str) else json.dumps(storage_path)
    return api.client.get(f"{api.url}/internal/object_storage", params={"storage_path": query})


def test_reading_objects_over_http(api: Api) -> None:
    """Section 4.5."""
    data = PNG + b"over http"
    stored = blocks(api, api.ok(function_name="chat", input=user(image(data))))[0]
    found = read_object(api, stored["storage_path"])
    assert found.status_code == 200
    assert found.json() == {"data": encoded(data), "reused_object_store": True}
    missing = read_object(api, {**stored["storage_path"], "path": "observability/files/no"})
    assert missing.status_code == 500
    outside = read_object(api, {**stored["storage_path"], "path": "../gateway.log"})
    assert outside.status_code == 500
    assert "is not in the store" in outside.json()["error"]
    for refused in (
        "{",
        "[]",
        "5",
        {"kind": {"type": "disabled"}, "path": "x"},
        {"kind": {"type": "filesystem", "path": "/etc"}, "path": "hostname"},
        {"kind": kind(api), "path": 5},
        {"kind": kind(api)},
    ):
        answer = read_object(api, refused)
        assert answer.status_code == 400, (refused, answer.text)
    assert api.client.get(f"{api.url}/internal/object_storage").status_code == 400


def test_without_recording_and_without_section_files_are_refused(silent: Api) -> None:
    """Checklist 24: before any provider call, and the text says what to do."""
    body = silent.refused(
        500, "[object_storage]", "disabled", function_name="chat", input=user(image())
    )
    assert body["error_json"] == {"ObjectStoreUnconfigured": {"block_type": "file"}}
    url = {"type": "file", "file_type": "url", "url": f"{silent.provider.origin}/x.png"}
    silent.refused(500, function_name="chat", input=user(url))
    assert silent.provider.requests == []


def test_with_storage_disabled_nothing_is_stored(storeless: Api) -> None:
    """Checklist 24."""
    answer = storeless.ok(function_name="chat", input=user(image()))
    assert blocks(storeless, answer) == [
        {
            "type": "file",
            "source_url": None,
            "mime_type": "image/png",
            "storage_path": {"kind": {"type": "disabled"}, "path": path_of(PNG, ".png")},
        }
    ]
    assert not (storeless.data_dir / "files").exists()
    disabled = {"kind": {"type": "disabled"}, "path": path_of(PNG, ".png")}
    assert read_object(storeless, disabled).status_code == 400


def test_files_by_content_for_all_providers(storeless: Api) -> None:
    """Section 4.3: `fetch_and_encode_input_files_before_inference`."""
    storeless.provider.files["/x.png"] = ("image/png", PNG)
    url = f"{storeless.provider.origin}/x.png"
    block = {"type": "file", "file_type": "url", "url": url, "detail": "high"}
    answer = storeless.ok(function_name="chat", input=user(block))
    assert sent_urls(storeless) == [f"data:image/png;base64,{encoded(PNG)}"]
    assert storeless.provider.fetched == ["/x.png"]
    assert "<TENSORZERO_FILE_0>" in storeless.model_row(answer["inference_id"])["raw_request"]


def test_a_file_beyond_the_cap(storeless: Api) -> None:
    """Section 4.3: no larger than a request body may be."""
    storeless.provider.files["/huge"] = ("image/png", b"\x89PNG\r\n\x1a\n" + bytes(104_857_600))
    url = f"{storeless.provider.origin}/huge"
    block = {"type": "file", "file_type": "url", "url": url}
    storeless.refused(500, "larger than", function_name="chat", variant_name="v", input=user(block))
    assert storeless.provider.requests == []


def test_an_s3_store(
    provider: Provider,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Section 4.4: create if absent, pointers with the resolved store, read back and by HTTP."""
    s3 = S3()
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "access")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "very-secret-key")
    folder = tmp_path_factory.mktemp("s3")
    settings = (
        '[object_storage]\ntype = "s3_compatible"\nbucket_name = "bucket"\n'
        f'region = "eu-west-1"\nendpoint = "{s3.url}"\nallow_http = true\n'
    )
    gateway = Gateway(functions.write(folder, provider.url, settings), folder / "data")
    try:
        api = Api(gateway, provider)
        data = PNG + b"in s3"
        path = path_of(data, ".png")
        first = api.ok(function_name="chat", input=user(image(data)))
        second = api.ok(function_name="chat", input=user(image(data)))
        kind = {
            "type": "s3_compatible",
            "bucket_name": "bucket",
            "region": "eu-west-1",
            "endpoint": s3.url,
            "allow_http": True,
        }
        for answer in (first, second):
            (stored,) = blocks(api, answer)
            assert stored["storage_path"] == {"kind": kind, "path": path}
        assert s3.objects[f"/bucket/{path}"] == data
        puts = [signature for put, signature in s3.puts if put == f"/bucket/{path}"]
        assert len(puts) == 2
        assert all("Credential=access/" in signature for signature in puts)
        pointer = {**stored, "file_type": "object_storage_pointer"}
        api.ok(function_name="chat", input=user(pointer))
        assert sent_urls(api) == [f"data:image/png;base64,{encoded(data)}"]
        assert read_object(api, stored["storage_path"]).json()["data"] == encoded(data)
        assert read_object(api, {"kind": kind, "path": "none"}).status_code == 500
        s3.shutdown()
        s3.server_close()
        away = api.ok(function_name="chat", input=user(image(PNG + b"store away")))
        assert blocks(api, away)[0]["storage_path"]["kind"] == kind
        assert "very-secret-key" not in api.log
    finally:
        assert gateway.stop() == 0
