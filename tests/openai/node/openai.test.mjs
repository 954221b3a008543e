// The `openai` package for Node, as applications use it.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({
  baseURL: process.env.GATEWAY_URL,
  apiKey: "anything",
  maxRetries: 0,
});
const model = (name) => `tensorzero::model_name::${name}`;
const messages = [{ role: "user", content: "hi" }];
const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
      },
    },
  },
];

test("a completion, with fields of the gateway's own", async () => {
  const made = await client.chat.completions.create({
    model: "tensorzero::function_name::two",
    messages,
    "tensorzero::tags": { client: "node" },
    "tensorzero::variant_name": "b",
  });
  assert.equal(made.model, "tensorzero::function_name::two::variant_name::b");
  assert.ok(made.episode_id);
  assert.ok(made.choices[0].message.content);
  assert.equal(made.choices[0].finish_reason, "stop");
});

test("a stream", async () => {
  const stream = await client.chat.completions.create({
    model: model("dummy::text?text=one+two+three"),
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0].delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, "one two three");
  assert.equal(usage.completion_tokens, 3);
});

test("the stream helper", async () => {
  const runner = client.chat.completions.stream({
    model: model("dummy::tool_call"),
    messages,
    tools,
  });
  const final = await runner.finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(call.function.name, "weather");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "text" });
  assert.equal(final.choices[0].finish_reason, "tool_calls");
});

test("a tool call, sent back with its result", async () => {
  const first = await client.chat.completions.create({
    model: model("dummy::tool_call"),
    messages,
    tools,
  });
  const told = first.choices[0].message;
  const second = await client.chat.completions.create({
    model: model("dummy::text?text=done"),
    messages: [
      ...messages,
      told,
      { role: "tool", tool_call_id: told.tool_calls[0].id, content: "sunny" },
    ],
    tools,
  });
  assert.equal(second.choices[0].message.content, "done");
});

test("parse, with zod", async () => {
  const Person = z.object({ name: z.string() });
  const made = await client.chat.completions.parse({
    model: model("dummy::json"),
    messages,
    response_format: zodResponseFormat(Person, "person"),
  });
  assert.equal(typeof made.choices[0].message.parsed.name, "string");
  const called = await client.chat.completions.parse({
    model: model("dummy::tool_call"),
    messages,
    tools: [zodFunction({ name: "person", parameters: Person })],
  });
  const [call] = called.choices[0].message.tool_calls;
  assert.equal(typeof call.function.parsed_arguments.name, "string");
});

test("embeddings, which it asks for in base64", async () => {
  const made = await client.embeddings.create({
    model: "tensorzero::embedding_model_name::small",
    input: ["red", "blue"],
  });
  const floats = await client.embeddings.create({
    model: "tensorzero::embedding_model_name::small",
    input: ["red", "blue"],
    encoding_format: "float",
  });
  assert.deepEqual(made.data.map((entry) => entry.embedding.length), [8, 8]);
  for (const [at, number] of made.data[1].embedding.entries()) {
    assert.ok(Math.abs(number - floats.data[1].embedding[at]) < 1e-6);
  }
});

test("models", async () => {
  const names = [];
  for await (const entry of client.models.list()) names.push(entry.id);
  assert.ok(names.includes("tensorzero::function_name::two"));
});

test("errors", async () => {
  const failing = { model: "tensorzero::function_name::nope", messages };
  await assert.rejects(client.chat.completions.create(failing), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.match(error.message, /Unknown function: nope/);
    return true;
  });
  await assert.rejects(
    client.chat.completions.create({ model: "gpt-4o", messages }),
    OpenAI.BadRequestError,
  );
  const stream = await client.chat.completions.create({
    model: model("dummy::text?chunks=5&stream_error_at=3"),
    messages,
    stream: true,
  });
  await assert.rejects(async () => {
    for await (const chunk of stream) assert.ok(chunk.choices[0]);
  });
});
