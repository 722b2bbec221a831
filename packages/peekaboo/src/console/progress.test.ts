import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createProgress, type Progress, type ProgressOptions } from "./progress.js";

/** A stream that keeps what it gets; with columns it is a terminal. */
class Screen extends Writable {
  readonly isTTY: boolean;
  readonly columns?: number;
  text = "";

  constructor(columns?: number) {
    super();
    this.isTTY = columns !== undefined;
    if (columns !== undefined) this.columns = columns;
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }

  /** Everything that was drawn or written, oldest first. */
  get lines(): string[] {
    const drawn = this.text.replaceAll("\r", "\n").split("\n");
    return drawn.map(stripVTControlCharacters).filter((line) => line !== "");
  }

  get last(): string | undefined {
    return this.lines.at(-1);
  }
}

let running: Progress | undefined;
afterEach(() => running?.stop());

function start(columns: number | undefined, options: Partial<ProgressOptions> = {}) {
  const screen = new Screen(columns);
  let time = 0;
  const clock = { advance: (milliseconds: number) => (time += milliseconds) };
  const env = { LANG: "C.UTF-8" };
  const progress = createProgress({ total: 2000, title: "Training", stream: screen, now: () => time, env, ...options });
  running = progress;
  return { screen, progress, clock };
}

const FIELDS = { loss: 1.23456, acc: 45.678, flips: 32_749, "img/s": 512 };

describe("a progress bar on a terminal", () => {
  it("shows bar, percent, count, rate, time left, and the fields in their order", () => {
    const { screen, progress, clock } = start(140);
    clock.advance(10_000);
    progress.update(500, FIELDS);
    const bar = "█".repeat(6) + "░".repeat(18);
    expect(screen.last).toBe(
      `Training  ${bar}   25 %    500/2,000  50/s  30 s left  loss 1.235  acc 45.68  flips 32,749  img/s 512`,
    );
  });

  it.each([
    [110, "Training  ██░░░░░░   25 %    500/2,000  50/s  30 s left  loss 1.235  acc 45.68  flips 32,749  img/s 512"],
    [100, "Training  ██░░░░░░   25 %  50/s  30 s left  loss 1.235  acc 45.68  flips 32,749  img/s 512"],
    [90, "Training  ██░░░░░░   25 %  30 s left  loss 1.235  acc 45.68  flips 32,749  img/s 512"],
    [80, "Training  ██░░░░░░   25 %  30 s left  loss 1.235  acc 45.68  flips 32,749"],
    [60, "Training  ██░░░░░░   25 %  30 s left  loss 1.235  acc 45.68"],
    [40, "Training  ██░░░░░░   25 %  30 s left"],
    [20, "Training   25 %"],
    [6, "Train"],
  ])("fits %d columns, leaving the last one free", (columns, line) => {
    const { screen, progress, clock } = start(columns);
    clock.advance(10_000);
    progress.update(500, FIELDS);
    expect(screen.last).toBe(line);
    expect(line.length).toBeLessThan(columns);
  });

  it("keeps the order and the last values of fields that an update leaves out", () => {
    const { screen, progress, clock } = start(140);
    clock.advance(1000);
    progress.update(1, FIELDS);
    clock.advance(1000);
    progress.update(2, { flips: 7, loss: 0.5 });
    expect(screen.last).toMatch(/loss 0\.5000 {2}acc 45\.68 {2}flips {6}7 {2}img\/s 512$/);
  });

  it("is not redrawn by updates more often than every tenth of a second", () => {
    const { screen, progress, clock } = start(100);
    const before = screen.lines.length;
    for (let done = 1; done <= 1000; done++) {
      clock.advance(1);
      progress.update(done);
    }
    expect(screen.lines.length - before).toBe(10);
  });

  it("is redrawn while the work keeps it waiting, until it stops", () => {
    vi.useFakeTimers();
    const { screen, progress, clock } = start(60);
    clock.advance(10_000);
    progress.update(1000);
    const before = screen.lines.length;
    vi.advanceTimersByTime(250);
    expect(screen.lines.slice(before)).toEqual(Array(2).fill(screen.last));
    progress.stop();
    const { text } = screen;
    vi.advanceTimersByTime(1000);
    expect(screen.text).toBe(text);
    vi.useRealTimers();
  });

  it("uses plain characters where the locale is not UTF-8", () => {
    const { screen, progress, clock } = start(60, { env: { LC_ALL: "C", LANG: "C.UTF-8" } });
    clock.advance(1000);
    progress.update(1000);
    expect(screen.last).toBe("Training  ====----   50 %  1,000/2,000  1,000/s  1.0 s left");
  });

  it("puts a logged line above the bar, whole, and draws the bar anew", () => {
    const { screen, progress, clock } = start(40);
    clock.advance(1000);
    progress.update(500);
    const line = "a line that is longer than this terminal is wide";
    progress.log(line);
    expect(screen.text).toContain(`${line}\n`);
    expect(screen.lines.slice(-2)).toEqual([line, "Training  ██░░░░░░   25 %  3.0 s left"]);
  });

  it("ends with the whole time, mean rate and last figures, once", () => {
    const { screen, progress, clock } = start(100);
    clock.advance(40_000);
    progress.update(1000, { loss: 2 });
    clock.advance(50);
    progress.update(2000, { loss: 1 });
    progress.stop();
    const line = "Training  ████████████████████████  100 %  2,000/2,000  50/s  in 40 s  loss 1";
    expect(screen.last).toBe(line);
    const { text } = screen;
    expect(text.endsWith("\n")).toBe(true);
    progress.stop();
    progress.update(2000);
    expect(screen.text).toBe(text);
    progress.log("after");
    expect(screen.text).toBe(`${text}after\n`);
  });

  it("measures the speed over the last half minute and from where an earlier process stopped", () => {
    const { screen, progress, clock } = start(100, { start: 1000 });
    for (let second = 1; second <= 60; second++) {
      clock.advance(1000);
      progress.update(1000 + (second <= 30 ? second * 10 : 300 + (second - 30) * 2));
    }
    expect(screen.last).toBe("Training  ████████████████░░░░░░░░   68 %  1,360/2,000  2.0/s  5m 20s left");
  });

  it("tells seconds each where the work is slower than one a second", () => {
    const { screen, progress, clock } = start(100, { total: 10 });
    clock.advance(5000);
    progress.update(2);
    expect(screen.last).toContain(" 20 %   2/10  2.5 s each  20 s left");
  });

  it("counts bytes in kB and MB", () => {
    const { screen, progress, clock } = start(100, { total: 170_500_000, unit: "bytes" });
    clock.advance(2000);
    progress.update(9_000_000);
    expect(screen.last).toBe("Training  █░░░░░░░░░░░░░░░░░░░░░░░    5 %  9.0 MB/171 MB  4.5 MB/s  36 s left");
  });

  it("shows neither bar nor percent of an unknown total", () => {
    const { screen, progress, clock } = start(100, { total: 0, unit: "bytes" });
    clock.advance(2000);
    progress.update(9_000_000);
    expect(screen.last).toBe("Training  9.0 MB  4.5 MB/s");
  });
});

