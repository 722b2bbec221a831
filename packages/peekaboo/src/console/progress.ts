import { type ProgressFigures, ProgressState } from "./progress-state.js";

/** Where a {@link Progress} is shown; `process.stderr` is one. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface ProgressOptions {
  /** How many units make the whole; 0 when that is not known. */
  total: number;
  /** How many of them were done before, by an earlier process. */
  start?: number;
  /** What is being done, in a word or two. */
  title: string;
  /** What is counted, in the plural. `bytes` are written as kB, MB, … */
  unit?: string;
  stream?: ProgressStream;
  /** A clock in milliseconds that never goes back. */
  now?: () => number;
  env?: Readonly<NodeJS.ProcessEnv>;
}

/** A piece of work on its way, shown to a person. */
export interface Progress {
  /** Tells how many units are done, and figures to show beside; they keep the order in which they first came. */
  update(done: number, fields?: Readonly<Record<string, string | number>>): void;
  /** Writes a line that stays, above the bar. */
  log(line: string): void;
  /** Leaves the last state standing. */
  stop(): void;
  [Symbol.dispose](): void;
}

/**
 * Shows progress: on a terminal as a bar that is redrawn in place, some ten times a second, in one line whatever the
 * width; elsewhere, or where CI, NO_COLOR or TERM=dumb ask for it, as a plain line at the first update, every ten
 * seconds, and at the end.
 */
export function createProgress({
  total,
  start = 0,
  title,
  unit = "",
  stream = process.stderr,
  now = () => performance.now(),
  env = process.env,
}: ProgressOptions): Progress {
  const work = { total, start, title, unit };
  return isInteractive(stream, env) ? barProgress(work, stream, now, env) : plainProgress(work, stream, now);
}

type Work = Required<Pick<ProgressOptions, "total" | "start" | "title" | "unit">>;

function isInteractive(stream: ProgressStream, { CI = "", NO_COLOR = "", TERM }: Readonly<NodeJS.ProcessEnv>): boolean {
  return stream.isTTY === true && ["", "0", "false"].includes(CI) && NO_COLOR === "" && TERM !== "dumb";
}

const REDRAW_MS = 100;
const WIDE_BAR = 24;
const NARROW_BAR = 8;
const CLEAR_RIGHT = "\u001b[K";

/** Training computes without a pause for Node's timers, so updates redraw the bar; the timer serves what waits. */
function barProgress(
  work: Work,
  stream: ProgressStream,
  now: () => number,
  env: Readonly<NodeJS.ProcessEnv>,
): Progress {
  const state = new ProgressState(work, now());
  const layout = lineLayout(work, speaksUnicode(env) ? ["█", "░"] : ["=", "-"]);
  let drawn = now();
  let running = true;
  const draw = (end = "") => {
    drawn = now();
    timer.refresh();
    stream.write(`\r${layout(state.figures(), (stream.columns || 80) - 1)}${CLEAR_RIGHT}${end}`);
  };
  const timer = setInterval(draw, REDRAW_MS).unref();
  draw();

  const stop = () => {
    if (!running) return;
    running = false;
    state.end(now());
    draw("\n");
    clearInterval(timer);
  };
  return {
    update(done, fields) {
      state.update(now(), done, fields);
      if (running && now() - drawn >= REDRAW_MS) draw();
    },
    log(line) {
      stream.write(running ? `\r${CLEAR_RIGHT}${line}\n` : `${line}\n`);
      if (running) draw();
    },
    stop,
    [Symbol.dispose]: stop,
  };
}

function speaksUnicode({ LC_ALL, LC_CTYPE, LANG }: Readonly<NodeJS.ProcessEnv>): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "");
}

/**
 * Makes the one line of a bar, of at most `width` characters. Where not all fits, the bar becomes shorter, then the count
 * and the rate go, then fields from the right. Until the end a figure keeps the width that it once had, so the line doesn't jitter.
 */
function lineLayout({ title, total }: Work, [full, empty]: readonly [full: string, empty: string]) {
  const widths = new Map<string, number>();
  const steady = (name: string, text: string): string => {
    const width = Math.max(text.length, widths.get(name) ?? 0);
    widths.set(name, width);
    return text.padStart(width);
  };
  return (figures: ProgressFigures, width: number): string => {
    const bar = (size: number) => full.repeat(Math.round(figures.share * size)).padEnd(size, empty);
    if (figures.ended) widths.clear();
    const percent = figures.percent.padStart(5);
    const count = steady("/count", figures.count);
    const rate = steady("/rate", figures.rate);
    const time = steady("/time", figures.time);
    const fields = figures.fields.map(([name, value]) => `${name} ${steady(name, value)}`);
    const [wide, narrow] = total > 0 ? [bar(WIDE_BAR), bar(NARROW_BAR)] : ["", ""];
    const candidates = [
      [wide, percent, count, rate, time, ...fields],
      [narrow, percent, count, rate, time, ...fields],
      [narrow, percent, rate, time, ...fields],
      ...fields.map((_, dropped) => [narrow, percent, time, ...fields.slice(0, fields.length - dropped)]),
      [narrow, percent, time],
      [percent],
    ];
    const lines = candidates.map((parts) => [title, ...parts].filter((part) => part.trim() !== "").join("  "));
    return lines.find((line) => line.length <= width) ?? title.slice(0, width);
  };
}

const PLAIN_MS = 10_000;

function plainProgress(work: Work, stream: ProgressStream, now: () => number): Progress {
  const state = new ProgressState(work, now());
  let writtenAt = Number.NEGATIVE_INFINITY;
  let updated = false;
  const write = () => {
    writtenAt = now();
    stream.write(`${plainLine(work, state.figures())}\n`);
  };
  const stop = () => {
    if (!updated) return;
    updated = false;
    state.end(now());
    write();
  };
  return {
    update(done, fields) {
      state.update(now(), done, fields);
      updated = true;
      if (now() - writtenAt >= PLAIN_MS) write();
    },
    log(line) {
      stream.write(`${line}\n`);
    },
    stop,
    [Symbol.dispose]: stop,
  };
}

function plainLine({ title, unit }: Work, { percent, count, rate, time, fields }: ProgressFigures): string {
  const counted = `${count.trim()} ${unit === "bytes" ? "" : unit}`.trim();
  const head = percent === "" ? counted : `${percent} (${counted})`;
  const parts = [head, rate, time, ...fields.map(([name, value]) => `${name} ${value}`)];
  return `${title}: ${parts.filter((part) => part !== "").join(", ")}`;
}
