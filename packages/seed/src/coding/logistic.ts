import { PROBABILITY_ONE } from "./range-coder.js";

/** Log-odds are counted in 256ths of a nat. */
export const NAT = 256;
/** Beyond it a probability is as near to 0 or 1 as it gets. */
export const MAX_LOG_ODDS = 2839;

// e^(-1/256) and 1 in 64 bits of fraction. Integers alone: what Math.exp gives is each engine's own.
const STEP = 0xff007fd55ffdde39n;
const ONE = 1n << 64n;

/** 65536 / (1 + e^(-x/256)) for x from 0 to {@link MAX_LOG_ODDS}, rounded, at most 65535. */
const SQUASHED = squashed();

function squashed(): Uint16Array {
  const table = new Uint16Array(MAX_LOG_ODDS + 1);
  let power = ONE;
  for (let x = 0; x <= MAX_LOG_ODDS; x++) {
    const odds = ONE + power;
    const rounded = ((BigInt(PROBABILITY_ONE) * ONE * 2n) / odds + 1n) >> 1n;
    table[x] = Math.min(Number(rounded), PROBABILITY_ONE - 1);
    power = (power * STEP) >> 64n;
  }
  return table;
}

/** The log-odds of (16 q + 8) / 65536 for q from 0 to 4095: the least x whose probability isn't below it. */
const STRETCHED = stretched();

function stretched(): Int16Array {
  const table = new Int16Array(4096);
  let x = -MAX_LOG_ODDS;
  for (let q = 0; q < 4096; q++) {
    while (x < MAX_LOG_ODDS && squash(x) < 16 * q + 8) x += 1;
    table[q] = x;
  }
  return table;
}

/** The probability of log-odds `x`, an integer in 256ths of a nat, from 1 to 65535 in 65536ths. */
export function squash(x: number): number {
  if (x >= 0) return SQUASHED[x > MAX_LOG_ODDS ? MAX_LOG_ODDS : x] ?? 0;
  return PROBABILITY_ONE - (SQUASHED[x < -MAX_LOG_ODDS ? MAX_LOG_ODDS : -x] ?? 0);
}

/** The log-odds of a probability in 65536ths, of which the upper twelve bits count. */
export function stretch(p: number): number {
  return STRETCHED[p >>> 4] ?? 0;
}
