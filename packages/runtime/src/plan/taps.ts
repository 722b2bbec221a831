import type { Pair, Shape } from "@peekaboo/seed";
import type { Margins } from "./geometry.js";
import type { Window } from "./layer.js";

/**
 * A kernel's position along one axis. Over an image that is split in `stride` phases (pixel i lies in phase i mod stride, at
 * place floor(i / stride)) output o reads place o + `place` of phase `phase`: as if the stride were 1.
 */
export interface Tap {
  readonly phase: number;
  readonly place: number;
}

/** Both axes: stride, and for each position of the kernel its tap; undefined where it meets nothing but padding. */
export interface Taps {
  readonly stride: Pair;
  readonly vertical: readonly (Tap | undefined)[];
  readonly horizontal: readonly (Tap | undefined)[];
}

/** The taps of a window that makes `output` of `input`, both [channels, height, width]. */
export function tapsOf(window: Window, input: Shape, output: Shape): Taps {
  const axis = (index: 0 | 1) => {
    const [size, out] = [input[index + 1] ?? 0, output[index + 1] ?? 0];
    // A single output has nowhere to step to.
    const stride = out === 1 ? 1 : window.stride[index];
    const taps = Array.from({ length: window.kernel[index] }, (_, k) => {
      const at = k * window.dilation[index] - window.padding[index];
      const place = Math.floor(at / stride);
      return meets(at, stride, size, out) ? { phase: at - place * stride, place } : undefined;
    });
    return { stride, taps };
  };
  const [vertical, horizontal] = [axis(0), axis(1)];
  return { stride: [vertical.stride, horizontal.stride], vertical: vertical.taps, horizontal: horizontal.taps };
}

/** Whether one of at, at + stride, … (`out` of them) lies in [0, size). */
function meets(at: number, stride: number, size: number, out: number): boolean {
  const first = Math.max(0, Math.ceil(-at / stride));
  return first < out && at + first * stride < size;
}

/** How far taps reach out of a phase of [height, width] when `out` [height, width] are computed. */
export function marginsOf({ vertical, horizontal }: Taps, size: Pair, out: Pair): Margins {
  const [top, bottom] = reach(vertical, size[0], out[0]);
  const [left, right] = reach(horizontal, size[1], out[1]);
  return { top, left, bottom, right };
}

function reach(taps: readonly (Tap | undefined)[], size: number, out: number): [before: number, after: number] {
  const places = taps.flatMap((tap) => (tap === undefined ? [] : [tap.place]));
  return [Math.max(0, ...places.map((place) => -place)), Math.max(0, ...places.map((place) => place + out - size))];
}
