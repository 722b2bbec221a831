import { type Graph, type GraphTensor, type Shape, shapesOf } from "@peekaboo/seed";
import { aligned, type Buffer, place, type Use } from "./arena.js";
import { isWindow, type Layer, type WindowLayer } from "./layer.js";
import { checkBytes, checkLimits, MAX_BYTES } from "./limits.js";
import { headsOf, type ListSource, listBytes } from "./lists.js";
import { lower } from "./lower.js";
import { geometryOf, isValue, keyOf, merged, offsetsOf, plain, type Source, sourceOf } from "./phases.js";
import type { Copy, Region, Step, View } from "./sweep.js";
import { tapsOf } from "./taps.js";

/** What is computed, in which order and where. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly input: Region;
  readonly result: Region;
  /** The memory that it takes, in bytes. */
  readonly bytes: number;
  /** Buffers whose margins aren't 0. */
  readonly filled: readonly Buffer[];
  /** What has to be in memory before the first step: each list, and the byte at which it begins. */
  readonly lists: readonly (readonly [source: ListSource, start: number])[];
}

/**
 * Plans a graph's computation for one image.
 * @throws {UserError} for a graph that `shapesOf` refuses, or one that is out of all proportion or needs more memory than it may.
 */
export function planOf(graph: Graph, tensors: ReadonlyMap<string, GraphTensor>, mostBytes = MAX_BYTES): Plan {
  const shapes = shapesOf(graph, tensors);
  checkLimits(graph, shapes);
  const { layers, result } = lower(graph, tensors, shapes);
  const planner = new Planner(shapes, Math.min(mostBytes, MAX_BYTES));
  for (const layer of layers) if (isWindow(layer)) planner.read(layer);
  planner.use([], planner.buffer(plain(0)), () => []);
  for (const layer of layers) planner.add(layer);
  return planner.finish(result);
}

class Planner {
  readonly #sources = new Map<string, Source>();
  readonly #buffers = new Map<string, Buffer>();
  readonly #uses: (Use & { steps: () => Step[] })[] = [];
  readonly #lists: ListSource[] = [];
  readonly #starts = new Map<ListSource, [start: number, end: number]>();

  constructor(
    readonly shapes: readonly Shape[],
    readonly mostBytes: number,
  ) {}

