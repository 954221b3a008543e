"""What each provider type does with each kind of call, found by making the call.

``python tests/providers/matrix.py`` (with ``src`` and ``tests`` in ``PYTHONPATH``) writes the
table into ``docs/providers.md``; ``test_matrix.py`` holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from providers import claude, gemini
from providers.aws_calls import converse, event_frame, frame, frames, header
from providers.calls import Outcome, assistant, call, request, user
from providers.family import BY_TYPE
from providers.test_sagemaker import invoke
from tensorzero.types.content import Text, Thought, ToolCall
from tensorzero.types.files import File
from tensorzero.types.model import ProviderChunk, TextChunk
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool, ToolCallConfig
from tensorzero.variants.chat_completion import implicit_tool
from upstream.scripted import CLOSE, DONE, Script, answer, event, stream

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- end of matrix -->\n"

SCHEMA = JSONSchema(
    {
        "type": "object",
        "properties": {"matrix_field": {"type": "string"}},
        "required": ["matrix_field"],
        "additionalProperties": False,
    }
)
TOOL = FunctionTool("matrix_tool", "matrix_tool", "A tool", SCHEMA)
TOOLS = ToolCallConfig((TOOL,))
DATA = "bWF0cml4"
ARGUMENTS = {"matrix_field": "a"}


@dataclass(frozen=True)
class Wire:
    """A vendor's form of answers. ``tools(n)``: an answer of ``n`` tool calls; ``ends`` is what
    the last part of ``events`` is cut off from in a cut stream."""

    text: Any
    tools: Callable[[int], Any]
    thought: Any
    events: list[bytes]
    ends: list[bytes]
    framed: bool = False

    def stream(self, *, cut: bool = False) -> Script:
        make = frames if self.framed else stream
        if cut:
            return make(*self.events, end=[CLOSE])
        return make(*self.events, *self.ends)


def _completion(finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish}]}


def _calls(n: int) -> dict[str, Any]:
    function = {"name": "matrix_tool", "arguments": orjson.dumps(ARGUMENTS).decode()}
    calls = [{"id": f"call_{at}", "type": "function", "function": function} for at in range(n)]
    return _completion("tool_calls", content=None, tool_calls=calls)


def _chat(**thought: Any) -> Wire:
    delta = {"choices": [{"delta": {"content": "Hello!"}}]}
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    return Wire(
        _completion(content="Hello!"),
        _calls,
        _completion(**{"content": "Hello!", **thought}),
        [event(delta)],
        [event(last), DONE],
    )


CHAT = _chat(reasoning_content="matrix thought")
_ROUTER = [{"type": "reasoning.text", "text": "matrix thought"}]
_THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "matrix thought"}]}
OPENROUTER = _chat(reasoning_details=_ROUTER)
MISTRAL = _chat(content=[_THINKING, {"type": "text", "text": "Hello!"}])


def _part_frame(data: bytes) -> bytes:
    kinds = header(":message-type", "event") + header(":event-type", "PayloadPart")
    return frame(data, kinds)


SAGEMAKER = Wire(
    CHAT.text,
    CHAT.tools,
    CHAT.thought,
    [_part_frame(one) for one in CHAT.events],
    [_part_frame(one) for one in CHAT.ends],
    framed=True,
)


def _item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def _said(text: str) -> dict[str, Any]:
    return _item("message", role="assistant", content=[{"type": "output_text", "text": text}])


def _responses_calls(n: int) -> dict[str, Any]:
    arguments = orjson.dumps(ARGUMENTS).decode()
    return {
        "output": [
            _item("function_call", call_id=f"c{at}", name="matrix_tool", arguments=arguments)
            for at in range(n)
        ]
    }


_REASONING = _item("reasoning", summary=[], encrypted_content="matrix thought")
RESPONSES = Wire(
    {"output": [_said("Hello!")]},
    _responses_calls,
    {"output": [_REASONING, _said("Hello!")]},
    [event(_item("response.output_text.delta", content_index=0, delta="Hello!"))],
    [event(_item("response.completed", response={"output": []}))],
)


def _claude_calls(n: int) -> dict[str, Any]:
    uses = [_item("tool_use", id=f"c{at}", name="matrix_tool", input=ARGUMENTS) for at in range(n)]
    return claude.says(*uses, stop="tool_use")


CLAUDE = Wire(
    claude.says("Hello!"),
    _claude_calls,
    claude.says(_item("thinking", thinking="matrix thought", signature="s"), "Hello!"),
    [
        claude.OPENING,
        claude.start(0, "text", text=""),
        claude.delta(0, "text_delta", text="Hello!"),
    ],
    [claude.stop(0), claude.ending(), claude.STOP],
)


def _gemini_calls(n: int) -> dict[str, Any]:
    return gemini.says(*[{"functionCall": {"name": "matrix_tool", "args": ARGUMENTS}}] * n)


GEMINI = Wire(
    gemini.says("Hello!"),
    _gemini_calls,
    gemini.says({"thought": True, "text": "matrix thought", "thoughtSignature": "s"}, "Hello!"),
    [event(gemini.says("Hello!", finish=None))],
    [event(gemini.says("", finish="STOP"))],
)


def _converse(*content: Any, stop: str = "end_turn") -> dict[str, Any]:
    message = {"role": "assistant", "content": list(content)}
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    return {"output": {"message": message}, "stopReason": stop, "usage": usage}


def _converse_calls(n: int) -> dict[str, Any]:
    uses = [
        {"toolUse": {"toolUseId": f"c{at}", "name": "matrix_tool", "input": ARGUMENTS}}
        for at in range(n)
    ]
    return _converse(*uses, stop="tool_use")


_REASONED = {"reasoningText": {"text": "matrix thought", "signature": "s"}}
BEDROCK = Wire(
    _converse({"text": "Hello!"}),
    _converse_calls,
    _converse({"reasoningContent": _REASONED}, {"text": "Hello!"}),
    [
        event_frame("messageStart", {"role": "assistant"}),
        event_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello!"}}),
    ],
    [event_frame("messageStop", {"stopReason": "end_turn"})],
    framed=True,
)

Ask = Callable[..., Outcome]


def _family(name: str) -> Ask:
    return BY_TYPE[name].call


ROWS: dict[str, tuple[Ask, Wire]] = {
    "anthropic": (partial(claude.ask, "anthropic"), CLAUDE),
    "aws_bedrock": (converse, BEDROCK),
    "aws_sagemaker (openai)": (partial(invoke, hosted="openai"), SAGEMAKER),
    "aws_sagemaker (tgi)": (partial(invoke, hosted="tgi"), SAGEMAKER),
    "azure": (_family("azure"), CHAT),
    "deepseek": (_family("deepseek"), CHAT),
    "fireworks": (_family("fireworks"), CHAT),
    "gcp_vertex_anthropic": (partial(claude.ask, "gcp_vertex_anthropic"), CLAUDE),
    "gcp_vertex_gemini": (partial(gemini.ask, "gcp_vertex_gemini"), GEMINI),
    "google_ai_studio_gemini": (partial(gemini.ask, "google_ai_studio_gemini"), GEMINI),
    "groq": (_family("groq"), CHAT),
    "hyperbolic": (_family("hyperbolic"), CHAT),
    "mistral": (_family("mistral"), MISTRAL),
    "openai": (partial(call, type="openai"), CHAT),
    "openai (responses)": (partial(call, options={"api_type": "responses"}), RESPONSES),
    "openrouter": (_family("openrouter"), OPENROUTER),
    "sglang": (_family("sglang"), CHAT),
    "tgi": (_family("tgi"), CHAT),
    "together": (_family("together"), CHAT),
    "vllm": (_family("vllm"), CHAT),
    "xai": (_family("xai"), CHAT),
}


def _text(ask: Ask, wire: Wire) -> str:
    outcome = ask(request(), answer(wire.text))
    return "yes" if outcome.answered().output == [Text("Hello!")] else "no"


def _tools(ask: Ask, wire: Wire, number: int = 1) -> str:
    outcome = ask(request(tool_config=TOOLS), answer(wire.tools(number)))
    calls = [one for one in outcome.answered().output if isinstance(one, ToolCall)]
    read = [(one.name, orjson.loads(one.arguments)) for one in calls]
    if read != [("matrix_tool", ARGUMENTS)] * number:
        return "no"
    return "yes" if "matrix_tool" in outcome.body else "not sent"


def _tools_in_stream(ask: Ask, wire: Wire) -> str:
    outcome = ask(request(tool_config=TOOLS, stream=True), wire.stream())
    if outcome.error is not None:
        return f"refused ({outcome.error.status})" if not outcome.seen else "no"
    return "yes" if "matrix_tool" in outcome.body else "not sent"


def _json_off(ask: Ask, wire: Wire) -> str:
    """A schema that only the gateway knows: the vendor is asked for nothing."""
    given = request(user("hi"), output_schema=SCHEMA, function_type="json")
    outcome = ask(given, answer(wire.text))
    asked = any(word in outcome.body for word in ("matrix_field", "json", "JSON"))
    return "no" if asked or outcome.answered().output != [Text("Hello!")] else "nothing"


def _json_tool(ask: Ask, wire: Wire) -> str:
    """``json_mode = "tool"`` is a call that the model is made to make, with the schema."""
    tool = implicit_tool(SCHEMA)
    given = request(user("hi"), output_schema=SCHEMA, function_type="json", tool_config=tool)
    outcome = ask(given, answer(wire.tools(1)))
    outcome.answered()
    if "matrix_field" not in outcome.body:
        return "not sent"
    # Once as the tool, once as the choice.
    return "call" if outcome.body.count(f'"{tool.tools[0].name}"') > 1 else "no"


def _json(ask: Ask, wire: Wire, mode: Any) -> str:
    """``schema``: the vendor gets it; ``object``: it is asked for any; ``asked``: by the prompt."""
    off = ask(request(user("hi"), output_schema=SCHEMA, function_type="json"), answer(wire.text))
    given = request(user("hi"), json_mode=mode, output_schema=SCHEMA, function_type="json")
    on = ask(given, answer(wire.text))
    on.answered()
    if "matrix_field" in on.body:
        return "schema"
    if "json_object" in on.body or "application/json" in on.body:
        return "object"
    return "asked" if on.body != off.body and "JSON" in on.body else "not sent"


def _file(ask: Ask, wire: Wire, mime_type: str) -> str:
    message = user("see", File(data=DATA, mime_type=mime_type))
    outcome = ask(request(message), answer(wire.text), files={})
    if outcome.error is not None:
        return f"refused ({outcome.error.status})"
    return "yes" if DATA in outcome.body else "no"


def _thought(ask: Ask, wire: Wire) -> str:
    output = ask(request(), answer(wire.thought)).answered().output
    thoughts = [one for one in output if isinstance(one, Thought)]
    if not any("matrix thought" in (one.text, one.signature) for one in thoughts):
        return "no"
    given = request(user("a"), assistant(*output), user("b"))
    return "both ways" if "matrix thought" in ask(given, answer(wire.text)).body else "read"


def _stream(ask: Ask, wire: Wire) -> str:
    items = ask(request(stream=True), wire.stream()).items
    chunks = [one for one in items if isinstance(one, ProviderChunk)]
    texts = [block.text for one in chunks for block in one.content if isinstance(block, TextChunk)]
    whole = len(chunks) == len(items) and "".join(texts) == "Hello!"
    return "yes" if whole and "stop" in [one.finish_reason for one in chunks] else "no"


def _cut(ask: Ask, wire: Wire) -> str:
    *chunks, last = ask(request(stream=True), wire.stream(cut=True)).items
    begun = any(isinstance(one, ProviderChunk) and one.content for one in chunks)
    return "error" if begun and not isinstance(last, ProviderChunk) else "no"


def _status(ask: Ask, wire: Wire, line: str) -> str:
    error = ask(request(), answer(b'{"message":"no"}', line)).failed()
    return str(error.status)


COLUMNS: dict[str, Callable[[Ask, Wire], str]] = {
    "text": _text,
    "tools": _tools,
    "parallel": partial(_tools, number=2),
    "tools in a stream": _tools_in_stream,
    "JSON `off`": _json_off,
    "JSON `on`": partial(_json, mode="on"),
    "JSON `strict`": partial(_json, mode="strict"),
    "JSON `tool`": _json_tool,
    "image": partial(_file, mime_type="image/png"),
    "PDF": partial(_file, mime_type="application/pdf"),
    "thought": _thought,
    "stream": _stream,
    "cut": _cut,
    "401": partial(_status, line="401 Unauthorized"),
    "429": partial(_status, line="429 Too Many Requests"),
    "500": partial(_status, line="500 Internal Server Error"),
}


def cell(row: str, column: str) -> str:
    ask, wire = ROWS[row]
    return COLUMNS[column](ask, wire)


def table() -> str:
    """The whole matrix as a table of the page."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in ROWS:
        cells = " | ".join(cell(row, column) for column in COLUMNS)
        lines.append(f"| `{row.partition(' ')[0]}`{row[len(row.partition(' ')[0]) :]} | {cells} |")
    return "\n".join(lines) + "\n"


def written() -> str:
    """The table that is on the page."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
