import { FIGURES, type Figure } from "./protocol.js";

/** A step's figures; one that is absent doesn't count. */
export type StepFigures = Readonly<Partial<Record<Figure, number>>>;

interface Column {
  readonly figure: Figure;
  readonly least: Float32Array;
  readonly most: Float32Array;
  readonly sum: Float64Array;
  readonly count: Uint32Array;
}

/** Numbered buckets that keep of each figure put into them the least, the most and the mean. */
export class Buckets {
  readonly length: number;
  readonly #columns: readonly Column[];

  constructor(length: number) {
    this.length = length;
    this.#columns = FIGURES.map((figure) => ({
      figure,
      least: new Float32Array(length).fill(Number.POSITIVE_INFINITY),
      most: new Float32Array(length).fill(Number.NEGATIVE_INFINITY),
      sum: new Float64Array(length),
      count: new Uint32Array(length),
    }));
  }

  /** Puts a step's figures into a bucket. */
  add(bucket: number, figures: StepFigures): void {
    for (const column of this.#columns) {
      const value = figures[column.figure];
      if (value !== undefined) put(column, bucket, value, value, value, 1);
    }
  }

  /** Puts all that is in a bucket of others into one of these. */
  absorb(bucket: number, others: Buckets, from: number): void {
    for (const [i, column] of this.#columns.entries()) {
      const { least, most, sum, count } = others.#columns[i] ?? column;
      put(column, bucket, least[from] ?? 0, most[from] ?? 0, sum[from] ?? 0, count[from] ?? 0);
    }
  }

  /** Puts each two neighbours into one; the second half is empty then. */
  halve(): void {
    for (const { least, most, sum, count } of this.#columns) {
      for (let i = 0; 2 * i < this.length; i++) {
        const [one, other] = [2 * i, 2 * i + 1];
        least[i] = Math.min(least[one] ?? 0, least[other] ?? Number.POSITIVE_INFINITY);
        most[i] = Math.max(most[one] ?? 0, most[other] ?? Number.NEGATIVE_INFINITY);
        sum[i] = (sum[one] ?? 0) + (sum[other] ?? 0);
        count[i] = (count[one] ?? 0) + (count[other] ?? 0);
      }
      const half = this.length / 2;
      least.fill(Number.POSITIVE_INFINITY, half);
      most.fill(Number.NEGATIVE_INFINITY, half);
      sum.fill(0, half);
      count.fill(0, half);
    }
  }

  /** What each bucket holds of a figure; null where it has none. */
  of(figure: Figure): ({ least: number; mean: number; most: number } | null)[] {
    const column = this.#columns.find((one) => one.figure === figure);
    return Array.from({ length: this.length }, (_, i) => {
      const { least = [], most = [], sum = [], count = [] } = column ?? {};
      const { [i]: number = 0 } = count;
      return number === 0 ? null : { least: least[i] ?? 0, mean: (sum[i] ?? 0) / number, most: most[i] ?? 0 };
    });
  }
}

function put(column: Column, i: number, least: number, most: number, sum: number, count: number): void {
  column.least[i] = Math.min(column.least[i] ?? 0, least);
  column.most[i] = Math.max(column.most[i] ?? 0, most);
  column.sum[i] = (column.sum[i] ?? 0) + sum;
  column.count[i] = (column.count[i] ?? 0) + count;
}
