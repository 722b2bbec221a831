import {
  doWhile,
  type Expr,
  FunctionBuilder,
  i32,
  type Local,
  type Statement,
  step,
  v128,
  when,
} from "@peekaboo/seed/wasm";
import { LANES } from "../plan/geometry.js";
import { entryBytes } from "../plan/lists.js";
import type { Sweep } from "../plan/sweep.js";
import type { Tiles } from "./tiles.js";

/** The bytes of a vector. */
const VECTOR = 4 * LANES;

/** What a {@link sweepFunction} is made for: all but addresses and counts. */
export function sweepForm(sweep: Sweep, { rows, vectors, lastLanes }: Tiles): string {
  const { kind, relu, input, output, residual, unroll, together } = sweep;
  const strides = [input.row, output.row, output.plane, residual?.row, residual?.plane];
  return JSON.stringify([kind, relu, unroll, together, rows, vectors, lastLanes, strides]);
}

/**
 * A function of (input, output, residual, list, its end, number of tiles). For each tile, and in it for the output channels of each head,
 * the accumulators of all its pixels go through the list and are written.
 */
export function sweepFunction(sweep: Sweep, tiles: Tiles): FunctionBuilder {
  const code = new FunctionBuilder(6);
  const [input, output, residual] = [code.parameter(0), code.parameter(1), code.parameter(2)];
  const [list, listEnd, count] = [code.parameter(3), code.parameter(4), code.parameter(5)];
  const [term, to, added] = [code.local("i32"), code.local("i32"), code.local("i32")];
  const channel = new ChannelCode(code, sweep, tiles, { input, to, added, term });
  code.emit(
    doWhile(
      [
        term.set(list),
        to.set(output),
        added.set(residual),
        doWhile(
          [
            ...channel.statements(),
            step(to, sweep.together * sweep.output.plane),
            step(added, sweep.together * (sweep.residual?.plane ?? 0)),
          ],
          i32.less(term, listEnd),
        ),
        step(input, tiles.rows * sweep.input.row),
        step(output, tiles.rows * sweep.output.row),
        step(residual, tiles.rows * (sweep.residual?.row ?? 0)),
        step(count, -1),
      ],
      count,
    ),
  );
  return code;
}

interface Pointers {
  readonly input: Local<"i32">;
  readonly to: Local<"i32">;
  readonly added: Local<"i32">;
  readonly term: Local<"i32">;
}

/** The sum of four pixels of one of the channels. */
interface Sum {
  readonly sum: Local<"v128">;
  readonly channel: number;
  readonly row: number;
  readonly vector: number;
}

/** What is done for the output channels of one head in a tile. */
class ChannelCode {
  readonly #sums: readonly Sum[];
  readonly #entry: number;
  readonly #end: Local<"i32">;
  readonly #shifts: readonly Local<"v128">[];
  /** What is read at a pixel, where several channels take it. */
  readonly #reads: readonly Local<"v128">[];
  readonly #sources: readonly Local<"i32">[];
  /** Of each channel, one for each term that is unrolled. */
  readonly #weights: readonly (readonly Local<"v128">[])[];

