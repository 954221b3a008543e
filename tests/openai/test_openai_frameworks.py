"""LangChain and Instructor, changed in nothing but ``base_url`` and the model's name."""

from __future__ import annotations

import asyncio
from typing import Any

import instructor
import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai_support import EMBEDDING, FUNCTION, MODEL, OpenAIApi
from pydantic import BaseModel, SecretStr

from gateway.provider import delta, ending, message, tool_call

KEY = SecretStr("anything")


class Person(BaseModel):
    """A person."""

    name: str


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def model(api: OpenAIApi, name: str, **fields: Any) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=api.base,
        api_key=KEY,
        model=name,
        max_retries=0,
        http_client=api.raw,
        **fields,
    )


def test_langchain_answers(api: OpenAIApi) -> None:
    chat = model(api, MODEL + "dummy::text?text=one+two", temperature=0.3)
    made = chat.invoke([SystemMessage("Be brief."), HumanMessage("hi")])
    assert made.content == "one two"
    assert made.usage_metadata is not None and made.usage_metadata["output_tokens"] == 2
    row = api.row(made.response_metadata["id"])
    assert row["input"]["system"] == "Be brief."
    assert row["inference_params"]["chat_completion"]["temperature"] == 0.3


def test_langchain_streams(api: OpenAIApi) -> None:
    chat = model(api, MODEL + "dummy::text?text=one+two+three", stream_usage=True)
    parts = list(chat.stream("hi"))
    assert "".join(str(part.content) for part in parts) == "one two three"
    usages = [part.usage_metadata for part in parts if part.usage_metadata]
    assert [usage["output_tokens"] for usage in usages] == [3]


def test_langchain_tools(api: OpenAIApi) -> None:
    """A call, its result, and what the model makes of it; plain and streamed."""
    chat = model(api, FUNCTION + "chat").bind_tools([weather])
    made = tool_call("weather", '{"city":"Rome"}')
    api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=[made])
    first = chat.invoke("hi")
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Rome"})
    api.provider.scripts["scripted"] = message("Sunny.")
    result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
    assert chat.invoke([HumanMessage("hi"), first, result]).content == "Sunny."
    assert api.provider.last["messages"][-1]["role"] == "tool"
    api.provider.scripts["scripted"] = [
        delta(tool_calls=[{"index": 0, **tool_call("weather", "")}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city":"Bonn"}'}}]),
        *ending("tool_calls"),
    ]
    whole: Any = None
    for part in chat.stream("hi"):
        whole = part if whole is None else whole + part
    assert whole.tool_calls[0]["args"] == {"city": "Bonn"}


def test_langchain_structured_output(api: OpenAIApi) -> None:
    api.provider.scripts["scripted"] = message('{"name":"Ada"}')
    for method in ("json_schema", "json_mode"):
        chat = model(api, FUNCTION + "chat").with_structured_output(Person, method=method)
        assert chat.invoke("hi as json") == Person(name="Ada")
    made = tool_call("Person", '{"name":"Ada"}')
    api.provider.scripts["scripted"] = message(None, "tool_calls", tool_calls=[made])
    chat = model(api, FUNCTION + "chat").with_structured_output(Person, method="function_calling")
    assert chat.invoke("hi") == Person(name="Ada")


def test_langchain_extensions(api: OpenAIApi) -> None:
    chat = model(api, FUNCTION + "two", extra_body={"tensorzero::tags": {"chain": "x"}})
    made = asyncio.run(chat.ainvoke("hi"))
    assert api.row(made.response_metadata["id"])["tags"] == {"chain": "x"}
    with pytest.raises(openai.NotFoundError):
        model(api, FUNCTION + "nope").invoke("hi")


def test_langchain_embeddings(api: OpenAIApi) -> None:
    """Texts; or token numbers, as it sends them unless it is told not to."""
    made = OpenAIEmbeddings(
        base_url=api.base,
        api_key=KEY,
        model=EMBEDDING + "small",
        http_client=api.raw,
        check_embedding_ctx_length=False,
    )
    vectors = made.embed_documents(["red", "blue"])
    assert [len(vector) for vector in vectors] == [8, 8]
    assert made.embed_query("red") == pytest.approx(vectors[0])
    tokens = made.client.create(model=EMBEDDING + "small", input=[[1, 2], [3]])
    assert len(tokens.data) == 2


MODES = [
    (instructor.Mode.TOOLS, True),
    (instructor.Mode.JSON, False),
    (instructor.Mode.JSON_SCHEMA, False),
]


@pytest.mark.parametrize(("mode", "by_tool"), MODES)
def test_instructor(api: OpenAIApi, mode: Any, by_tool: bool) -> None:
    client = instructor.from_openai(api.sdk, mode=mode)
    made = tool_call("Person", '{"name":"Ada"}')
    api.provider.scripts["scripted"] = (
        message(None, "tool_calls", tool_calls=[made]) if by_tool else message('{"name":"Ada"}')
    )
    found = client.chat.completions.create(
        model=FUNCTION + "chat",
        messages=[{"role": "user", "content": "Who?"}],
        response_model=Person,
        max_retries=0,
    )
    assert (type(found).__name__, found.name) == ("Person", "Ada")


def test_instructor_asks_again(api: OpenAIApi) -> None:
    """An answer that does not fit goes back with what was wrong, and the next one fits."""
    client = instructor.from_openai(api.sdk, mode=instructor.Mode.TOOLS)
    api.provider.scripts["scripted"] = message(
        None, "tool_calls", tool_calls=[tool_call("Person", '{"name":5}')]
    )
    with pytest.raises(Exception, match="valid string"):
        client.chat.completions.create(
            model=FUNCTION + "chat",
            messages=[{"role": "user", "content": "Who?"}],
            response_model=Person,
            max_retries=1,
        )
    roles = [one["role"] for one in api.provider.last["messages"]]
    assert "assistant" in roles and roles[-1] in ("tool", "user")
