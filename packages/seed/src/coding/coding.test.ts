import { describe, expect, it } from "vitest";
import { RandomStream } from "../random/stream.js";
import { AdaptiveBits, IntegerCoder } from "./adaptive.js";
import { FloatCoder } from "./float-model.js";
import { fromFloat16Bits, toFloat16Bits } from "./float16.js";
import { MAX_LOG_ODDS, squash, stretch } from "./logistic.js";
import { magnitudeLogs } from "./magnitude-log.js";
import { fitMask } from "./mask-fit.js";
import { MaskCoder, type MaskShape, NO_PARAMETERS } from "./mask-model.js";
import { type BitCoder, RangeDecoder, RangeEncoder } from "./range-coder.js";
import { SignCoder } from "./sign-model.js";
import { codeText } from "./text-model.js";

/** Counts what bits cost by their probabilities. */
class Meter implements BitCoder {
  bits = 0;
  constructor(readonly coder: BitCoder) {}
  code(bit: number, p: number): number {
    this.bits -= Math.log2((bit === 1 ? p : 65536 - p) / 65536);
    return this.coder.code(bit, p);
  }
}

function words(name: string, count: number): Uint32Array {
  const out = new Uint32Array(count);
  new RandomStream(5, name).fillUint32(out);
  return out;
}

describe("the range coder", () => {
  it("gives back bits of any probability, in hardly more than their information", () => {
    const [bits, probabilities] = [words("bits", 200_000), words("probabilities", 200_000)];
    const ps = [...probabilities].map((word) => (word % 5 === 0 ? 1 : word % 5 === 1 ? 65535 : 1 + (word % 65535)));
    const given = [...bits].map((word, i) => (word % 65536 < (ps[i] ?? 0) ? 1 : 0));
    const encoder = new RangeEncoder();
    const meter = new Meter(encoder);
    given.forEach((bit, i) => void meter.code(bit, ps[i] ?? 1));
    const bytes = encoder.finish();
    const decoder = new RangeDecoder(bytes);
    expect(given.map((_, i) => decoder.code(0, ps[i] ?? 1))).toEqual(given);
    expect(decoder.isAtEnd).toBe(true);
    expect(8 * bytes.length).toBeLessThan(meter.bits * 1.0005 + 24);
  });

  it("carries through any number of bytes of 255", () => {
    // Many likely bits narrow the range next to a byte's bound, then an unlikely one crosses it.
    for (let n = 1; n < 400; n += 7) {
      const given = [...Array.from({ length: n }, () => 0), 1, 0, 1];
      const encoder = new RangeEncoder();
      for (const bit of given) encoder.code(bit, 3);
      const decoder = new RangeDecoder(encoder.finish());
      expect(given.map(() => decoder.code(0, 3))).toEqual(given);
    }
  });

  it("takes no byte for bits that were certain", () => {
    const encoder = new RangeEncoder();
    for (let i = 0; i < 100; i++) encoder.code(1, 65535);
    expect(encoder.finish().length).toBeLessThanOrEqual(1);
  });
});

describe("the logistic tables", () => {
  it("are e^x / (1 + e^x) to the nearest 65536th", () => {
    for (let x = -MAX_LOG_ODDS; x <= MAX_LOG_ODDS; x++) {
      const exact = 65536 / (1 + Math.exp(-x / 256));
      expect(Math.abs(squash(x) - Math.max(1, Math.min(65535, exact)))).toBeLessThan(0.501);
    }
    expect([squash(10_000), squash(-10_000), squash(0)]).toEqual([65535, 1, 32768]);
  });

  it("invert each other where a probability has twelve bits", () => {
    for (let p = 200; p < 65300; p += 16) expect(Math.abs(squash(stretch(p)) - p)).toBeLessThan(64);
  });
});

describe("the logarithm of a magnitude", () => {
  it("is 1024 log2 |x| to the nearest of the leading ten bits, within its bounds", () => {
    const values = Float32Array.from(
      words("values", 20_000),
      (word, i) => (((word % 2000) - 1000.5) / 700) * 2 ** ((i % 60) - 30),
    );
    const logs = magnitudeLogs(values);
    values.forEach((value, i) => {
      expect(Math.abs((logs[i] ?? 0) - 1024 * Math.log2(Math.abs(value)))).toBeLessThan(1.3);
    });
    expect([...magnitudeLogs(Float32Array.of(1, -1, 0, 1e-30, 1e30))]).toEqual([1, 1, -40960, -40960, 40960]);
  });
});

