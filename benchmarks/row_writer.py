"""Writes rows of inferences into a gateway's spool at an even rate, as another worker would.

    python benchmarks/row_writer.py SPOOL_FOLDER --rate 5000 --seconds 10

A frame is an inference: a row of ``ChatInference`` and one of ``ModelInference``, about 1.7 KB,
each with ids of its own. Prints how many frames were written.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import orjson

from tzcore.spool import Writer
from tzcore.uuid7 import uuid7

_TEXT = "Tell me about the weather in the mountains. " * 6
_MESSAGES = [{"role": "user", "content": [{"type": "text", "text": _TEXT}]}]
_OUTPUT = orjson.dumps([{"type": "text", "text": _TEXT}]).decode()
_NAMES = {"function_name": "bench", "variant_name": "plain"}
_CHAT = {
    **_NAMES,
    "input": orjson.dumps({"messages": _MESSAGES}).decode(),
    "output": _OUTPUT,
    "tool_params": "",
    "inference_params": '{"chat_completion":{}}',
    "processing_time_ms": 3,
    "tags": {"source": "writer"},
    "extra_body": "[]",
}
_MODEL = {
    **_NAMES,
    "raw_request": orjson.dumps({"messages": _MESSAGES}).decode(),
    "raw_response": _OUTPUT,
    "model_name": "mock",
    "model_provider_name": "mock",
    "input_tokens": 61,
    "output_tokens": 17,
    "response_time_ms": 2,
    "input_messages": orjson.dumps(_MESSAGES).decode(),
    "output": _OUTPUT,
}
_PAUSE_S = 0.005


def frame() -> list[tuple[bytes, bytes]]:
    """One inference."""
    inference = uuid7()
    chat = {"id": inference, "episode_id": uuid7(), **_CHAT}
    model = {"id": uuid7(), "inference_id": inference, **_MODEL}
    return [(b"ChatInference", orjson.dumps(chat)), (b"ModelInference", orjson.dumps(model))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spool", type=Path)
    parser.add_argument("--rate", type=float, required=True, help="frames a second")
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    writer = Writer(str(arguments.spool / uuid7()))
    began = time.monotonic()
    written = 0
    while (elapsed := time.monotonic() - began) < arguments.seconds:
        for _ in range(int(elapsed * arguments.rate) - written):
            writer.append(frame())
            written += 1
        time.sleep(_PAUSE_S)
    writer.close()
    print(written)


if __name__ == "__main__":
    main()
