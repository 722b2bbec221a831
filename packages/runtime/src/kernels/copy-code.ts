import { doWhile, type Expr, FunctionBuilder, i32, type Local, step, v128 } from "@peekaboo/seed/wasm";
import { LANES } from "../plan/geometry.js";
import type { Copy } from "../plan/sweep.js";

/** What a {@link copyFunction} is made for. */
export function copyForm({ height, width, from, step: pixel, to, fill }: Copy): string {
  return JSON.stringify([height, width, from.row, from.plane, pixel, to.row, to.plane, String(fill)]);
}

/** A function of (from, to, number of channels) that copies every so many pixels. */
export function copyFunction(copy: Copy): FunctionBuilder {
  const code = new FunctionBuilder(3);
  const [from, to, channels] = [code.parameter(0), code.parameter(1), code.parameter(2)];
  const [source, target, rows] = [code.local("i32"), code.local("i32"), code.local("i32")];
  const vectors = Array.from({ length: Math.ceil(copy.width / LANES) }, (_, index) => index);
  code.emit(
    doWhile(
      [
        source.set(from),
        target.set(to),
        rows.set(i32.const(copy.height)),
        doWhile(
          [
            ...vectors.map((index) => v128.store(target, gathered(copy, source, index), 4 * LANES * index)),
            step(source, copy.from.row),
            step(target, copy.to.row),
            step(rows, -1),
          ],
          rows,
        ),
        step(from, copy.from.plane),
        step(to, copy.to.plane),
        step(channels, -1),
      ],
      channels,
    ),
  );
  return code;
}

/** Vector `index` of a row; beyond the row it holds what the margin does. */
function gathered({ width, step: pixel, fill }: Copy, source: Local<"i32">, index: number): Expr<"v128"> {
  const first = LANES * index;
  const offset = first * pixel;
  if (first + LANES <= width) {
    if (pixel === 4) return v128.load(source, offset);
    if (pixel === 8) return v128.even(v128.load(source, offset), v128.load(source, offset + 4 * LANES));
  }
  let vector: Expr<"v128"> = v128.splat(fill);
  for (let lane = 0; lane < Math.min(LANES, width - first); lane++) {
    vector = v128.loadLane(source, vector, lane, offset + lane * pixel);
  }
  return vector;
}