describe("progress elsewhere", () => {
  it("is plain lines: at the first update, every ten seconds, and at the end", () => {
    const { screen, progress, clock } = start(undefined, { unit: "steps" });
    for (let second = 1; second <= 25; second++) {
      clock.advance(1000);
      progress.update(second * 20, { loss: second / 8 });
    }
    progress.stop();
    progress.stop();
    expect(screen.text).toBe(
      [
        "Training: 1 % (20/2,000 steps), 20/s, 1m 39s left, loss 0.1250\n",
        "Training: 11 % (220/2,000 steps), 20/s, 1m 29s left, loss 1.375\n",
        "Training: 21 % (420/2,000 steps), 20/s, 1m 19s left, loss 2.625\n",
        "Training: 25 % (500/2,000 steps), 20/s, in 25 s, loss 3.125\n",
      ].join(""),
    );
  });

  it("says nothing of work that never began, and passes logged lines on", () => {
    const { screen, progress } = start(undefined);
    progress.log("line");
    progress.stop();
    expect(screen.text).toBe("line\n");
  });

  it("stops at the end of a using block", () => {
    const { screen, progress } = start(undefined);
    {
      using block = progress;
      block.update(2000);
    }
    expect(screen.last).toMatch(/^Training: 100 % \(2,000\/2,000\), in /);
  });

  it.each([{ CI: "true" }, { NO_COLOR: "1" }, { TERM: "dumb" }])("is plain lines on a terminal with %o", (env) => {
    const { screen, progress } = start(100, { env });
    progress.update(1);
    expect(screen.text).toBe("Training: 0 % (1/2,000)\n");
  });

  it.each([{ CI: "false" }, { CI: "" }, { NO_COLOR: "" }])("is a bar on a terminal with %o", (env) => {
    const { screen } = start(100, { env });
    expect(screen.text).toContain("\u001b[");
  });
});
