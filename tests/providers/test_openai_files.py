"""Files in the requests of the ``openai`` provider: by URL, by content, and as recorded."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.calls import assistant, call, request, user
from tensorzero.types.errors import BadFileFetch, InvalidMessage
from tensorzero.types.extra import ExtraBody
from tensorzero.types.files import File, FileData, StoragePath

PNG = "iVBORw0KGgo="
URL = "https://example.com/a"


def content(*blocks: Any, fields: Any = None, **options: Any) -> Any:
    options.setdefault("files", {})
    outcome = call(request(user(*blocks), **(fields or {})), **options)
    outcome.answered()
    return orjson.loads(outcome.body)["messages"][0]["content"]


def image(url: str, **more: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


@pytest.mark.parametrize("mime_type", [None, "image/png", "image/webp"])
def test_an_image_url_is_passed_on_without_a_fetch(mime_type: str | None) -> None:
    assert content("a", File(url=URL, mime_type=mime_type)) == [
        {"type": "text", "text": "a"},
        image(URL),
    ]


def test_a_single_image_is_a_list() -> None:
    assert content(File(url=URL)) == [image(URL)]


@pytest.mark.parametrize("detail", ["low", "high", "auto"])
def test_detail_is_sent(detail: Any) -> None:
    assert content(File(url=URL, detail=detail)) == [image(URL, detail=detail)]
    file = File(data=PNG, mime_type="image/png", detail=detail)
    assert content(file) == [image(f"data:image/png;base64,{PNG}", detail=detail)]


def test_fetching_can_be_asked_for() -> None:
    files = {URL: FileData(PNG, "image/png")}
    sent = content(File(url=URL), fields={"fetch_files": True}, files=files)
    assert sent == [image(f"data:image/png;base64,{PNG}")]


def test_a_pdf_url_is_fetched_and_inlined() -> None:
    files = {URL: FileData("JVBERi0=", "application/pdf")}
    inlined = {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "input.pdf"}
    assert content(File(url=URL, mime_type="application/pdf"), files=files) == [
        {"type": "file", "file": inlined}
    ]
    named = File(url=URL, mime_type="application/pdf", filename="report.pdf")
    assert content(named, files=files) == [
        {"type": "file", "file": {**inlined, "filename": "report.pdf"}}
    ]


def test_a_stored_file_is_inlined() -> None:
    pointer = StoragePath({"type": "disabled"}, "observability/files/x.png")
    file = File(data=PNG, mime_type="image/png", storage_path=pointer, source_url=URL)
    assert content(file) == [image(f"data:image/png;base64,{PNG}")]


def test_files_of_an_assistant_message() -> None:
    outcome = call(request(assistant("a", File(url=URL))))
    assert orjson.loads(outcome.body)["messages"][0]["content"][1] == image(URL)


AUDIO = {
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/m4a": "m4a",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/amr": "amr",
    "audio/aac": "aac",
    "audio/x-aac": "aac",
    "audio/aiff": "aiff",
    "audio/x-aiff": "aiff",
    "audio/x-dsf": "dsf",
    "audio/x-ape": "ape",
    "audio/webm": "webm",
    "audio/midi": "mid",
}


def test_audio_is_bare_data_with_its_format() -> None:
    files = [File(data="AAAA", mime_type=mime_type) for mime_type in AUDIO]
    assert content(*files) == [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": format}}
        for format in AUDIO.values()
    ]


@pytest.mark.parametrize(
    ("mime_type", "filename"),
    [("text/plain", "input.txt"), ("application/pdf", "input.pdf"), ("text/csv", "input.csv")],
)
def test_other_files_have_a_name(mime_type: str, filename: str) -> None:
    assert content(File(data="AAAA", mime_type=mime_type)) == [
        {
            "type": "file",
            "file": {"file_data": f"data:{mime_type};base64,AAAA", "filename": filename},
        }
    ]


@pytest.mark.parametrize("mime_type", ["audio/x-unheard-of", "application/x-unheard-of", ""])
def test_a_type_without_extension_is_refused(mime_type: str) -> None:
    outcome = call(request(user(File(data="AAAA", mime_type=mime_type))), files={})
    assert isinstance(outcome.failed(), InvalidMessage)
    assert outcome.seen == []


def test_content_type_overrides_choose_the_form() -> None:
    options = {
        "content_type_overrides": {
            "application/pdf": "image_url",
            "image/png": "file",
            "text/plain": "input_audio",
        }
    }
    pdf = File(data="AAAA", mime_type="application/pdf")
    assert content(pdf, options=options) == [image("data:application/pdf;base64,AAAA")]
    png = File(data=PNG, mime_type="image/png")
    inlined = {"file_data": f"data:image/png;base64,{PNG}", "filename": "input.png"}
    assert content(png, options=options) == [{"type": "file", "file": inlined}]
    text = File(data="AAAA", mime_type="text/plain")
    audio = {"data": "AAAA", "format": "txt"}
    assert content(text, options=options) == [{"type": "input_audio", "input_audio": audio}]
    jpeg = File(data="AAAA", mime_type="image/jpeg")
    assert content(jpeg, options=options) == [image("data:image/jpeg;base64,AAAA")]
    assert content(File(url=URL, mime_type="image/png"), options=options) == [image(URL)]


def test_a_file_that_cannot_be_fetched_fails_the_attempt() -> None:
    outcome = call(request(user(File(url=URL, mime_type="application/pdf"))), files={})
    assert isinstance(outcome.failed(), BadFileFetch)
    assert outcome.seen == []


def test_the_record_has_numbers_in_the_place_of_data() -> None:
    blocks = (
        "a",
        File(data=PNG, mime_type="image/png"),
        File(url=URL),
        File(data="AAAA", mime_type="audio/wav"),
        File(data=PNG, mime_type="application/pdf"),
    )
    outcome = call(
        request(user(*blocks), user(File(data=PNG, mime_type="image/png"))),
        extra_body=(ExtraBody("/x", 1),),
        files={},
    )
    raw = outcome.answered().raw_request
    assert PNG in outcome.body
    assert PNG not in raw and "AAAA" not in raw
    first, second = orjson.loads(raw)["messages"]
    assert first["content"] == [
        {"type": "text", "text": "a"},
        image("data:image/png;base64,<TENSORZERO_FILE_0>"),
        image(URL),
        {"type": "input_audio", "input_audio": {"data": "<TENSORZERO_FILE_1>", "format": "wav"}},
        {
            "type": "file",
            "file": {
                "file_data": "data:application/pdf;base64,<TENSORZERO_FILE_2>",
                "filename": "input.pdf",
            },
        },
    ]
    assert second["content"] == [image("data:image/png;base64,<TENSORZERO_FILE_3>")]
    assert raw.endswith('"model":"gpt-x","stream":false,"x":1}')
    for index, data in enumerate((PNG, "AAAA", PNG, PNG)):
        raw = raw.replace(f"<TENSORZERO_FILE_{index}>", data)
    assert raw == outcome.body
