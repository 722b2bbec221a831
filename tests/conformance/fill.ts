import { numel } from "@peekaboo/files/safetensors";

/**
 * The 32-bit FNV-1a hash of a text's UTF-8 bytes, as an unsigned integer.
 * Source: Fowler, Noll and Vo, "The FNV Non-Cryptographic Hash Algorithm" (RFC 9923).
 */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * The values of the tensor `name` of an architecture case, row-major, the same bits everywhere: `input` and every state
 * tensor get a range by their name.
 * Source: the golden cases' README.
 */
export function fillValues(salt: string, name: string, shape: readonly number[]): Float32Array {
  const values = new Float32Array(numel(shape));
  const hash = fnv1a32(salt + name);
  const rule = ruleFor(name, shape);
  for (let i = 0; i < values.length; i++) values[i] = rule(mixed(i, hash) / 2 ** 32);
  return values;
}

/** The scrambled 32 bits of element `i`, as an unsigned integer. */
function mixed(i: number, hash: number): number {
  let x = (Math.imul(i, 0x9e3779b1) + hash) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** What becomes of u in [0, 1) in a tensor of that name and shape. */
function ruleFor(name: string, shape: readonly number[]): (u: number) => number {
  const within = (bound: number) => (u: number) => (2 * u - 1) * bound;
  if (name === "input") return within(Math.sqrt(3));
  if (name.endsWith("running_var")) return (u) => 1 + u / 2;
  if (name.endsWith("running_mean")) return within(0.2);
  if (name.endsWith(".t")) return within(0.1);
  if (name.endsWith(".lo")) return () => -0.05;
  if (name.endsWith(".hi")) return () => 0.05;
  if (shape.length >= 2) return within(Math.sqrt(6 / numel(shape.slice(1))));
  if (name.endsWith("weight")) return (u) => 0.5 + u;
  return within(0.2);
}
