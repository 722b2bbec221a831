import { formatBytes, formatCount, formatDuration } from "./format.js";

/** The figures of a piece of work on its way, as texts; one that isn't known is empty. */
export interface ProgressFigures {
  /** The part that is done, from 0 to 1; 0 when it isn't known. */
  share: number;
  /** E.g. `34 %`. */
  percent: string;
  /** E.g. `1,234/3,910`. */
  count: string;
  /** E.g. `4.2/s`, or `2.3 s each`. */
  rate: string;
  /** E.g. `10m 38s left`; once ended `in 15m 02s`. */
  time: string;
  /** The caller's figures, in the order in which they first came. */
  fields: [name: string, value: string][];
  ended: boolean;
}

/** How far a piece of work is, and how fast it goes. Times are in milliseconds of a clock that never goes back. */
export class ProgressState {
  readonly #total: number;
  readonly #start: number;
  readonly #began: number;
  readonly #write: (count: number) => string;
  readonly #inBytes: boolean;
  readonly #speed: Speed;
  readonly #fields = new Map<string, string>();
  #done: number;
  #ended: number | undefined;

  constructor({ total, start, unit }: { total: number; start: number; unit: string }, now: number) {
    this.#total = total;
    this.#start = start;
    this.#done = start;
    this.#began = now;
    this.#inBytes = unit === "bytes";
    this.#write = this.#inBytes ? formatBytes : formatCount;
    this.#speed = new Speed(now, start);
  }

  update(now: number, done: number, fields: Readonly<Record<string, string | number>> = {}): void {
    this.#done = done;
    this.#speed.add(now, done);
    for (const [name, value] of Object.entries(fields)) {
      this.#fields.set(name, typeof value === "number" ? formatField(value) : value);
    }
  }

  end(now: number): void {
    this.#ended ??= now;
  }

  figures(): ProgressFigures {
    const known = this.#total > 0;
    const total = this.#write(this.#total);
    const done = this.#write(this.#done);
    return {
      share: known ? Math.min(this.#done / this.#total, 1) : 0,
      percent: known ? `${Math.floor((100 * Math.min(this.#done, this.#total)) / this.#total)} %` : "",
      count: known ? `${done.padStart(total.length)}/${total}` : done,
      rate: this.#rateText(),
      time: this.#timeText(),
      fields: [...this.#fields],
      ended: this.#ended !== undefined,
    };
  }

  /** Units a second: lately, or once ended over the whole; NaN as long as nothing is known. */
  get #rate(): number {
    if (this.#ended === undefined) return this.#speed.perSecond();
    return (1000 * (this.#done - this.#start)) / (this.#ended - this.#began);
  }

  #rateText(): string {
    const rate = this.#rate;
    if (!Number.isFinite(rate) || rate <= 0) return "";
    if (this.#inBytes) return `${formatBytes(rate)}/s`;
    if (rate < 0.995) return `${formatDuration(1 / rate)} each`;
    return `${rate < 99.5 ? rate.toPrecision(2) : formatCount(rate)}/s`;
  }

  #timeText(): string {
    if (this.#ended !== undefined) return `in ${formatDuration((this.#ended - this.#began) / 1000)}`;
    const left = (this.#total - this.#done) / this.#rate;
    return Number.isFinite(left) && left > 0 ? `${formatDuration(Math.ceil(left))} left` : "";
  }
}

/** A number with four significant digits, or its thousands set apart where it is whole or large. */
function formatField(value: number): string {
  return Number.isInteger(value) || Math.abs(value) >= 1000 ? formatCount(value) : value.toPrecision(4);
}

const WINDOW_MS = 30_000;
const SPACING_MS = 1000;

/** The speed over the last half minute. */
class Speed {
  /** Samples a second apart, oldest first, and behind them the newest. */
  #samples: { at: number; done: number }[];
  #newest: { at: number; done: number };

  constructor(at: number, done: number) {
    this.#newest = { at, done };
    this.#samples = [this.#newest];
  }

  add(at: number, done: number): void {
    this.#newest = { at, done };
    if (at - (this.#samples.at(-1)?.at ?? at) < SPACING_MS) return;
    this.#samples.push(this.#newest);
    while ((this.#samples[1]?.at ?? at) <= at - WINDOW_MS) this.#samples.shift();
  }

  perSecond(): number {
    const oldest = this.#samples[0] ?? this.#newest;
    return (1000 * (this.#newest.done - oldest.done)) / (this.#newest.at - oldest.at);
  }
}
