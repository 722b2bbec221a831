// From the board to the page that runs networks, as both are built, in a real browser.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { load } from "@peekaboo/runtime";
import { RandomStream } from "@peekaboo/seed";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, launchChromium } from "../bench/chromium.js";
// As built: it gives a browser the modules that lie beside it.
import { BoardServer } from "../packages/peekaboo/dist/board/server.js";
import { makeRun, someSteps } from "../packages/peekaboo/src/board/runs.support.js";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const demo = join(root, "models/cifar10-demo.pab");
const folder = sharedFolder();
const results = join(folder, "results");
const predicting = join(folder, "predicting");
const TOKEN = "0123456789abcdefghijklmnopqrstuv";
const EVIL = `<img src=x onerror=alert(1)> "&run=plain#%2F..`;
const chromium = chromiumPath();
if (chromium === undefined)
  console.log("board-predict.test.ts is skipped: no Chromium in PATH (CHROMIUM names one elsewhere).");

let board: BoardServer;
let browser: Browser;
const faults: string[] = [];
const requested = new Set<string>();

const addressOf = (path = "") => `http://127.0.0.1:${board.port}/${TOKEN}/${path}`;

function startBoard(): Promise<BoardServer> {
  return BoardServer.start({ folder: results, host: "127.0.0.1", port: 0, token: TOKEN, predicting });
}

/** What is answered to a path that is sent as it is. */
function ask(path: string, headers = {}): Promise<{ status: number; policy: string }> {
  return new Promise((resolve, reject) => {
    const asking = request({ port: board.port, host: "127.0.0.1", path, headers }, (response) => {
      response.destroy();
      resolve({
        status: response.statusCode ?? 0,
        policy: String(response.headers["content-security-policy"]),
      });
    });
    asking.on("error", reject).end();
  });
}

function listen(page: Page): void {
  page.setDefaultTimeout(60_000);
  page.on("request", (asked) => requested.add(asked.url()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
}

/** Opens a run's network from the board, as its user does. */
async function openFromBoard(run: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1300, height: 900 } });
  context.on("page", listen);
  const page = await context.newPage();
  await page.goto(addressOf(`#${new URLSearchParams({ run })}`));
  const link = page.getByRole("link", { name: `Try the best network of ${run}`, exact: false });
  const [opened] = await Promise.all([context.waitForEvent("page"), link.click()]);
  return opened;
}

