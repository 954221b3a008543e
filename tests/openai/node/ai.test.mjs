// The AI SDK, with its provider for OpenAI and the one for servers that speak alike.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const baseURL = process.env.GATEWAY_URL;
const openai = createOpenAI({ baseURL, apiKey: "anything" });
const compatible = createOpenAICompatible({
  name: "gateway",
  baseURL,
  apiKey: "anything",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const providers = {
  openai: (name) => openai.chat(name),
  compatible: (name) => compatible.chatModel(name),
};
const model = (name) => `tensorzero::model_name::${name}`;
const city = tool({
  description: "Weather",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});

for (const [name, chat] of Object.entries(providers)) {
  test(`${name}: generateText`, async () => {
    const made = await generateText({
      model: chat(model("dummy::text?text=one+two")),
      system: "Be brief.",
      prompt: "hi",
      temperature: 0.2,
    });
    assert.equal(made.text, "one two");
    assert.equal(made.usage.outputTokens, 2);
    assert.equal(made.finishReason, "stop");
  });

  test(`${name}: streamText`, async () => {
    const stream = streamText({
      model: chat(model("dummy::text?text=one+two+three")),
      prompt: "hi",
    });
    let text = "";
    for await (const part of stream.textStream) text += part;
    assert.equal(text, "one two three");
    assert.equal((await stream.usage).outputTokens, 3);
  });

  test(`${name}: generateObject`, async () => {
    const made = await generateObject({
      model: chat(model("dummy::json")),
      schema: z.object({ name: z.string(), age: z.number() }),
      prompt: "hi",
    });
    assert.equal(typeof made.object.name, "string");
    assert.equal(typeof made.object.age, "number");
  });

  test(`${name}: tools, in two steps`, async () => {
    const made = await generateText({
      model: chat(model("dummy::tool_call")),
      prompt: "hi",
      tools: { weather: city },
      stopWhen: stepCountIs(2),
    });
    assert.equal(made.steps.length, 2);
    assert.equal(made.steps[0].toolResults[0].output, "sunny in text");
  });

  test(`${name}: tools, streamed`, async () => {
    const stream = streamText({
      model: chat(model("dummy::tool_call")),
      prompt: "hi",
      tools: { weather: city },
      stopWhen: stepCountIs(1),
    });
    await stream.consumeStream();
    assert.deepEqual((await stream.toolCalls).map((call) => call.input), [{ city: "text" }]);
  });

  test(`${name}: errors`, async () => {
    await assert.rejects(
      generateText({
        model: chat("tensorzero::function_name::nope"),
        prompt: "hi",
        maxRetries: 0,
      }),
      (error) => {
        assert.ok(APICallError.isInstance(error));
        assert.equal(error.statusCode, 404);
        return true;
      },
    );
  });
}

test("embeddings", async () => {
  const name = "tensorzero::embedding_model_name::small";
  for (const embedding of [openai.embedding(name), compatible.embeddingModel(name)]) {
    const made = await embedMany({ model: embedding, values: ["red", "blue"] });
    assert.deepEqual(made.embeddings.map((vector) => vector.length), [8, 8]);
    assert.equal(made.usage.tokens, 2);
  }
});
