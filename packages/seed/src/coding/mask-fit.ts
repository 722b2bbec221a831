import { NAT } from "./logistic.js";
import { MAX_BIAS, MAX_ROW, MAX_SLOPE, type MaskParameters, type MaskShape, ROW_UNIT } from "./mask-model.js";

/** Weights looked at while the fit is still rough. */
const SAMPLE = 100_000;
/** Log-odds beyond which a weight that is as expected teaches nothing. */
const CERTAIN = 14;
/** What a parameter's square costs: it holds back parameters that hardly help, since each has to be stored. */
const PENALTY = 0.001;
const ROUGH_ROUNDS = 25;
const FINE_ROUNDS = 12;
/** A round that changes less ends the fit. */
const SETTLED = 0.003;
/** Slopes are stored in 64ths and biases in 16ths of a nat. */
const SLOPES = 64;
const BIASES = 16;

/** Weights [count] with what they are fitted by. */
interface Sample {
  count: number;
  row: Int32Array;
  column: Int32Array;
  kernel: Int32Array;
  /** log2 |w|. */
  log: Float64Array;
  kept: Uint8Array;
}

/**
 * The parameters of {@link MaskParameters} that make a mask cheap, by penalised maximum likelihood: Newton's steps for each group
 * of parameters in turn. Floating-point, since only its rounded result is stored.
 * @param mask row-major, 0 or 1, with both among them
 * @param logs `magnitudeLogs` of the weights
 */
export function fitMask(mask: Uint8Array, logs: Int32Array, shape: MaskShape): MaskParameters {
  const fit = new Fit(shape);
  const rough = sampleOf(mask, logs, shape, Math.max(1, Math.ceil(mask.length / SAMPLE)));
  fit.begin(rough);
  fit.improveUntilSettled(rough, ROUGH_ROUNDS);
  const fine = fit.uncertain(mask, logs, shape);
  fit.improveUntilSettled(fine, FINE_ROUNDS);
  return fit.rounded(fine);
}