describe.skipIf(chromium === undefined)("a run's network, opened from the board", () => {
  beforeAll(async () => {
    const vite = join(root, "node_modules/vite/bin/vite.js");
    const flags = ["build", "packages/web", "--outDir", predicting, "--logLevel", "error"];
    execFileSync(process.execPath, [vite, ...flags], { cwd: root });
    const samples = join(predicting, "samples/index.json");
    mkdirSync(join(predicting, "samples"), { recursive: true });
    if (!existsSync(samples)) writeFileSync(samples, JSON.stringify({ format: 1, sets: [] }));
    for (const name of ["plain", EVIL, "without"]) makeRun(results, name, someSteps(1, 20));
    cpSync(demo, join(results, EVIL, "best.pab"));
    cpSync(join(root, "models/mnist.pab"), join(results, "plain/best.pab"));
    board = await startBoard();
    browser = await launchChromium(chromium ?? "");
  });

  afterAll(async () => {
    await browser?.close();
    board?.close();
  });

  it("is loaded, and says of an image what Node says", async () => {
    const page = await openFromBoard(EVIL);
    await page.waitForSelector('#status:has-text("best.pab: PsgResNet18")');
    expect(await page.textContent("#status")).toContain(`${EVIL}/best.pab: PsgResNet18`);
    expect(await page.locator("#networks option:checked").textContent()).toBe(`${EVIL}/best.pab`);
    const [width, height] = [40, 31];
    const stream = new RandomStream(0, "noise");
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => stream.uint32(i) & 255);
    const png = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    await page.setInputFiles("#own-image", { name: "noise.png", mimeType: "image/png", buffer: png });
    await page.waitForSelector('#caption:has-text("noise.png")');
    const node = await load(new Uint8Array(readFileSync(demo)));
    const { best } = await node.predict({ data, width, height });
    const [first] = best;
    const top = page.locator("#guesses li").first();
    await expect.poll(() => top.locator(".label").textContent()).toBe(first?.label);
    expect(Number(await top.locator("data").getAttribute("value"))).toBeCloseTo(first?.probability ?? 0, 4);
    await page.context().close();
  });

  it("is still that run's after the board was started again and numbers the runs anew", async () => {
    const page = await openFromBoard("plain");
    await page.waitForSelector('#status:has-text("plain/best.pab: "):has-text("opened in")');
    expect(await page.title()).toBe("plain/best.pab – peekaboo");
    const before = await page.textContent("h1");
    const { port } = board;
    board.close();
    makeRun(results, "a-first-one", someSteps(1, 5));
    cpSync(demo, join(results, "a-first-one/best.pab"));
    board = await BoardServer.start({ folder: results, host: "127.0.0.1", port, token: TOKEN, predicting });
    await expect.poll(async () => (await ask(`/${TOKEN}/best.pab?run=plain`)).status).toBe(200);
    await page.reload();
    await page.waitForSelector('#status:has-text("plain/best.pab: "):has-text("opened in")');
    expect(await page.textContent("h1")).toBe(before);
    await page.context().close();
  });

  it("isn't offered where there is none, and is told as missing once it is gone", async () => {
    const page = await openFromBoard("plain");
    await page.waitForSelector('#status:has-text("plain/best.pab: "):has-text("opened in")');
    rmSync(join(results, "plain/best.pab"));
    const known = faults.length;
    await page.reload();
    await page.waitForSelector("#problem:not([hidden])");
    expect(await page.textContent("#problem-text")).toBe(
      "“plain/best.pab” can't be opened: plain/best.pab is missing from this page's host (status 404).",
    );
    // The browser's own line on the 404.
    expect(faults.splice(known)).toEqual([expect.stringContaining("404")]);
    await page.goto(addressOf("#run=without"));
    await page.waitForSelector('#range:has-text("Steps")');
    expect(await page.locator("#selected a").count()).toBe(0);
    await page.context().close();
  });

  it("has a policy of its own that lets WebAssembly run, and leaves the board's as it was", async () => {
    const worker = /assets\/worker-[\w-]+\.js/.exec([...requested].join("\n"))?.[0] ?? "";
    for (const path of ["predict/", `predict/${worker}`, "predict/assets/none.js"]) {
      const { status, policy } = await ask(`/${TOKEN}/${path}`);
      expect([path, status]).toEqual([path, path.includes("none") ? 404 : 200]);
      expect(policy).toMatch(/^default-src 'none'; script-src 'self'/);
      expect(policy.includes("'wasm-unsafe-eval'")).toBe(status === 200);
    }
    for (const path of ["", "board-page/main.js", "curves?runs=1", "best.pab?run=plain", "none"])
      expect((await ask(`/${TOKEN}/${path}`)).policy).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; " +
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
  });

  it("is given to nobody without the token or by another name, and no other file ever", async () => {
    for (const path of ["predict/", "best.pab?run=a-first-one"]) {
      expect((await ask(`/${path}`)).status).toBe(403);
      expect((await ask(`/wrong/${path}`)).status).toBe(403);
      expect((await ask(`/${TOKEN}/${path}`, { host: "evil.example" })).status).toBe(403);
      expect((await ask(`/${TOKEN}/${path}`)).status).toBe(200);
    }
    for (const path of [
      "predict/../best.pab",
      "predict/../../../package.json",
      "predict/%2e%2e/package.json",
      "predict//etc/passwd",
      "best.pab",
      "best.pab?run=",
      "best.pab?run=..%2Fresults%2Fa-first-one",
      "best.pab?run=.%2Fa-first-one",
      "best.pab?run=a-first-one%00",
    ])
      expect([path, (await ask(`/${TOKEN}/${path}`)).status]).toEqual([path, 404]);
  });

  it("is explained where the page isn't built", async () => {
    rmSync(predicting, { recursive: true });
    const page = await browser.newPage({ bypassCSP: true, viewport: { width: 360, height: 740 } });
    listen(page);
    await page.goto(addressOf("predict/?network=x"));
    expect(await page.textContent("main")).toContain("npm run web:build");
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    await page.addScriptTag({ content: axe.source });
    expect(await page.evaluate("axe.run().then(({ violations }) => violations.map(({ id }) => id))")).toEqual([]);
    await page.close();
  });

  it("comes from the board's address alone, and had no fault in all that was tried", () => {
    expect(requested.size).toBeGreaterThan(10);
    const strange = [...requested].filter((url) => !url.startsWith("blob:") && !url.startsWith("data:"));
    expect(strange.filter((url) => !/^http:\/\/127\.0\.0\.1:\d+\//.test(url))).toEqual([]);
    expect(faults).toEqual([]);
  });
});
