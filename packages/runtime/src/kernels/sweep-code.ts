import { LANES } from "../plan/geometry.js";
import { ENTRY } from "../plan/lists.js";
import type { Sweep } from "../plan/sweep.js";
import { doWhile, type Expr, i32, type Local, type Statement, step, v128, when } from "../wasm/code.js";
import { FunctionBuilder } from "../wasm/module.js";
import type { Tiles } from "./tiles.js";

/** The bytes of a vector. */
const VECTOR = 4 * LANES;

/** What a {@link sweepFunction} is made for: all but addresses and counts. */
export function sweepForm(sweep: Sweep, { rows, vectors, lastLanes }: Tiles): string {
  const { kind, relu, input, output, residual, unroll } = sweep;
  const strides = [input.row, output.row, output.plane, residual?.row, residual?.plane];
  return JSON.stringify([kind, relu, unroll, rows, vectors, lastLanes, strides]);
}

/**
 * A function of (input, output, residual, list, its end, number of tiles). For each tile, and in it for each output channel,
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
          [...channel.statements(), step(to, sweep.output.plane), step(added, sweep.residual?.plane ?? 0)],
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

/** What is done for one output channel of a tile. */
class ChannelCode {
  readonly #sums: readonly { sum: Local<"v128">; row: number; vector: number }[];
  readonly #end: Local<"i32">;
  readonly #shift: Local<"v128">;
  readonly #sources: readonly Local<"i32">[];
  readonly #weights: readonly Local<"v128">[];

  constructor(
    code: FunctionBuilder,
    readonly sweep: Sweep,
    readonly tiles: Tiles,
    readonly at: Pointers,
  ) {
    this.#sums = Array.from({ length: tiles.rows * tiles.vectors }, (_, index) => ({
      sum: code.local("v128"),
      row: Math.floor(index / tiles.vectors),
      vector: index % tiles.vectors,
    }));
    this.#end = code.local("i32");
    this.#shift = code.local("v128");
    this.#sources = Array.from({ length: sweep.unroll }, () => code.local("i32"));
    this.#weights = Array.from({ length: sweep.unroll }, () => code.local("v128"));
  }

  statements(): Statement[] {
    const { term } = this.at;
    return [
      this.#end.set(i32.add(i32.add(term, i32.const(ENTRY)), i32.load(term))),
      this.#shift.set(v128.loadSplat(term, 4)),
      term.set(i32.add(term, i32.const(ENTRY))),
      ...this.#sums.map(({ sum, row, vector }) => sum.set(this.#first(row, vector))),
      when(i32.less(term, this.#end), [doWhile(this.#terms(), i32.less(term, this.#end))]),
      ...this.#sums.map(({ sum, row, vector }) =>
        v128.store(this.at.to, this.#last(sum, vector), row * this.sweep.output.row + vector * VECTOR),
      ),
    ];
  }

  /** The shift, and what is added. */
  #first(row: number, vector: number): Expr<"v128"> {
    const { residual } = this.sweep;
    if (residual === undefined) return this.#shift;
    return v128.add(this.#shift, v128.load(this.at.added, row * residual.row + vector * VECTOR));
  }

  /** Takes in as many terms as are unrolled. */
  #terms(): Statement[] {
    const { term, input } = this.at;
    const max = this.sweep.kind === "max";
    const weights = max
      ? []
      : this.#weights.map((weight, index) => weight.set(v128.loadSplat(term, ENTRY * index + 4)));
    return [
      ...this.#sources.map((source, index) => source.set(i32.add(input, i32.load(term, ENTRY * index)))),
      ...weights,
      ...this.#sums.map(({ sum, row, vector }) => {
        const offset = row * this.sweep.input.row + vector * VECTOR;
        const loads = this.#sources.map((source) => v128.load(source, offset));
        if (max) return sum.set(v128.max(sum, tree(loads, v128.max)));
        const products = loads.map((load, index) => v128.mul(load, this.#weights[index] ?? load));
        return sum.set(v128.add(sum, tree(products, v128.add)));
      }),
      term.set(i32.add(term, i32.const(ENTRY * this.sweep.unroll))),
    ];
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
