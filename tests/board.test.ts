// The real `peekaboo board` on runs that are made here, in a real browser.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, launchChromium } from "../bench/chromium.js";
import { asLines, makeRun, someSteps } from "../packages/peekaboo/src/board/runs.support.js";
import { parseConfig } from "../packages/peekaboo/src/config/config.js";
import type { Metrics } from "../packages/peekaboo/src/runs/metrics.js";
import { bin, peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();
const results = join(folder, "results");
const chromium = chromiumPath();
if (chromium === undefined)
  console.log("board.test.ts is skipped in part: no Chromium in PATH (CHROMIUM names one elsewhere).");

let board: ChildProcess;
let address: string;
let browser: Browser;
const requested = new Set<string>();
const faults: string[] = [];

/** Starts the board and waits for its address. */
async function start(...flags: string[]): Promise<void> {
  const env = { ...process.env, PEEKABOO_DATA: join(folder, "data") };
  board = spawn(process.execPath, [bin, "board", results, ...flags], { env, stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  for await (const chunk of board.stdout ?? []) {
    told += String(chunk);
    const [found] = /http:\S+/.exec(told) ?? [];
    if (found === undefined) continue;
    address = found;
    return;
  }
  throw new Error(`the board ended: ${told}`);
}

/** Ends it as Ctrl-C does; gives the exit status. */
async function stop(): Promise<number> {
  const ended = once(board, "exit");
  board.kill("SIGINT");
  const [status] = await ended;
  return Number(status);
}

/** The status and the headers of an answer. */
function ask(
  path: string,
  { method = "GET", host = "" } = {},
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]> }> {
  const { port, host: own } = new URL(address);
  return new Promise((resolve, reject) => {
    const headers = { host: host === "" ? own : host };
    const asking = request({ port, host: "127.0.0.1", path, method, headers }, (response) => {
      response.destroy();
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
    });
    asking.on("error", reject).end();
  });
}

const layer = (name: string, kept: number, total: number) => ({ name, kept, total });

/** What a run of three epochs records. */
function recorded(seed: number): Metrics[] {
  const layers = [layer("conv1.weight", 30, 100), layer("conv2.weight", 300, 1000)];
  const rates = { imagesPerSecond: 400, lr: 0.1, ar: 0.01 };
  const epochs = [0, 1, 2].flatMap((epoch): Metrics[] => {
    const place = { epoch, step: 100 * (epoch + 1) };
    return [
      ...someSteps(100 * epoch + 1, 100 * epoch + 100, seed),
      { kind: "epoch", ...place, loss: 2, accuracy: 30, flips: 9, seconds: 25, ...rates },
      { kind: "flips", ...place, layers: layers.map(({ name, kept }) => ({ name, kept, flips: 10 - epoch })) },
      { kind: "eval", ...place, loss: 2, accuracy: 40 + epoch + seed, best: true },
    ];
  });
  const prune = {
    kind: "prune",
    epoch: 0,
    shot: 0,
    pruner: "SynFlow",
    density: 0.3,
    kept: 330,
    total: 1100,
    seconds: 1,
    layers,
  } as const;
  return [prune, ...epochs];
}

function makeRecorded(name: string, seed: number): string {
  const run = makeRun(results, name, recorded(seed));
  writeFileSync(join(run, "config.json"), JSON.stringify(parseConfig({ epochs: 4, seed, batchSize: 64 })));
  return run;
}

/** A process that has a run's lock, as training has. */
function holdLock(path: string): ChildProcess {
  const program = `const { FileLock } = await import(process.argv[1]);
    await FileLock.acquire(process.argv[2], { operation: "train", onHeld() {} });
    setTimeout(() => {}, 120_000);`;
  const module = new URL("../packages/files/dist/node/index.js", import.meta.url).href;
  return spawn(process.execPath, ["--input-type=module", "-e", program, module, path], { stdio: "inherit" });
}

const EVIL = "<img src=x onerror=alert(1)>";

beforeAll(async () => {
  mkdirSync(results);
  for (const seed of [0, 1, 2, 3]) makeRecorded(seed === 3 ? EVIL : `run-${seed}`, seed);
  writeFileSync(join(results, "run-1/run.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>");
  writeFileSync(join(results, "run-1/best.pab"), "network");
  writeFileSync(join(results, "run-2/run.lock"), "");
  await start();
});

afterAll(() => {
  board.kill("SIGKILL");
});

describe("the board's server", () => {
  it("tells nothing to whom doesn't know the token, or comes by another name", async () => {
    const { pathname } = new URL(address);
    expect((await ask(pathname)).status).toBe(200);
    for (const path of [
      "/",
      "/wrong/",
      pathname.slice(0, -2),
      "/wrong/curves?runs=1",
      "/wrong/events",
      `//${pathname}`,
    ]) {
      expect((await ask(path)).status).toBe(403);
    }
    expect((await ask(pathname, { host: "evil.example" })).status).toBe(403);
    expect((await ask(pathname, { host: `localhost:${new URL(address).port}` })).status).toBe(200);
    expect((await ask("/wrong/", { method: "POST" })).status).toBe(403);
  });

  it("takes GET alone, numbers and not paths, and lets nothing come from elsewhere", async () => {
    const { pathname } = new URL(address);
    expect((await ask(pathname, { method: "POST" })).status).toBe(405);
    expect((await ask(pathname.slice(0, -1))).headers.location).toBe(pathname);
    for (const path of [
      "../../etc/passwd",
      "%2e%2e/x",
      "runs/run-1/run.svg",
      "runs/99/layers",
      "runs/1/config.json",
      "board-page/../x",
    ]) {
      expect((await ask(`${pathname}${path}`)).status).toBe(404);
    }
    const { headers } = await ask(pathname);
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(headers).toMatchObject({ "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" });
  });

  it("says in a sentence why it can't start", () => {
    const none = peekaboo("board", join(folder, "none"));
    expect(none.stderr).toMatch(
      /^board: expected a folder with runs below it for FOLDER, received "[^"]+none", which is none; [^\n]+\.\n$/,
    );
    expect(none.status).toBe(2);
    const taken = peekaboo("board", results, "--port", new URL(address).port);
    expect(taken.stderr).toMatch(
      /^board: expected a port that is free [^\n]+ for --port, received \d+ \(EADDRINUSE\); [^\n]+\.\n$/,
    );
    expect(taken.status).toBe(2);
    expect(peekaboo("board", results, "--port", "0").status).toBe(2);
  });
});

async function open(options: BrowserContextOptions = {}): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1300, height: 900 }, ...options });
  page.setDefaultTimeout(30_000);
  page.on("request", (asked) => requested.add(asked.url()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A server that is gone for a while is no fault of the page.
    if (message.type() === "error" && !message.text().includes("net::ERR_")) faults.push(message.text());
  });
  await page.goto(address);
  await page.waitForSelector('#range:has-text("Steps 0 to")');
  return page;
}