  #shape(value: number): Shape {
    const shape = this.shapes[value];
    if (shape === undefined) throw new RangeError(`no value ${value}`);
    return shape;
  }

  /** Notes what a layer reads, so that the buffer will have the margins and phases for all who read it. */
  read(layer: WindowLayer): void {
    const source = this.#sourceOf(layer);
    const known = this.#sources.get(keyOf(source));
    this.#sources.set(keyOf(source), known === undefined ? source : merged(known, source));
  }

  #sourceOf(layer: WindowLayer): Source {
    const [input, output] = [this.#shape(layer.input), this.#shape(layer.output)];
    return sourceOf(layer, tapsOf(layer, input, output), input, output);
  }

  /** The room of a source, once all that is read is noted. */
  buffer(source: Source): Buffer {
    const key = keyOf(source);
    const known = this.#buffers.get(key);
    if (known !== undefined) return known;
    const whole = this.#sources.get(key) ?? source;
    const shape = this.#shape(source.value);
    const { stride, phases, fill } = whole;
    const buffer = { geometry: geometryOf(whole, shape), fill, pattern: String([shape, stride, phases]), base: 0 };
    this.#buffers.set(key, buffer);
    if (!isValue(source)) {
      const value = this.buffer(plain(source.value));
      this.use([value], buffer, () => phases.map((_, index) => this.#copy(value, buffer, whole, index)));
    }
    return buffer;
  }

  #copy(value: Buffer, to: Buffer, { stride, phases, fill }: Source, index: number): Copy {
    const [y, x] = phases[index] ?? [0, 0];
    const { channels, height, width, ...all } = regionOf(value);
    const target = regionOf(to);
    return {
      kind: "copy",
      channels,
      height: Math.ceil((height - y) / stride[0]),
      width: Math.ceil((width - x) / stride[1]),
      from: { base: all.base + y * all.row + 4 * x, row: stride[0] * all.row, plane: all.plane },
      step: 4 * stride[1],
      to: { base: target.base + index * channels * target.plane, row: target.row, plane: target.plane },
      fill,
    };
  }

  /** Adds steps that read buffers and write one; they are made once each buffer has its place. */
  use(reads: readonly Buffer[], writes: Buffer, steps: () => Step[]): void {
    this.#uses.push({ reads, writes, steps });
  }

  add(layer: Layer): void {
    if (isWindow(layer)) this.#sweep(layer);
    else if (layer.kind === "join") this.#join([layer.input, ...layer.others], layer.output);
    else {
      const { input, output, ...rest } = layer;
      const [from, to] = [this.buffer(plain(input)), this.buffer(plain(output))];
      this.use([from], to, () => [{ ...rest, from: regionOf(from), to: regionOf(to) }]);
    }
  }

  #join(values: readonly number[], output: number): void {
    const parts = values.map((value) => this.buffer(plain(value)));
    const to = this.buffer(plain(output));
    this.use(parts, to, () => {
      const { base, row, plane } = regionOf(to);
      let before = 0;
      return parts.map((part): Copy => {
        const { channels, height, width, ...from } = regionOf(part);
        const target = { base: base + before * plane, row, plane };
        before += channels;
        return { kind: "copy", channels, height, width, from, step: 4, to: target, fill: 0 };
      });
    });
  }

  #sweep(layer: WindowLayer): void {
    const [input, output] = [this.#shape(layer.input), this.#shape(layer.output)];
    const taps = tapsOf(layer, input, output);
    const source = this.#sourceOf(layer);
    const whole = this.#sources.get(keyOf(source)) ?? source;
    const [from, to] = [this.buffer(source), this.buffer(plain(layer.output))];
    const residual = layer.residual === undefined ? undefined : this.buffer(plain(layer.residual));
    const offsets = offsetsOf(layer.depth, taps, whole, from.geometry, input);
    const heads = headsOf(layer, offsets);
    const { together } = heads;
    const unroll = unrollOf(offsets.length, together);
    const list = { ...heads, layer, offsets, plane: 4 * from.geometry.plane, unroll };
    this.#lists.push(list);
    this.use(residual === undefined ? [from] : [from, residual], to, () => {
      const [start, listEnd] = this.#starts.get(list) ?? [0, 0];
      const { kind, relu } = layer;
      const views = { input: regionOf(from), output: regionOf(to), residual: residual && regionOf(residual) };
      const [channels, height, width] = output;
      return [{ kind, relu, channels, height, width, ...views, list: start, listEnd, unroll, together }];
    });
  }

  /** Gives buffers and lists their places. */
  finish(result: number): Plan {
    const last = this.buffer(plain(result));
    const { bytes: activations, places } = place(this.#uses, last);
    checkBytes(activations, this.mostBytes);
    let bytes = activations;
    for (const list of this.#lists) {
      const end = bytes + listBytes(list);
      this.#starts.set(list, [bytes, end]);
      bytes = aligned(end);
      checkBytes(bytes, this.mostBytes);
    }
    return {
      steps: this.#uses.flatMap(({ steps }) => steps()),
      input: regionOf(this.buffer(plain(0))),
      result: regionOf(last),
      bytes,
      filled: places.filter(({ fill }) => fill !== 0),
      lists: [...this.#starts].map(([list, [start]]) => [list, start] as const),
    };
  }
}

/**
 * How many terms are summed before they meet their accumulator, whose additions wait for each other. With two channels all
 * registers are taken: what more terms need would have to wait in memory.
 */
function unrollOf(terms: number, together: number): number {
  return terms === 1 || together > 1 ? 1 : 2;
}

function regionOf({ geometry: { shape, row, plane, origin }, base }: Buffer): Region {
  const [channels, height, width] = shape;
  const view: View = { base: base + 4 * origin, row: 4 * row, plane: 4 * plane };
  return { channels, height, width, ...view };
}