describe("whole numbers", () => {
  it("come back, small ones in few bits", () => {
    const values = [0, 1, 2, 3, 5, 8, 1000, 65535, 2 ** 31, 2 ** 32 - 2, 0, 0, 0, 1];
    const signed = [0, -1, 1, -500, 2 ** 31 - 1, -(2 ** 31) + 1];
    const encoder = new RangeEncoder();
    const writer = new IntegerCoder(2);
    for (const value of values) writer.unsigned(encoder, value);
    for (const value of signed) writer.signed(encoder, value, 1);
    const decoder = new RangeDecoder(encoder.finish());
    const reader = new IntegerCoder(2);
    expect(values.map(() => reader.unsigned(decoder, 0))).toEqual(values);
    expect(signed.map(() => reader.signed(decoder, 0, 1))).toEqual(signed);
  });
});

describe("adaptive probabilities", () => {
  it("come near the share of ones, by the worked rate 1 / (n + 1.5)", () => {
    const bits = new AdaptiveBits(1, 255);
    bits.update(0, 1);
    // 32768 + (65536 - 32768) · floor(131072 / 3) / 65536
    expect(bits.probability(0)).toBe(32768 + ((32768 * 43690) >> 16));
    for (let i = 0; i < 4000; i++) bits.update(0, i % 4 === 0 ? 1 : 0);
    expect(Math.abs(bits.probability(0) / 65536 - 0.25)).toBeLessThan(0.02);
  });
});

describe("float16", () => {
  it("keeps every one of its own numbers, and rounds to the nearest, ties to even", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromFloat16Bits(bits);
      if (!Number.isNaN(value)) expect(toFloat16Bits(value)).toBe(bits);
    }
    expect(fromFloat16Bits(toFloat16Bits(1 + 2 ** -11))).toBe(1);
    expect(fromFloat16Bits(toFloat16Bits(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9);
    expect(fromFloat16Bits(toFloat16Bits(2 ** -25))).toBe(0);
    expect(fromFloat16Bits(toFloat16Bits(3 * 2 ** -25))).toBe(2 ** -23);
    expect(toFloat16Bits(65520)).toBe(0x7c00);
    expect(toFloat16Bits(65519)).toBe(0x7bff);
    expect([toFloat16Bits(Number.NaN), toFloat16Bits(-Infinity)]).toEqual([0x7e00, 0xfc00]);
  });
});

/** A mask as synaptic flow leaves it: a threshold on |w| times a factor for each row and column. */
function flowMask([outputs, inputs, size]: MaskShape): { mask: Uint8Array; weights: Float32Array } {
  const random = Float64Array.from(words("flow", 2 * outputs * inputs * size + 2000), (word) => word / 2 ** 32);
  let next = 0;
  const draw = () => random[next++] ?? 0;
  const rows = Float64Array.from({ length: outputs }, () => Math.exp(draw() - 0.5));
  const columns = Float64Array.from({ length: inputs }, () => Math.exp(draw() - 0.5));
  const weights = Float32Array.from({ length: outputs * inputs * size }, () => draw() - 0.5);
  const mask = Uint8Array.from(weights, (weight, n) => {
    const place = Math.floor(n / size);
    return Math.abs(weight) * (rows[Math.floor(place / inputs)] ?? 0) * (columns[place % inputs] ?? 0) > 0.3 ? 1 : 0;
  });
  return { mask, weights };
}

function codedMask(mask: Uint8Array, weights: Float32Array, shape: MaskShape): number {
  const logs = magnitudeLogs(weights);
  const parameters = fitMask(mask, logs, shape);
  const encoder = new RangeEncoder();
  const writer = new MaskCoder(encoder);
  writer.parameters(parameters, shape);
  writer.mask(Uint8Array.from(mask), logs, parameters, shape);
  const bytes = encoder.finish();
  const reader = new MaskCoder(new RangeDecoder(bytes));
  const read = new Uint8Array(mask.length);
  reader.mask(read, logs, reader.parameters(NO_PARAMETERS, shape), shape);
  expect(read).toEqual(mask);
  return (8 * bytes.length) / mask.length;
}

