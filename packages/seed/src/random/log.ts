const LN2_HIGH = 0.6931471803691238; // The upper 33 bits of ln 2: its product with any exponent is exact.
const LN2_LOW = 1.9082149292705877e-10;
const SMALLEST_NORMAL = 2.2250738585072014e-308; // 2^-1022
const TWO_54 = 0x40_0000_0000_0000;
const SERIES = [2 / 21, 2 / 19, 2 / 17, 2 / 15, 2 / 13, 2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3];
const bits = new DataView(new ArrayBuffer(8));

/**
 * ln x within one unit in the last place, from + - * / alone: IEEE 754 then fixes every bit of it, where Math.log is
 * each engine's own. ln 0 = -Infinity; a negative x gives NaN.
 *
 * x = 2^k·(1 + f) with 1 + f in (√½, √2]; with s = f / (2 + f), ln(1 + f) = 2 artanh s = 2s + s·R where
 * R = 2s²/3 + 2s⁴/5 + …, and 2s = f - s·f. Source: the argument reduction of Sun's fdlibm (e_log.c) with Gregory's
 * series, cut after ten terms (the next is below 2^-60), in place of its minimax polynomial.
 */
export function naturalLog(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : Number.NaN;
  if (x === Infinity) return x;
  const subnormal = x < SMALLEST_NORMAL;
  bits.setFloat64(0, subnormal ? x * TWO_54 : x);
  const high = bits.getInt32(0);
  bits.setInt32(0, (high & 0xfffff) | 0x3ff00000);
  let k = (high >>> 20) - (subnormal ? 1023 + 54 : 1023);
  let mantissa = bits.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    k += 1;
  }
  const f = mantissa - 1;
  const s = f / (2 + f);
  const square = s * s;
  let remainder = 0;
  for (let i = 0; i < SERIES.length; i++) remainder = (remainder + (SERIES[i] ?? 0)) * square;
  return k * LN2_HIGH - (s * (f - remainder) - k * LN2_LOW - f);
}
