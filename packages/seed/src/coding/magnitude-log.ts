/** Logarithms are counted in 1024ths of a factor of two. */
const OCTAVE = 1024;
/** Weights lie within these powers of two, or count as lying there: products with logarithms stay whole numbers of 32 bits. */
const MOST = 40 * OCTAVE;

// 2^(1/1024) and 2^(1/2048) with 63 bits of fraction.
const STEP = 0x8016302f17467628n;
const HALF_STEP = 0x800b179c82028fd1n;
const ONE = 1n << 63n;

/** 1024 log2 of 1 + (i + ½)/1024, rounded, for the ten leading bits i of a float32's fraction. */
const FRACTIONS = fractions();

function fractions(): Int16Array {
  const table = new Int16Array(OCTAVE);
  // Between j and j + 1 lies the square root of their powers' product.
  let bound = HALF_STEP;
  let log = 0;
  for (let i = 0; i < OCTAVE; i++) {
    const value = (ONE * BigInt(2 * (OCTAVE + i) + 1)) / BigInt(2 * OCTAVE);
    while (value >= bound) {
      bound = (bound * STEP) >> 63n;
      log += 1;
    }
    table[i] = log;
  }
  return table;
}

/**
 * 1024 log2 |x| to the nearest whole number, from -40,960 to 40,960, by the bits of each float32 alone. Look-ups and integers, because what Math.log2 gives is each engine's own.
 */
export function magnitudeLogs(values: Float32Array): Int32Array {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const logs = new Int32Array(values.length);
  for (let i = 0; i < logs.length; i++) {
    const magnitude = (bits[i] ?? 0) & 0x7fffffff;
    const log = ((magnitude >> 23) - 127) * OCTAVE + (FRACTIONS[(magnitude >> 13) & 1023] ?? 0);
    logs[i] = log < -MOST ? -MOST : log > MOST ? MOST : log;
  }
  return logs;
}