describe("a mask's model", () => {
  it("codes a mask that follows from magnitudes, rows and columns in a tenth of its entropy", () => {
    const shape = [64, 48, 9] as const;
    const { mask, weights } = flowMask(shape);
    expect(codedMask(mask, weights, shape)).toBeLessThan(0.08);
  });

  it("costs no more than the entropy where a mask follows from nothing", () => {
    const weights = Float32Array.from(words("weights", 36_864), (word) => word / 2 ** 32 - 0.5);
    const mask = Uint8Array.from(words("mask", 36_864), (word) => (word / 2 ** 32 < 0.3 ? 1 : 0));
    expect(codedMask(mask, weights, [64, 64, 9])).toBeLessThan(0.8813 * 1.02 + 0.01);
  });

  it("is exact for weights of one magnitude, of zero, and for layers of one row or column", () => {
    const mask = Uint8Array.from(words("few", 60), (word) => word % 2);
    for (const shape of [
      [60, 1, 1],
      [1, 60, 1],
      [1, 1, 60],
      [3, 4, 5],
    ] as const) {
      codedMask(mask, new Float32Array(60).fill(0.25), shape);
      codedMask(mask, new Float32Array(60), shape);
    }
  });
});

describe("a sign's model", () => {
  const code = (signs: Uint8Array, mask: Uint8Array) => {
    const encoder = new RangeEncoder();
    new SignCoder(encoder).signs(Uint8Array.from(signs), mask, [3, 3]);
    const bytes = encoder.finish();
    const read = new Uint8Array(signs.length);
    new SignCoder(new RangeDecoder(bytes)).signs(read, mask, [3, 3]);
    expect(read).toEqual(signs);
    return (8 * bytes.length) / mask.reduce((sum, bit) => sum + bit, 0);
  };
  const mask = Uint8Array.from(words("kept", 90_000), (word) => (word % 10 < 3 ? 1 : 0));

  it("costs hardly more than a bit where signs are random", () => {
    const signs = Uint8Array.from(words("signs", 90_000), (word, i) => (mask[i] === 1 ? 1 + (word % 2) : 0));
    const bits = code(signs, mask);
    expect(bits).toBeGreaterThan(0.99);
    expect(bits).toBeLessThan(1.03);
  });

  it("costs less where neighbours in a kernel agree", () => {
    const kernels = words("kernels", 10_000);
    const signs = Uint8Array.from(mask, (bit, i) => (bit === 1 ? 1 + ((kernels[Math.floor(i / 9)] ?? 0) % 2) : 0));
    expect(code(signs, mask)).toBeLessThan(0.75);
  });
});

describe("floating-point numbers and texts", () => {
  it("come back bit for bit, numbers of two and of four bytes", () => {
    const half = Uint16Array.from(words("half", 3000), (word) => word & 0xffff);
    const single = words("single", 3000);
    const encoder = new RangeEncoder();
    const writer = new FloatCoder(encoder, 2);
    writer.values(half.slice(), 0);
    writer.values(single.slice(), 1);
    const reader = new FloatCoder(new RangeDecoder(encoder.finish()), 2);
    const [readHalf, readSingle] = [new Uint16Array(3000), new Uint32Array(3000)];
    reader.values(readHalf, 0);
    reader.values(readSingle, 1);
    expect([readHalf, readSingle]).toEqual([half, single]);
  });

  it("text comes back, a description's usual words in a tenth of their length", () => {
    const text = JSON.stringify({
      classes: ["zebra", "lion"],
      nodes: Array.from({ length: 40 }, (_, i) => ["conv2d", i, { weight: `layer${i}.conv1.weight`, padding: 1 }]),
    });
    const bytes = new TextEncoder().encode(`${text} é 😀`);
    const encoder = new RangeEncoder();
    codeText(encoder, bytes, bytes.length);
    const coded = encoder.finish();
    expect(coded.length).toBeLessThan(bytes.length / 10);
    expect(codeText(new RangeDecoder(coded), new Uint8Array(), 1e6)).toEqual(bytes);
    expect(codeText(new RangeDecoder(coded), new Uint8Array(), 100)).toBeNull();
  });
});