/** Every `step`-th weight, a step that is prime to the rows' length visits all places. */
function sampleOf(mask: Uint8Array, logs: Int32Array, [, inputs, size]: MaskShape, step: number): Sample {
  let stride = step;
  while (stride > 1 && greatestCommonDivisor(stride, inputs * size) > 1) stride += 1;
  const picked = Int32Array.from({ length: Math.ceil(mask.length / stride) }, (_, i) => i * stride);
  return gather(mask, logs, [0, inputs, size], picked);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function gather(mask: Uint8Array, logs: Int32Array, [, inputs, size]: MaskShape, picked: Int32Array): Sample {
  const count = picked.length;
  const [row, column, kernel] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
  const [log, kept] = [new Float64Array(count), new Uint8Array(count)];
  for (let i = 0; i < count; i++) {
    const n = picked[i] ?? 0;
    const place = Math.floor(n / size);
    row[i] = Math.floor(place / inputs);
    column[i] = place % inputs;
    kernel[i] = n % size;
    log[i] = (logs[n] ?? 0) / 1024;
    kept[i] = mask[n] ?? 0;
  }
  return { count, row, column, kernel, log, kept };
}

/** A group of parameters, one for each value of an index, with what a pass sums up for it. */
class Group {
  readonly shift: Float64Array;
  readonly gradient: Float64Array;
  readonly curvature: Float64Array;

  constructor(readonly length: number) {
    this.shift = new Float64Array(length);
    this.gradient = new Float64Array(length);
    this.curvature = new Float64Array(length);
  }
}

/** Log-odds slope · (log + row + column + kernel - threshold): shifts of the threshold, so that they fit any slope. */
class Fit {
  #slope = 1;
  #threshold = 0;
  #buffer = new Float64Array();
  readonly #rows: Group;
  readonly #columns: Group;
  readonly #kernel: Group;

  constructor([outputs, inputs, size]: MaskShape) {
    this.#rows = new Group(outputs);
    this.#columns = new Group(inputs);
    this.#kernel = new Group(size);
  }

  /** Starts from each row's, column's and place's own share of kept weights: where the logs' distribution leaves as many. */
  begin(sample: Sample): void {
    const sorted = sample.log.slice().sort();
    const quantile = (share: number) => sorted[Math.min(sample.count - 1, Math.floor(share * sample.count))] ?? 0;
    const all = sample.kept.reduce((sum, kept) => sum + kept, 0);
    this.#threshold = quantile(1 - all / sample.count);
    for (const [group, index] of this.#groups(sample)) {
      const [kept, seen] = [new Float64Array(group.length), new Float64Array(group.length)];
      for (let n = 0; n < sample.count; n++) {
        const i = index[n] ?? 0;
        kept[i] = (kept[i] ?? 0) + (sample.kept[n] ?? 0);
        seen[i] = (seen[i] ?? 0) + 1;
      }
      for (let i = 0; i < group.length; i++) {
        const share = ((kept[i] ?? 0) + 0.5) / ((seen[i] ?? 0) + 1);
        group.shift[i] = this.#threshold - quantile(1 - share);
      }
    }
    this.#slope = 4;
  }

  #groups({ row, column, kernel }: Sample): [Group, Int32Array][] {
    return [
      [this.#rows, row],
      [this.#columns, column],
      [this.#kernel, kernel],
    ];
  }

  /** The log-odds of a sample's weights. */
  #logOdds({ count, row, column, kernel, log }: Sample): Float64Array {
    const [rows, columns, places] = [this.#rows.shift, this.#columns.shift, this.#kernel.shift];
    const [slope, threshold] = [this.#slope, this.#threshold];
    const out = this.#buffer.length < count ? new Float64Array(count) : this.#buffer;
    this.#buffer = out;
    for (let n = 0; n < count; n++) {
      const shift = (rows[row[n] ?? 0] ?? 0) + (columns[column[n] ?? 0] ?? 0) + (places[kernel[n] ?? 0] ?? 0);
      out[n] = slope * ((log[n] ?? 0) + shift - threshold);
    }
    return out;
  }

  /** Improves all, round by round, until the sum of what is uncertain hardly changes any more. */
  improveUntilSettled(sample: Sample, rounds: number): void {
    for (let round = 0, before = 0; round < rounds; round++) {
      const uncertain = this.#improve(sample);
      if (Math.abs(uncertain - before) < SETTLED * uncertain) return;
      before = uncertain;
    }
  }

  /** One of Newton's steps for the slope and the threshold, then for each group; returns the sum of all p (1 - p). */
  #improve(sample: Sample): number {
    const uncertain = this.#improveLine(sample);
    for (const [group, index] of this.#groups(sample)) {
      if (group.length > 1) this.#improveGroup(sample, group, index);
    }
    return uncertain;
  }

  /** @param stored the groups' parts of the log-odds are fixed by now; else they grow with the slope */
  #improveLine(sample: Sample, stored = false): number {
    const odds = this.#logOdds(sample);
    let [g0, g1, h00, h01, h11] = [0, 0, PENALTY, 0, PENALTY];
    for (let n = 0; n < sample.count; n++) {
      const x = odds[n] ?? 0;
      if (Math.abs(x) > CERTAIN && x > 0 === (sample.kept[n] === 1)) continue;
      const p = 1 / (1 + Math.exp(-x));
      const distance = stored ? (sample.log[n] ?? 0) - this.#threshold : x / this.#slope;
      const [error, curvature] = [(sample.kept[n] ?? 0) - p, p * (1 - p)];
      g0 += error;
      g1 += error * distance;
      h00 += curvature;
      h01 += curvature * distance;
      h11 += curvature * distance * distance;
    }
    g1 -= PENALTY * this.#slope;
    const determinant = h00 * h11 - h01 * h01;
    if (!(determinant > 1e-12)) return h00;
    // Relative to the slope, with which the groups' parts grow, too.
    const steeper = bounded((h00 * g1 - h01 * g0) / determinant, 0.5 * this.#slope);
    const before = this.#slope;
    this.#slope = Math.max(1 / SLOPES, Math.min(MAX_SLOPE / SLOPES, before + steeper));
    // Where the slope can't follow, the bias goes its own way.
    const free = this.#slope === before + steeper;
    const bias = bounded(free ? (h11 * g0 - h01 * g1) / determinant : g0 / h00, 4);
    this.#threshold -= bias / this.#slope;
    if (stored) for (const { shift } of [this.#rows, this.#columns, this.#kernel]) rescale(shift, before / this.#slope);
    return h00;
  }

  #improveGroup(sample: Sample, { shift, gradient, curvature, length }: Group, index: Int32Array): void {
    const odds = this.#logOdds(sample);
    gradient.fill(0);
    curvature.fill(0);
    for (let n = 0; n < sample.count; n++) {
      const x = odds[n] ?? 0;
      if (Math.abs(x) > CERTAIN && x > 0 === (sample.kept[n] === 1)) continue;
      const p = 1 / (1 + Math.exp(-x));
      const i = index[n] ?? 0;
      gradient[i] = (gradient[i] ?? 0) + (sample.kept[n] ?? 0) - p;
      curvature[i] = (curvature[i] ?? 0) + p * (1 - p);
    }
    for (let i = 0; i < length; i++) {
      const own = shift[i] ?? 0;
      const nats = ((gradient[i] ?? 0) - PENALTY * own * this.#slope) / ((curvature[i] ?? 0) + PENALTY);
      shift[i] = own + bounded(nats, 3) / this.#slope;
    }
    // What all have in common belongs to the threshold.
    const mean = shift.reduce((sum, value) => sum + value, 0) / length;
    for (let i = 0; i < length; i++) shift[i] = (shift[i] ?? 0) - mean;
    this.#threshold -= mean;
  }

  /** All weights that aren't certain yet. */
  uncertain(mask: Uint8Array, logs: Int32Array, shape: MaskShape): Sample {
    const [outputs, inputs, size] = shape;
    const [slope, rows, columns, kernel] = [this.#slope, this.#rows.shift, this.#columns.shift, this.#kernel.shift];
    const picked: number[] = [];
    for (let o = 0, n = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) {
        const line = (rows[o] ?? 0) + (columns[i] ?? 0) - this.#threshold;
        for (let k = 0; k < size; k++, n++) {
          const x = slope * ((logs[n] ?? 0) / 1024 + line + (kernel[k] ?? 0));
          const certain = mask[n] === 1 ? x > CERTAIN : x < -CERTAIN;
          if (!certain) picked.push(n);
        }
      }
    }
    return gather(mask, logs, shape, Int32Array.from(picked));
  }

  /** The parameters as they are stored; the line is fitted once more to what rounding left of the others. */
  rounded(sample: Sample): MaskParameters {
    const stored = [this.#rows, this.#columns, this.#kernel].map((group) => this.#roundGroup(group));
    const [rows = new Int32Array(), columns = new Int32Array(), kernel = new Int32Array()] = stored;
    for (let round = 0; round < 4; round++) this.#improveLine(sample, true);
    const slope = Math.round(SLOPES * this.#slope);
    // By the rounded slope, so that the odds at the threshold stay.
    const bias = bounded(Math.round((-BIASES * slope * this.#threshold) / SLOPES), MAX_BIAS);
    return { slope, bias, rows, columns, kernel };
  }

  #roundGroup({ shift }: Group): Int32Array {
    const unit = ROW_UNIT / NAT / this.#slope;
    const values = Int32Array.from(shift, (value) => bounded(Math.round(value / unit), MAX_ROW));
    shift.set(values);
    rescale(shift, unit);
    return values.every((value) => value === 0) ? new Int32Array() : values;
  }
}

function rescale(values: Float64Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) * factor;
}

function bounded(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}