const rowsOf = (page: Page) => page.locator("#runs tbody label").allTextContents();
const labelOf = (page: Page) => page.locator('figure[data-figure="loss"] .plot').getAttribute("aria-label");
const shown = (page: Page) => page.locator("#selected strong").allTextContents();

/** Shows these runs and no others. */
async function tick(page: Page, ...names: string[]): Promise<void> {
  for (const name of [...(await shown(page)), ...names]) await page.click(`#runs label:text-is("${name}")`);
  await expect.poll(() => shown(page)).toEqual(names);
}

describe.skipIf(chromium === undefined)("the board's page", () => {
  beforeAll(async () => {
    browser = await launchChromium(chromium ?? "");
  });

  afterAll(async () => {
    await browser?.close();
  });

  it("shows what is recorded, and names as they are", async () => {
    const page = await open();
    expect(await rowsOf(page)).toEqual([EVIL, "run-0", "run-1", "run-2"]);
    const row = page.locator("#runs tbody tr", { hasText: "run-2" });
    expect(await row.locator("td").allTextContents()).toEqual(
      expect.arrayContaining(["running", "300 of 400", "44.00 %", "30.0 %", "0.01", "1e-7"]),
    );
    expect(await page.textContent("#range")).toBe("Steps 0 to 300, each step");
    await page.selectOption("#layers-run", "run-2");
    await page.waitForSelector('#layers-note:has-text("After epoch 3")');
    const cells = await page.locator("#layers tbody tr").nth(1).locator("td, th").allTextContents();
    expect(cells).toEqual(["conv2.weight", "1,000", "30.0 %", "", "8", "2.7 %", ""]);
    await page.close();
  });

  it("draws what a run adds while the page is open, a new run, and one that begins anew", async () => {
    const page = await open();
    await tick(page, "run-2");
    const run = join(results, "run-2");
    const [last] = someSteps(301, 301);
    const added = { ...last, epoch: 3, loss: 7.25 };
    appendFileSync(join(run, "metrics.jsonl"), JSON.stringify(added));
    await page.waitForTimeout(1200);
    expect(await page.textContent("#range")).toContain("0 to 300");
    appendFileSync(join(run, "metrics.jsonl"), "\n");
    await page.waitForSelector('#range:has-text("0 to 301")');
    await expect.poll(() => labelOf(page)).toContain("run-2: 7.25");
    makeRecorded("late", 4);
    await page.waitForSelector('#runs label:text-is("late")');
    rmSync(join(results, "late"), { recursive: true });
    await page.waitForSelector('#runs label:text-is("late")', { state: "detached" });
    makeRun(results, "run-2", recorded(2));
    await page.waitForSelector('#range:has-text("0 to 300")');
    await expect.poll(() => labelOf(page)).not.toContain("7.25");
    await page.close();
  });

  it("tells within seconds that a run was killed, and not that one is stopped which is only halted", async () => {
    const page = await open();
    const run = makeRecorded("killed", 5);
    const training = holdLock(join(run, "run.lock"));
    const stateIs = (state: string) =>
      page.waitForSelector(`#runs tr[data-state="${state}"]:has-text("killed")`, { timeout: 10_000 });
    try {
      await stateIs("running");
      training.kill("SIGSTOP");
      utimesSync(join(run, "run.lock"), new Date(0), new Date(0));
      await page.waitForTimeout(5000);
      await stateIs("running");
    } finally {
      training.kill("SIGKILL");
    }
    const killed = Date.now();
    await stateIs("stopped");
    expect(Date.now() - killed).toBeLessThan(6000);
    rmSync(run, { recursive: true });
    await page.close();
  });

  it("sorts and filters, by the keyboard too", async () => {
    const page = await open();
    await page.focus('#runs button[data-title="Test, best"]');
    await page.keyboard.press("Enter");
    expect(await rowsOf(page)).toEqual(["run-0", "run-1", "run-2", EVIL]);
    await page.keyboard.press("Enter");
    expect(await rowsOf(page)).toEqual([EVIL, "run-2", "run-1", "run-0"]);
    expect(await page.locator("#runs th[aria-sort]").getAttribute("aria-sort")).toBe("descending");
    await page.fill("#filter", "seed=1");
    expect(await rowsOf(page)).toEqual(["run-1"]);
    expect(await page.textContent("#count")).toBe("1 of 4 runs");
    await page.fill("#filter", "run stopped");
    expect(await rowsOf(page)).toEqual(["run-1", "run-0"]);
    await page.close();
  });

  it("compares runs, and keeps the choice in the address", async () => {
    const page = await open();
    await tick(page, "run-0", "run-1");
    expect(await page.locator("#settings tbody tr").allTextContents()).toEqual(["seed01"]);
    expect(await page.locator("#settings mark").allTextContents()).toEqual(["1"]);
    await page.reload();
    await page.waitForSelector('#range:has-text("Steps")');
    expect(await shown(page)).toEqual(["run-0", "run-1"]);
    await page.close();
  });

  it("looks closer by buttons and by dragging, and back", async () => {
    const page = await open();
    await page.click("#zoom-in");
    await page.waitForSelector('#range:has-text("Steps 75 to 225")');
    await page.click("#later");
    await page.waitForSelector('#range:has-text("Steps 150 to 300")');
    await page.click("#whole");
    await page.waitForSelector('#range:has-text("Steps 0 to 300")');
    const box = await page.locator('figure[data-figure="loss"] .u-over').boundingBox();
    const [x, y] = [box?.x ?? 0, (box?.y ?? 0) + 50];
    const third = (box?.width ?? 0) / 3;
    await page.mouse.move(x + third, y);
    await page.mouse.down();
    await page.mouse.move(x + 2 * third, y, { steps: 5 });
    await page.mouse.up();
    await expect.poll(() => page.textContent("#range")).toMatch(/^Steps (99|100|101) to (199|200|201),/);
    await page.mouse.dblclick(x + third, y);
    await page.waitForSelector('#range:has-text("Steps 0 to 300")');
    await page.close();
  });

  it("saves the picture as SVG and PNG, and gives a run's files", async () => {
    const page = await open();
    await tick(page, "run-1", EVIL);
    const saved = async (selector: string) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
      return readFileSync(await download.path());
    };
    const svg = (await saved("#save-svg")).toString("utf8");
    expect(svg).toContain("&lt;img src=x");
    expect(svg.match(/<polyline points="\d/g)?.length).toBe(12);
    const [drawn, picture] = await Promise.all([sharp(Buffer.from(svg)).metadata(), saved("#save-png")]);
    expect((await sharp(picture).metadata()).width).toBe(2 * drawn.width);
    expect(await saved('a[aria-label="Best network (.pab) of run-1"]')).toEqual(Buffer.from("network"));
    expect((await saved('a[aria-label="Picture of run-1"]')).toString()).toMatch(/^<svg/);
    await page.close();
  });

  it("says that the connection is lost, and goes on with a board that is started again", async () => {
    const page = await open();
    await tick(page, "run-0");
    const before = address;
    expect(await stop()).toBe(130);
    await page.waitForSelector('#connection:has-text("Connection lost")');
    renameSync(join(results, "run-1"), join(results, "a-run-1"));
    appendFileSync(join(results, "run-0/metrics.jsonl"), asLines(someSteps(301, 310)));
    await start();
    expect(address).toBe(before);
    await page.waitForSelector('#connection:has-text("Connected")');
    await page.waitForSelector('#range:has-text("0 to 310")');
    expect(await shown(page)).toEqual(["run-0"]);
    await page.close();
  });

  it.each(["light", "dark"] as const)("has nothing that axe finds, in %s", async (colorScheme) => {
    const page = await open({ colorScheme, bypassCSP: true });
    await tick(page, "run-0", "run-2");
    await page.waitForSelector("#layers tbody tr");
    await page.addScriptTag({ content: axe.source });
    expect(await page.evaluate(VIOLATIONS)).toEqual([]);
    await page.close();
  });

  it("fits a phone", async () => {
    const page = await open({ viewport: { width: 360, height: 740 } });
    await tick(page, "run-0", EVIL);
    await page.waitForSelector("#layers tbody tr");
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    await page.close();
  });

  it("asks nobody but its server, and had no fault in all that was tried", () => {
    expect(
      [...requested].filter((url) => !url.startsWith(address) && !url.startsWith("blob:") && !url.startsWith("data:")),
    ).toEqual([]);
    expect(faults).toEqual([]);
  });
});

/** Runs axe in the page; gives what it finds, in short. */
const VIOLATIONS = `axe.run().then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 120)).join(" | ")))`;
