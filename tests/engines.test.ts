// A network grows from its file to the same bits in another JavaScript engine than V8: QuickJS, which has the language alone.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as seed from "@peekaboo/seed";
import { newQuickJSWASMModuleFromVariant, shouldInterruptAfterDeadline } from "quickjs-emscripten-core";
import { build } from "vite";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = (path: string) => `${root}packages/${path}`;
/** Minutes after which QuickJS, a hundred times as slow as V8, is stuck. */
const PATIENCE = 5;

/** The seed package as one script that sets `seed`. */
async function script(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    root,
    resolve: {
      alias: {
        "@peekaboo/files/errors": source("files/src/errors.ts"),
        "@peekaboo/files/safetensors": source("files/src/safetensors/index.ts"),
      },
    },
    build: {
      write: false,
      target: "es2022",
      lib: { entry: source("seed/src/index.ts"), formats: ["iife"], name: "seed" },
    },
  });
  const [
    {
      output: [chunk],
    } = { output: [undefined] },
  ] = Array.isArray(result) ? result : [];
  if (chunk === undefined) throw new Error("no script was built");
  return chunk.code;
}

/** All that a file's network is: its description, and a checksum of each tensor's bits and mask. Its text runs in both engines. */
function digest({ decodePab, fnv1a64 }: typeof seed, file: Uint8Array): string {
  const { description, tensors } = decodePab(file);
  const sums = [...tensors].map(([name, { shape, data, mask }]) => {
    const bits = fnv1a64(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return [name, shape, bits, mask === null ? null : fnv1a64(mask)];
  });
  return JSON.stringify({ description, sums });
}

it("QuickJS decodes the demo's network to the same bits", async () => {
  const file = readFileSync(`${root}models/cifar10-demo.pab`);
  const quick = await newQuickJSWASMModuleFromVariant(import("@jitl/quickjs-wasmfile-release-sync"));
  const runtime = quick.newRuntime();
  runtime.setMemoryLimit(2 ** 29);
  runtime.setInterruptHandler(shouldInterruptAfterDeadline(Date.now() + PATIENCE * 60_000));
  const context = runtime.newContext();
  const run = (code: string) => context.unwrapResult(context.evalCode(code)).consume(context.dump);
  context
    .newArrayBuffer(Uint8Array.from(file).buffer)
    .consume((handle) => context.setProp(context.global, "file", handle));
  expect(run("typeof TextDecoder")).toBe("undefined");
  run(await script());
  expect(run(`(${digest})(seed, new Uint8Array(file))`)).toBe(digest(seed, file));
  context.dispose();
  runtime.dispose();
});
