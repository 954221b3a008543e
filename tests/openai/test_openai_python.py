"""The ``openai`` package for Python, as applications use it (section 12)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai_support import EMBEDDING, FUNCTION, HI, MODEL, OpenAIApi
from pydantic import BaseModel

from gateway.provider import delta, ending, message, tool_call


class Person(BaseModel):
    name: str


def test_create(api: OpenAIApi) -> None:
    """The gateway's own fields are attributes of the answer."""
    made = api.sdk.chat.completions.create(
        model=FUNCTION + "two",
        messages=[{"role": "user", "content": "hi"}],
        extra_body={
            "tensorzero::tags": {"customer": "c"},
            "tensorzero::variant_name": "a",
            "tensorzero::include_raw_usage": True,
        },
    )
    assert made.choices[0].message.content
    assert made.usage is not None and made.usage.total_tokens > 0
    assert made.episode_id != made.id  # type: ignore[attr-defined]  # an extra field
    assert made.tensorzero_raw_usage[0]["provider_type"] == "dummy"  # type: ignore[attr-defined]
    assert api.row(made.id)["tags"]["customer"] == "c"


def test_episodes(api: OpenAIApi) -> None:
    """Two calls of one episode."""
    first = api.sdk.chat.completions.create(model=FUNCTION + "two", messages=HI)
    episode = first.episode_id  # type: ignore[attr-defined]
    second = api.sdk.chat.completions.create(
        model=FUNCTION + "two", messages=HI, extra_body={"tensorzero::episode_id": episode}
    )
    assert second.episode_id == episode  # type: ignore[attr-defined]
    assert second.model == first.model