  constructor(
    code: FunctionBuilder,
    readonly sweep: Sweep,
    readonly tiles: Tiles,
    readonly at: Pointers,
  ) {
    const { together, unroll } = sweep;
    this.#entry = entryBytes(together);
    // The channels innermost: what a vector is multiplied with follows at once.
    this.#sums = Array.from({ length: together * tiles.rows * tiles.vectors }, (_, index) => {
      const place = Math.floor(index / together);
      const [row, vector] = [Math.floor(place / tiles.vectors), place % tiles.vectors];
      return { sum: code.local("v128"), channel: index % together, row, vector };
    });
    this.#end = code.local("i32");
    this.#shifts = Array.from({ length: together }, () => code.local("v128"));
    this.#sources = Array.from({ length: unroll }, () => code.local("i32"));
    const terms = () => Array.from({ length: unroll }, () => code.local("v128"));
    this.#weights = Array.from({ length: together }, terms);
    this.#reads = terms();
  }

  statements(): Statement[] {
    const { term } = this.at;
    const { output } = this.sweep;
    return [
      this.#end.set(i32.add(i32.add(term, i32.const(this.#entry)), i32.load(term))),
      ...this.#shifts.map((shift, channel) => shift.set(v128.loadSplat(term, 4 + 4 * channel))),
      term.set(i32.add(term, i32.const(this.#entry))),
      ...this.#sums.map(({ sum, channel, row, vector }) => sum.set(this.#first(channel, row, vector))),
      when(i32.less(term, this.#end), [doWhile(this.#terms(), i32.less(term, this.#end))]),
      ...this.#sums.map(({ sum, channel, row, vector }) => {
        const offset = channel * output.plane + row * output.row + vector * VECTOR;
        return v128.store(this.at.to, this.#last(sum, vector), offset);
      }),
    ];
  }

  /** The shift, and what is added. */
  #first(channel: number, row: number, vector: number): Expr<"v128"> {
    const { residual } = this.sweep;
    const shift = this.#shifts[channel];
    if (shift === undefined) throw new RangeError(`no channel ${channel}`);
    if (residual === undefined) return shift;
    const offset = channel * residual.plane + row * residual.row + vector * VECTOR;
    return v128.add(shift, v128.load(this.at.added, offset));
  }

  /** Takes in as many terms as are unrolled. */
  #terms(): Statement[] {
    const { term, input } = this.at;
    const weights = this.sweep.kind === "max" ? [] : this.#weights;
    return [
      ...this.#sources.map((source, index) => source.set(i32.add(input, i32.load(term, this.#entry * index)))),
      ...weights.flatMap((own, channel) =>
        own.map((weight, index) => weight.set(v128.loadSplat(term, this.#entry * index + 4 + 4 * channel))),
      ),
      ...this.#sums.flatMap((sum) => this.#take(sum)),
      term.set(i32.add(term, i32.const(this.#entry * this.sweep.unroll))),
    ];
  }

  /** Takes the terms into one sum; the first of the channels reads for all. */
  #take({ sum, channel, row, vector }: Sum): Statement[] {
    const { kind, together, input } = this.sweep;
    const offset = row * input.row + vector * VECTOR;
    const loads = this.#sources.map((source) => v128.load(source, offset));
    if (kind === "max") return [sum.set(v128.max(sum, tree(loads, v128.max)))];
    const reads = channel === 0 && together > 1 ? this.#reads.map((read, index) => read.set(loads[index] ?? read)) : [];
    const values: readonly Expr<"v128">[] = together > 1 ? this.#reads : loads;
    const products = values.map((value, index) => v128.mul(value, this.#weights[channel]?.[index] ?? value));
    return [...reads, sum.set(v128.add(sum, tree(products, v128.add)))];
  }

  /** What is written: rectified, and 0 beyond the row, where margins are. */
  #last(sum: Expr<"v128">, vector: number): Expr<"v128"> {
    const { vectors, lastLanes } = this.tiles;
    const rectified = this.sweep.relu ? v128.max(sum, v128.splat(0)) : sum;
    if (lastLanes === LANES || vector !== vectors - 1) return rectified;
    return v128.and(rectified, v128.const([0, 1, 2, 3].map((lane) => (lane < lastLanes ? 0xffffffff : 0))));
  }
}

/** The terms, reduced in pairs, so that few wait for each other. */
function tree(
  terms: readonly Expr<"v128">[],
  reduce: (a: Expr<"v128">, b: Expr<"v128">) => Expr<"v128">,
): Expr<"v128"> {
  const [first, second, ...rest] = terms;
  if (first === undefined) throw new RangeError("nothing to reduce");
  if (second === undefined) return first;
  if (rest.length === 0) return reduce(first, second);
  const half = terms.length >> 1;
  return reduce(tree(terms.slice(0, half), reduce), tree(terms.slice(half), reduce));
}
