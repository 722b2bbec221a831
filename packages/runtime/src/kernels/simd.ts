import { type FunctionBuilder, MEMORY, moduleOf, type WasmMemory, webAssembly } from "@peekaboo/seed/wasm";
import type { Copy, Step, Sweep } from "../plan/sweep.js";
import { copyForm, copyFunction } from "./copy-code.js";
import type { Run } from "./scalar.js";
import { sweepForm, sweepFunction } from "./sweep-code.js";
import { MAX_VECTORS, type Tiles, tilesOf } from "./tiles.js";

/** A function of a module that is yet to be made, with what it will be called with. */
interface Call {
  readonly number: number;
  readonly values: readonly number[];
}

type Kernel = (...values: readonly number[]) => void;

/** Steps in WebAssembly, one function for each form of them; those that have none there are left out. */
export async function simdRuns(memory: WasmMemory, steps: readonly Step[]): Promise<Map<Step, Run>> {
  const kernels = new Kernels();
  const calls = steps.filter(isWritten).map((step) => [step, kernels.callsOf(step)] as const);
  const module = await webAssembly?.instantiate(moduleOf(kernels.functions, 1), { [MEMORY]: { [MEMORY]: memory } });
  return new Map(calls.map(([step, parts]) => [step, bound(parts, module?.instance.exports ?? {})]));
}

function isWritten(step: Step): step is Sweep | Copy {
  return step.kind === "sum" || step.kind === "max" || step.kind === "copy";
}

class Kernels {
  readonly functions: FunctionBuilder[] = [];
  readonly #numbers = new Map<string, number>();

  callsOf(step: Sweep | Copy): Call[] {
    if (step.kind !== "copy")
      return tilesOf(step.height, step.width, MAX_VECTORS / step.together).map((tiles) => this.#sweep(step, tiles));
    const number = this.#numberOf(copyForm(step), () => copyFunction(step));
    return [{ number, values: [step.from.base, step.to.base, step.channels] }];
  }

  #sweep(sweep: Sweep, tiles: Tiles): Call {
    const { input, output, residual, list, listEnd } = sweep;
    const number = this.#numberOf(sweepForm(sweep, tiles), () => sweepFunction(sweep, tiles));
    const views = [input, output, residual ?? output];
    const bases = views.map(({ base, row }) => base + tiles.y * row + 4 * tiles.x);
    return { number, values: [...bases, list, listEnd, tiles.count] };
  }

  #numberOf(form: string, make: () => FunctionBuilder): number {
    const number = this.#numbers.get(form) ?? this.functions.push(make()) - 1;
    this.#numbers.set(form, number);
    return number;
  }
}

function bound(calls: readonly Call[], exports: Record<string, unknown>): Run {
  const parts = calls.map(({ number, values: [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] }) => {
    const kernel = exports[number] as Kernel;
    return () => kernel(a, b, c, d, e, f);
  });
  return () => {
    for (const part of parts) part();
  };
}