def test_stream(api: OpenAIApi) -> None:
    chunks = list(
        api.sdk.chat.completions.create(
            model=MODEL + "dummy::text?text=one+two+three",
            messages=HI,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "one two three"
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 3
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_stream_helper(api: OpenAIApi) -> None:
    """It accumulates texts and tool calls by itself."""
    model = MODEL + "dummy::text?text=one+two"
    with api.sdk.chat.completions.stream(model=model, messages=HI) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds and final.choices[0].message.content == "one two"
    api.provider.scripts["scripted"] = [
        delta(tool_calls=[{"index": 0, **tool_call("weather", "")}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city":'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '"Rome"}'}}]),
        *ending("tool_calls"),
    ]
    with api.sdk.chat.completions.stream(model=FUNCTION + "tools", messages=HI) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert call.type == "function" and call.id == "call_1"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Rome"}')


def test_parse(api: OpenAIApi) -> None:
    """Structured output with a model, on all targets."""
    api.provider.scripts["scripted"] = message('{"name":"Ada"}')
    for model in (MODEL + "scripted", FUNCTION + "chat", MODEL + "dummy::json"):
        parsed = api.sdk.chat.completions.parse(model=model, messages=HI, response_format=Person)
        assert isinstance(parsed.choices[0].message.parsed, Person)
    sent = api.provider.last["response_format"]
    assert sent["type"] == "json_schema"
    api.provider.scripts["scripted"] = message('{"name":', "length")
    with pytest.raises(openai.LengthFinishReasonError):
        api.sdk.chat.completions.parse(model=FUNCTION + "chat", messages=HI, response_format=Person)
    api.provider.scripts["scripted"] = message(None, "content_filter")
    with pytest.raises(openai.ContentFilterFinishReasonError):
        api.sdk.chat.completions.parse(model=FUNCTION + "chat", messages=HI, response_format=Person)


def test_parsed_tools(api: OpenAIApi) -> None:
    """A pydantic model as a tool; then its result, and the answer to it."""
    made = tool_call("Person", '{"name":"Ada"}')
    api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=[made])
    tools = [openai.pydantic_function_tool(Person)]
    first = api.sdk.chat.completions.parse(model=FUNCTION + "chat", messages=HI, tools=tools)
    told = first.choices[0].message
    assert told.tool_calls is not None
    assert told.tool_calls[0].function.parsed_arguments == Person(name="Ada")
    assert api.provider.last["tools"][0]["strict"] is True
    api.provider.scripts["scripted"] = message("Ada it is.")
    messages: list[Any] = [
        *HI,
        told,
        {"role": "tool", "tool_call_id": told.tool_calls[0].id, "content": "done"},
    ]
    second = api.sdk.chat.completions.create(
        model=FUNCTION + "chat", messages=messages, tools=tools
    )
    assert second.choices[0].message.content == "Ada it is."
    content = api.row(second.id)["input"]["messages"][1]["content"]
    assert content[0]["type"] == "tool_call"


@pytest.mark.parametrize(
    ("model", "fields", "kind"),
    [
        ("gpt-4o", {}, openai.BadRequestError),
        (FUNCTION + "nope", {}, openai.NotFoundError),
        (MODEL + "nope", {}, openai.BadRequestError),
        (MODEL + "status-429", {}, openai.InternalServerError),
        (FUNCTION + "late", {"tensorzero::variant_name": "variant"}, openai.APIStatusError),
    ],
)
def test_exceptions(
    api: OpenAIApi, model: str, fields: dict[str, Any], kind: type[openai.APIStatusError]
) -> None:
    for stream in (False, True):
        with pytest.raises(kind) as raised:
            api.sdk.chat.completions.create(
                model=model, messages=HI, stream=stream, extra_body=fields
            )
        error = raised.value
        assert error.status_code in (400, 404, 408, 502)
        assert isinstance(error.body, dict) and error.body["message"] in error.message
    with pytest.raises(openai.NotFoundError):
        api.sdk.embeddings.create(model="nope", input="x")


def test_an_error_within_a_stream(api: OpenAIApi) -> None:
    api.provider.scripts["scripted"] = [delta(content="Hi"), "{broken", *ending()]
    stream = api.sdk.chat.completions.create(model=FUNCTION + "chat", messages=HI, stream=True)
    seen = []
    with pytest.raises(openai.APIError, match="Error parsing chunk"):
        seen += [chunk.choices[0].delta.content for chunk in stream]
    stream.close()


def test_raw_answers(api: OpenAIApi) -> None:
    raw = api.sdk.chat.completions.with_raw_response.create(
        model=MODEL + "dummy::text", messages=HI
    )
    assert raw.headers["x-tensorzero-gateway-version"]
    assert raw.parse().id == json.loads(raw.content)["id"]
    with api.sdk.chat.completions.with_streaming_response.create(
        model=MODEL + "dummy::text", messages=HI
    ) as streamed:
        assert json.loads(streamed.read())["object"] == "chat.completion"


def test_retries_of_the_sdk(api: OpenAIApi) -> None:
    """It repeats what fails: the third attempt answers."""
    client = OpenAI(base_url=api.base, api_key="x", max_retries=2)
    made = client.chat.completions.create(
        model=MODEL + "dummy::text?fail_first=2&text=third", messages=HI
    )
    assert made.choices[0].message.content == "third"


def test_asynchronous(api: OpenAIApi) -> None:
    """Many at once, plain and streamed, and embeddings beside them."""

    async def run() -> None:
        client = api.asdk()

        async def plain(number: int) -> None:
            made = await client.chat.completions.create(
                model=f"{MODEL}dummy::text?text=answer+{number}", messages=HI
            )
            assert made.choices[0].message.content == f"answer {number}"

        async def streamed(number: int) -> None:
            stream = await client.chat.completions.create(
                model=f"{MODEL}dummy::text?text=stream+{number}", messages=HI, stream=True
            )
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(parts) == f"stream {number}"

        async def embedded(number: int) -> None:
            made = await client.embeddings.create(model=EMBEDDING + "small", input=[f"{number}"])
            assert len(made.data[0].embedding) == 8

        await asyncio.gather(
            *(work(number) for number in range(10) for work in (plain, streamed, embedded))
        )
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model=FUNCTION + "nope", messages=HI)
        parsed = await client.chat.completions.parse(
            model=MODEL + "dummy::json", messages=HI, response_format=Person
        )
        assert isinstance(parsed.choices[0].message.parsed, Person)
        names = [model.id async for model in client.models.list()]
        assert EMBEDDING + "small" in names
        await client.close()

    asyncio.run(run())


def test_embeddings(api: OpenAIApi) -> None:
    """The SDK asks for base64 and shows numbers, however many texts."""
    made = api.sdk.embeddings.create(model=EMBEDDING + "small", input=["a", "b"])
    assert [len(entry.embedding) for entry in made.data] == [8, 8]
    floats = api.sdk.embeddings.create(
        model=EMBEDDING + "small", input=["a", "b"], encoding_format="float"
    )
    assert floats.data[1].embedding == pytest.approx(made.data[1].embedding, abs=1e-7)
    wide = api.sdk.embeddings.create(model=EMBEDDING + "small", input="a", dimensions=20)
    assert len(wide.data[0].embedding) == 20
    assert made.usage.prompt_tokens == 2
    tokens = api.sdk.embeddings.create(model=EMBEDDING + "small", input=[[1, 2], [3]])
    assert len(tokens.data) == 2


def test_a_timeout_of_the_sdk(api: OpenAIApi) -> None:
    """The caller gives up; the inference does not."""
    client = OpenAI(base_url=api.base, api_key="x", max_retries=0, timeout=httpx.Timeout(0.3))
    model = MODEL + "dummy::text?latency_ms=800&text=late+but+whole"
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=model, messages=HI)
    sql = "SELECT count() AS n FROM ChatInference WHERE output LIKE '%late but whole%'"
    for _ in range(200):
        if int(api.sql(sql)[0]["n"]) == 1:
            return
        asyncio.run(asyncio.sleep(0.1))
    raise AssertionError("no row of the inference that nobody waited for")
