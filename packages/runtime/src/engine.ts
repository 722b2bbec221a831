import { UserError } from "@peekaboo/files/errors";
import type { Graph, GraphTensor } from "@peekaboo/seed";
import { hasSimd, type WasmMemory, webAssembly } from "@peekaboo/seed/wasm";
import { pack, type Run, scalarRun, unpack } from "./kernels/scalar.js";
import { simdRuns } from "./kernels/simd.js";
import { writeList } from "./plan/lists.js";
import { type Plan, planOf } from "./plan/plan.js";
import type { Step } from "./plan/sweep.js";

/** A graph and the tensors that it names. */
export interface Network {
  readonly graph: Graph;
  readonly tensors: ReadonlyMap<string, GraphTensor>;
}

export interface EngineOptions {
  /** WebAssembly with SIMD, where the machine has it (the default), or plain TypeScript. */
  readonly simd?: boolean;
  /** The most memory that it may take, in bytes: 2 GiB, unless it is told less. */
  readonly mostBytes?: number;
}

/** The bytes of a page of WebAssembly's memory. */
const PAGE = 2 ** 16;

/**
 * Prepares a network for {@link Engine.run}: plans its memory, and makes its kernels.
 * @throws {UserError} for a graph that doesn't hold together, or one that needs more memory than it may or than there is.
 */
export async function createEngine(
  { graph, tensors }: Network,
  { simd = true, mostBytes }: EngineOptions = {},
): Promise<Engine> {
  for (const [name, { shape, data }] of tensors) {
    const numbers = shape.reduce((product, side) => product * side, 1);
    if (numbers !== data.length)
      refuse(name, `${numbers} numbers for shape [${shape.join(", ")}]`, String(data.length));
  }
  const plan = planOf(graph, tensors, mostBytes);
  const shared = simd && hasSimd() ? sharedMemory(plan.bytes) : undefined;
  const memory = shared?.buffer ?? allocate(() => new ArrayBuffer(plan.bytes));
  // They compile in the background, while the lists are written.
  const compiling = shared === undefined ? undefined : compiled(shared, plan.steps);
  for (const { base, geometry, fill } of plan.filled) new Float32Array(memory, base, geometry.size).fill(fill);
  for (const [source, start] of plan.lists) writeList(source, memory, start);
  const kernels = await compiling;
  const runs = plan.steps.map((step) => kernels?.get(step) ?? scalarRun(memory, step));
  return new Engine(plan, memory, runs, kernels !== undefined);
}

/** A network that is ready; made by {@link createEngine}. */
export class Engine {
  readonly #plan: Plan;
  readonly #floats: Float32Array;
  readonly #runs: readonly Run[];
  /** Whether WebAssembly with SIMD computes it. */
  readonly simd: boolean;
  /** The memory that it holds, in bytes. */
  readonly bytes: number;
  /** The numbers of an image [C, H, W], and of its logits. */
  readonly imageSize: number;
  readonly classes: number;

  /** @internal */
  constructor(plan: Plan, memory: ArrayBuffer, runs: readonly Run[], simd: boolean) {
    this.#plan = plan;
    this.#floats = new Float32Array(memory);
    this.#runs = runs;
    this.simd = simd;
    this.bytes = plan.bytes;
    this.imageSize = plan.input.channels * plan.input.height * plan.input.width;
    this.classes = plan.result.channels * plan.result.height * plan.result.width;
  }

  /**
   * The logits [N, classes] of normalised images [N, C, H, W], which may be written to an array that is there already.
   * @throws {UserError} when either has another length.
   */
  run(images: Float32Array, logits?: Float32Array): Float32Array {
    const { imageSize, classes } = this;
    const count = images.length / imageSize;
    if (!Number.isInteger(count)) refuse("images", `a multiple of ${imageSize} numbers`, String(images.length));
    const out = logits ?? new Float32Array(count * classes);
    if (out.length !== count * classes) refuse("logits", `${count * classes} numbers`, String(out.length));
    for (let image = 0; image < count; image++) {
      pack(images, image * imageSize, this.#floats, this.#plan.input);
      for (const run of this.#runs) run();
      unpack(this.#floats, this.#plan.result, out, image * classes);
    }
    return out;
  }
}

/** A page that forbids WebAssembly (by its Content-Security-Policy) still has its network, only more slowly. */
async function compiled(memory: WasmMemory, steps: readonly Step[]) {
  try {
    return await simdRuns(memory, steps);
  } catch {
    return undefined;
  }
}

function sharedMemory(bytes: number): WasmMemory | undefined {
  if (webAssembly === undefined) return undefined;
  const pages = Math.max(1, Math.ceil(bytes / PAGE));
  const { Memory } = webAssembly;
  return allocate(() => new Memory({ initial: pages, maximum: pages }));
}

function allocate<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new UserError({
      operation: "prepare a network",
      argument: "its memory",
      expected: "enough of it",
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

function refuse(argument: string, expected: string, received: string): never {
  throw new UserError({ operation: "run a network", argument, expected, received });
}
