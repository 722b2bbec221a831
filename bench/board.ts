// Times of `peekaboo board` with 100 runs of 100,000 steps, in Chromium: node bench/dist/board.js [RUNS] [STEPS]
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RandomStream } from "@peekaboo/seed";
import type { Browser, Page } from "playwright-core";
import { chromiumPath, launchChromium } from "./chromium.js";
import { machine, peakBytes, spread } from "./statistics.js";

const BIN = fileURLToPath(new URL("../../packages/peekaboo/bin/peekaboo.js", import.meta.url));
const STEPS_PER_EPOCH = 400;
const LAYERS = Array.from({ length: 20 }, (_, i) => `layer${i}.conv.weight`);
const VIEWS = 20;

/** Writes a run's figures as training does; with one seed the same. */
function writeRun(folder: string, seed: number, steps: number): void {
  mkdirSync(folder, { recursive: true });
  const random = new RandomStream(seed, "board");
  const file = openSync(join(folder, "metrics.jsonl"), "w");
  const rates = { imagesPerSecond: 400.123456789, lr: 0.1, ar: 0.01 };
  for (let first = 1; first <= steps; first += STEPS_PER_EPOCH) {
    const epoch = (first - 1) / STEPS_PER_EPOCH;
    const lines: object[] = [];
    for (let step = first; step < Math.min(first + STEPS_PER_EPOCH, steps + 1); step++) {
      const noise = random.uint32(step) / 2 ** 32;
      const loss = 2.3 * Math.exp(-step / 30_000) + noise / 3;
      lines.push({
        kind: "step",
        epoch,
        step,
        loss,
        accuracy: 100 * noise,
        flips: random.uint32(step) % 1000,
        ...rates,
      });
    }
    const place = { epoch, step: first + lines.length - 1 };
    lines.push({ kind: "epoch", ...place, loss: 1, accuracy: 50, flips: 500, seconds: 60, ...rates });
    lines.push({ kind: "flips", ...place, layers: LAYERS.map((name, i) => ({ name, flips: 10 * i, kept: 1000 })) });
    lines.push({ kind: "eval", ...place, loss: 1, accuracy: 50 + seed / 10, best: true });
    writeSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
  closeSync(file);
}

async function addressOf(board: ChildProcess): Promise<string> {
  for await (const chunk of board.stdout ?? []) {
    const [found] = /http:\S+/.exec(String(chunk)) ?? [];
    if (found !== undefined) return found;
  }
  throw new Error("the board ended");
}

/** Waits until no row of the table says that its run is still being read. */
async function allRead(page: Page, rows: string): Promise<void> {
  const script = `[...document.querySelectorAll("${rows}")].some((row) => row.textContent.includes("read"))`;
  while (await page.evaluate(script)) await page.waitForTimeout(50);
}

/** Milliseconds from a click until the page shows what it asked for. */
async function change(page: Page, button: string): Promise<number> {
  return page.evaluate(`new Promise((resolve) => {
    const range = document.getElementById("range");
    const began = performance.now();
    new MutationObserver((_, observer) => {
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
    }).observe(range, { childList: true, characterData: true, subtree: true });
    document.getElementById("${button}").click();
  })`);
}

/** Looks closer and back, again and again. */
async function changes(page: Page): Promise<number[]> {
  const times: number[] = [];
  while (times.length < VIEWS) {
    for (const button of ["zoom-in", "zoom-in", "later", "zoom-in", "earlier", "zoom-in", "zoom-in", "whole"])
      times.push(await change(page, button));
  }
  return times;
}

async function firstView(page: Page, address: string): Promise<number> {
  const began = performance.now();
  await page.goto(address);
  await page.waitForSelector('#range:has-text("Steps")');
  return performance.now() - began;
}

const told = (times: readonly number[]) => spread(times, { unit: "ms", digits: 0 });

/** Looks at a board that has just been started, and prints what it took. */
async function look(browser: Browser, board: ChildProcess): Promise<void> {
  const began = performance.now();
  const address = await addressOf(board);
  const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  console.log(`first view, of a board just started: ${(await firstView(page, address)).toFixed(0)} ms`);
  await allRead(page, "#runs tr:has(:checked)");
  console.log(`the runs shown are complete after ${(performance.now() - began).toFixed(0)} ms`);
  console.log(`change of view while it reads: ${told(await changes(page))}`);
  await allRead(page, "#runs tr");
  console.log(`all read after ${((performance.now() - began) / 1000).toFixed(0)} s`);
  const again: number[] = [];
  for (let i = 0; i < 5; i++) again.push(await firstView(page, address));
  console.log(`first view after that: ${told(again)}`);
  console.log(`change of view, 3 runs: ${told(await changes(page))}`);
  for (const box of (await page.locator("#runs input:not(:checked)").all()).slice(0, 5)) await box.check();
  console.log(`change of view, 8 runs: ${told(await changes(page))}`);
  console.log(`the server's memory at most: ${(peakBytes(board.pid) / 1e6).toFixed(0)} MB`);
}

async function main(runs: number, steps: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "peekaboo-board-"));
  const results = join(folder, "results");
  const env = { ...process.env, PEEKABOO_DATA: join(folder, "data") };
  const browser = await launchChromium(chromiumPath() ?? "chromium");
  let board: ChildProcess | undefined;
  console.log(`${runs} runs of ${steps} steps; ${machine()}`);
  try {
    for (let run = 0; run < runs; run++) writeRun(join(results, `run-${run}`), run, steps);
    board = spawn(process.execPath, [BIN, "board", results], { env, stdio: ["ignore", "pipe", "inherit"] });
    await look(browser, board);
  } finally {
    board?.kill("SIGKILL");
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const [runs = "100", steps = "100000"] = process.argv.slice(2);
await main(Number(runs), Number(steps));
