import type { Pair, Shape } from "@peekaboo/seed";
import { type Geometry, type Margins, NO_MARGINS, planes, wider } from "./geometry.js";
import type { WindowLayer } from "./layer.js";
import { NOWHERE } from "./lists.js";
import { marginsOf, type Tap, type Taps } from "./taps.js";

/** What layers read: a value as it is, or split in phases (see {@link Tap}), each of them [channels, height, width]. */
export interface Source {
  readonly value: number;
  readonly stride: Pair;
  /** What lies around the image. */
  readonly fill: number;
  /** The phases that somebody reads, as (vertical, horizontal). */
  readonly phases: readonly Pair[];
  readonly margins: Margins;
}

/** What one layer reads of a value of shape `input` to make `output`. */
export function sourceOf({ kind, input: value }: WindowLayer, taps: Taps, input: Shape, output: Shape): Source {
  const { stride, vertical, horizontal } = taps;
  const margins = marginsOf(taps, phaseSize(input, stride), [output[1], output[2]]);
  const bare = Object.values(margins).every((margin) => margin === 0);
  const fill = kind === "max" && !bare ? Number.NEGATIVE_INFINITY : 0;
  const phases = present(vertical).flatMap((y) => present(horizontal).map((x): Pair => [y.phase, x.phase]));
  return { value, stride, fill, phases: distinct(phases), margins };
}

/** Sources with the same key are one. */
export function keyOf({ value, stride, fill }: Source): string {
  return isValue({ stride, fill }) ? String(value) : `${value}/${stride}/${fill}`;
}

/** Whether it is the value as it is: no copy has to be made. */
export function isValue({ stride, fill }: Pick<Source, "stride" | "fill">): boolean {
  return stride[0] === 1 && stride[1] === 1 && fill === 0;
}

/** What serves the readers of both. */
export function merged(a: Source, b: Source): Source {
  return { ...a, phases: distinct([...a.phases, ...b.phases]), margins: wider(a.margins, b.margins) };
}

/** A value that nobody reads through a window. */
export function plain(value: number): Source {
  return { value, stride: [1, 1], fill: 0, phases: [[0, 0]], margins: NO_MARGINS };
}

/** How a source of a value of the given shape lies: phase by phase, and in each channel by channel. */
export function geometryOf({ stride, phases, margins }: Source, shape: Shape): Geometry {
  return planes([Math.max(1, phases.length) * shape[0], ...phaseSize(shape, stride)], margins);
}

/** Where each position of a layer's kernel reads [depth × kernel], in bytes from the output's place. */
export function offsetsOf(
  depth: number,
  taps: Taps,
  { phases }: Source,
  { plane, row }: Geometry,
  shape: Shape,
): Int32Array {
  const offset = (channel: number, y: Tap | undefined, x: Tap | undefined) => {
    if (y === undefined || x === undefined) return NOWHERE;
    const phase = phases.findIndex(([vertical, horizontal]) => vertical === y.phase && horizontal === x.phase);
    return 4 * ((phase * shape[0] + channel) * plane + y.place * row + x.place);
  };
  const { vertical, horizontal } = taps;
  const first = vertical.flatMap((y) => horizontal.map((x) => offset(0, y, x)));
  const offsets = new Int32Array(depth * first.length);
  for (let at = 0; at < offsets.length; at++) {
    const one = first[at % first.length] ?? NOWHERE;
    offsets[at] = one === NOWHERE ? NOWHERE : one + 4 * plane * Math.floor(at / first.length);
  }
  return offsets;
}

function phaseSize([, height, width]: Shape, stride: Pair): Pair {
  return [Math.ceil(height / stride[0]), Math.ceil(width / stride[1])];
}

function present(taps: readonly (Tap | undefined)[]): Tap[] {
  return taps.filter((tap) => tap !== undefined);
}

function distinct(phases: readonly Pair[]): Pair[] {
  return [...new Map(phases.map((phase) => [String(phase), phase])).values()];
}
