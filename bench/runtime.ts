// A network's file: written, loaded, and one image through it on one thread, alternating with onnxruntime-web in the same process.
// node bench/dist/runtime.js [FILE.pab …] [REPETITIONS=50]
// Without a file: the demo's, and a PsgResNet18 of full width, 30 % kept by SynFlow, whose signs are random.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { load, type Predictor } from "@peekaboo/runtime";
import { decodePab, encodePab, type PabNetwork, RandomStream } from "@peekaboo/seed";
import { scope, Tensor } from "@peekaboo/torch";
import { env, InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import { build } from "vite";
import { parseConfig } from "#peekaboo/config/config";
import { buildNetwork } from "#peekaboo/models/build";
import type { Network } from "#peekaboo/models/network";
import { onnxOf } from "#peekaboo/onnx/model-of";
import { encodeNetwork } from "#peekaboo/pab/write-pab";
import { prune } from "#peekaboo/pruning/loop";
import { findPruner } from "#peekaboo/pruning/pruners/registry";
import { machine, median, spread } from "./statistics.js";

const DEMO = "models/cifar10-demo.pab";
const ROUNDS = 20;
const LOADS = 7;
const WARM_UP = 5;
const MS = { unit: "ms", digits: 1, times: 1000 };

const given = process.argv.slice(2);
const files = given.filter((word) => !/^\d+$/.test(word));
const repetitions = Number(given.find((word) => /^\d+$/.test(word)) ?? 50);

async function timed<T>(times: number[], body: () => T | Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await body();
  times.push((performance.now() - begun) / 1000);
  return result;
}

/** As many random signs as there are weights, so that no model finds anything in them. */
function drawSigns(network: Network): void {
  for (const [name, { weight }] of network.prunable()) {
    const words = new Uint32Array(weight.numel);
    new RandomStream(1, name).fillUint32(words);
    const signs = Float32Array.from(words, (word) => 2 * (word & 1) - 1);
    scope(() => weight.detach().mul_(Tensor.from(signs, { shape: weight.shape })));
  }
}

async function worstCase(): Promise<Uint8Array> {
  const config = parseConfig({ arch: "PsgResNet18", optimizer: "BOP", pruning: { pruner: "SynFlow", density: 0.3 } });
  const network = buildNetwork(config.arch, { init: config.initMethod, seed: config.seed });
  const how = { density: 0.3, schedule: "exponential", scope: "global", iterations: ROUNDS } as const;
  await prune(network, { ...how, pruner: findPruner("SynFlow"), imageShape: [3, 32, 32] });
  drawSigns(network);
  const classes = Array.from({ length: 10 }, (_, i) => `class ${i}`);
  const times: number[] = [];
  const source = { network, config, name: "bench", classes, test: null };
  const { bytes } = await timed(times, () => encodeNetwork(source));
  console.log(`PsgResNet18, ${ROUNDS} rounds of SynFlow; read from libtorch and written in ${spread(times, MS)}`);
  network.dispose();
  return bytes;
}

/** Loads a file several times, the first of them cold. */
async function loaded(bytes: Uint8Array): Promise<Predictor> {
  const times: number[] = [];
  let network = await timed(times, () => load(bytes));
  for (let i = 1; i < LOADS; i++) network = await timed(times, () => load(bytes));
  const [cold = 0, ...warm] = times;
  console.log(`  loaded in ${(1000 * cold).toFixed(1)} ms at first, then ${spread(warm, MS)}`);
  return network;
}

async function onnxSession({ description, tensors }: PabNetwork): Promise<InferenceSession> {
  env.wasm.numThreads = 1;
  const model = onnxOf({ ...description, tensors });
  const times: number[] = [];
  const session = await timed(times, () => InferenceSession.create(model, { executionProviders: ["wasm"] }));
  console.log(`  onnxruntime-web: a session of ${(model.length / 1e6).toFixed(1)} MB in ${spread(times, MS)}`);
  return session;
}

/** One image by each in turn. */
async function compare({ engine, description, network }: Predictor): Promise<void> {
  const session = await onnxSession(network);
  const image = Float32Array.from({ length: engine.imageSize }, (_, index) => Math.sin(index));
  const feed = { image: new OrtTensor("float32", image, [1, ...description.graph.input]) };
  const logits = new Float32Array(engine.classes);
  const [ours, theirs]: [number[], number[]] = [[], []];
  let other = new Float32Array();
  for (let i = 0; i < WARM_UP + repetitions; i++) {
    await timed(ours, () => engine.run(image, logits));
    const { logits: result } = await timed(theirs, () => session.run(feed));
    other = Float32Array.from(result?.data as Float32Array);
  }
  await session.release();
  const [mine, peer] = [ours.slice(WARM_UP), theirs.slice(WARM_UP)];
  const style = { ...MS, digits: 2 };
  console.log(`  one image, ${engine.simd ? "SIMD" : "scalar"}: ${spread(mine, style)}`);
  console.log(`  onnxruntime-web:   ${spread(peer, style)}`);
  console.log(`  ratio of medians ${(median(mine) / median(peer)).toFixed(2)}, of minima ${ratioOfMinima(mine, peer)}`);
  const scale = Math.max(...other.map(Math.abs));
  const apart = Math.max(...other.map((value, i) => Math.abs(value - (logits[i] ?? Number.NaN)))) / scale;
  console.log(`  logits apart by ${apart.toExponential(1)} of the greatest`);
}

function ratioOfMinima(mine: readonly number[], peer: readonly number[]): string {
  return (Math.min(...mine) / Math.min(...peer)).toFixed(2);
}

async function measure(name: string, bytes: Uint8Array): Promise<void> {
  const { sizes } = decodePab(bytes);
  console.log(`${name}: ${bytes.length} bytes, ${JSON.stringify(sizes)}`);
  const network = await loaded(bytes);
  const { description, tensors } = network.network;
  const times: number[] = [];
  for (let i = 0; i < 3; i++) await timed(times, () => encodePab(description, tensors));
  console.log(`  encoded in ${spread(times, MS)}, initial weights drawn again`);
  await compare(network);
}

/** The runtime and all that it stands on, as a page would load it. */
async function bundleSize(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "es2022",
      rolldownOptions: { input: "packages/runtime/dist/index.js", preserveEntrySignatures: "strict" },
      modulePreload: false,
    },
  });
  const [chunk] = "output" in result ? result.output : [];
  if (chunk === undefined) throw new Error("no bundle was built");
  return `${chunk.code.length} bytes, ${gzipSync(chunk.code, { level: 9 }).length} by gzip -9`;
}

console.log(`@peekaboo/runtime, minified: ${await bundleSize()}`);
for (const file of files.length > 0 ? files : [DEMO]) await measure(file, readFileSync(file));
if (files.length === 0) await measure("PsgResNet18", await worstCase());
console.log(machine());
