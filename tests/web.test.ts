// The page as it is built, from a static host, in a real browser; what it computes is compared with Node's.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type Guess, load, type PixelImage, type Predictor } from "@peekaboo/runtime";
import { type Description, encodePab, initialiseWeight, RandomStream } from "@peekaboo/seed";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, launchChromium, serveFolder } from "../bench/chromium.js";
import { sharedFolder } from "./support/folder.js";

interface SampleSet {
  name: string;
  title: string;
  classes: readonly string[];
  sheet: string;
  width: number;
  height: number;
  columns: number;
  labels: readonly number[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const DEMO = "cifar10-demo.pab";
const demo = readFileSync(join(root, "models", DEMO));
const folder = sharedFolder();
const chromium = chromiumPath();
/** The page's own policy would forbid it: a page that axe is to look at is opened without. */
const AXE = { content: axe.source };
if (chromium === undefined) console.log("web.test.ts is skipped: no Chromium in PATH (CHROMIUM names one elsewhere).");

let browser: Browser;
let host: Awaited<ReturnType<typeof serveFolder>>;
let node: Predictor;
let samples: SampleSet;
/** Its sheet, as RGB. */
let sheet: Uint8Array;
const requested = new Set<string>();
const faults: string[] = [];

/** Noise, the same each time. */
function noise(name: string, length: number): Uint8Array {
  const stream = new RandomStream(0, name);
  return Uint8Array.from({ length }, (_, i) => stream.uint32(i) & 255);
}

/** The samples of the built page; where the machine hasn't the data set, images of noise in their place. */
async function samplesOf(built: string): Promise<SampleSet> {
  const index = join(built, "samples/index.json");
  const { sets } = JSON.parse(readFileSync(index, "utf8")) as { sets: SampleSet[] };
  const found = sets.find(({ name }) => name === "cifar10");
  if (found !== undefined) return found;
  const { classes } = node.description;
  const shape = { sheet: "cifar10.png", width: 32, height: 32, columns: 25 };
  const labels = Array.from({ length: 25 }, (_, i) => i % 10);
  const made = { ...shape, name: "cifar10", title: "CIFAR-10", classes, labels };
  const raw = { width: 25 * 32, height: 32, channels: 3 } as const;
  await sharp(noise("sheet", 25 * 32 * 32 * 3), { raw })
    .png()
    .toFile(join(built, "samples/cifar10.png"));
  writeFileSync(index, JSON.stringify({ format: 1, sets: [made] }));
  return made;
}

/** The sheet's image of that number, as Node has it. */
function sampleImage(index: number): PixelImage {
  const { width, height, columns } = samples;
  const [left, top, row] = [(index % columns) * width, Math.floor(index / columns) * height, columns * width * 3];
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * row + left * 3;
    data.set(sheet.subarray(from, from + width * 3), y * width * 3);
  }
  return { data, width, height };
}

async function open(options: BrowserContextOptions = {}): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 }, ...options });
  page.setDefaultTimeout(60_000);
  page.on("request", (request) => requested.add(request.url()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(host.address);
  await page.waitForSelector("#guesses .label");
  // Other networks may come first.
  if ((await page.locator("#networks option:checked").textContent()) !== DEMO) await choose(page);
  return page;
}

async function choose(page: Page): Promise<void> {
  await page.selectOption("#networks", { label: DEMO });
  await page.waitForSelector(`#status:has-text("${DEMO}: PsgResNet18")`);
}

/** The classes and probabilities of a list of bars. */
async function barsOf(page: Page, list = "guesses"): Promise<{ label: string; probability: number }[]> {
  const rows = await page.locator(`#${list} li`).all();
  return Promise.all(
    rows.map(async (row) => ({
      label: ((await row.locator(".label").textContent()) ?? "").replace(" ✓ true class", ""),
      probability: Number(await row.locator("data").getAttribute("value")),
    })),
  );
}

function expectAlike(shown: readonly { label: string; probability: number }[], best: readonly Guess[]): void {
  expect(shown.map(({ label }) => label)).toEqual(best.map(({ label }) => label));
  shown.forEach(({ probability }, i) => {
    expect(Math.abs(probability - (best[i]?.probability ?? 0))).toBeLessThan(1e-4);
  });
}

async function problemOf(page: Page): Promise<string> {
  await page.waitForSelector("#problem:not([hidden])");
  return (await page.textContent("#problem-text")) ?? "";
}

/** A network for drawings: one convolution of a random 28×28 kernel a class. */
function drawingNetwork(): Buffer {
  const shape = [10, 1, 28, 28];
  const conv = { op: "conv2d", inputs: [0], weight: "conv.weight", groups: 1 } as const;
  const description: Description = {
    network: "Drawings",
    mean: [0.1307],
    std: [0.3081],
    crop: 1,
    classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
    seed: 7,
    init: "kaiming_normal",
    graph: { input: [1, 28, 28], nodes: [{ ...conv, stride: [1, 1], padding: [0, 0], dilation: [1, 1] }] },
    tensors: [{ name: "conv.weight", shape, stored: "signs", mask: "all", init: "kaiming_normal" }],
    test: null,
    provenance: {},
  };
  const data = initialiseWeight("kaiming_normal", 7, "conv.weight", shape);
  return Buffer.from(encodePab(description, new Map([["conv.weight", { shape, data, mask: null }]])));
}

const file = (name: string, buffer: Buffer) => ({ name, mimeType: "application/octet-stream", buffer });

describe.skipIf(chromium === undefined)("the page", () => {
  beforeAll(async () => {
    execFileSync(process.execPath, ["packages/web/scripts/samples.mjs", "--offline"], { cwd: root });
    const vite = join(root, "node_modules/vite/bin/vite.js");
    execFileSync(process.execPath, [vite, "build", "packages/web", "--outDir", folder, "--logLevel", "error"], {
      cwd: root,
    });
    node = await load(new Uint8Array(demo));
    samples = await samplesOf(folder);
    sheet = await sharp(join(folder, "samples", samples.sheet))
      .raw()
      .toBuffer();
    host = await serveFolder(folder);
    browser = await launchChromium(chromium ?? "");
  });

  afterAll(async () => {
    await browser?.close();
    host?.close();
  });

  it("opens with a network, and says of samples what Node says", async () => {
    const page = await open();
    expect(await page.textContent("h1")).toBe(`An image classifier in ${(demo.length / 1000).toFixed(1)} kB`);
    for (const index of [0, 1, 2]) {
      await page.waitForSelector(`#caption:has-text("Sample ${index + 1} of ${samples.labels.length}")`);
      const { best } = await node.predict(sampleImage(index));
      await expect.poll(async () => (await barsOf(page))[0]?.probability).toBeCloseTo(best[0]?.probability ?? 0, 4);
      expectAlike(await barsOf(page), best);
      await page.click("#next");
    }
    await page.close();
  });

  it("says of an image of the user's what Node says", async () => {
    const page = await open();
    const [width, height] = [90, 61];
    const data = noise("photograph", width * height * 3);
    const png = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    await page.setInputFiles("#own-image", file("noise.png", png));
    await page.waitForSelector('#caption:has-text("noise.png")');
    await page.waitForSelector("#seen-box:not([hidden])");
    expectAlike(await barsOf(page), (await node.predict({ data, width, height })).best);
    await page.close();
  });

  it("tests every sample as Node does, and shows what is taken for what", async () => {
    const page = await open();
    let right = 0;
    for (const [i, label] of samples.labels.entries()) {
      if ((await node.predict(sampleImage(i))).index === label) right++;
    }
    await page.click("#run-test");
    await page.waitForSelector(".matrix");
    expect(await page.textContent("#test-result")).toContain(`${right} of ${samples.labels.length} images`);
    const cells = await page.locator(".matrix td.diagonal").allTextContents();
    expect(cells.reduce((sum, text) => sum + Number(text), 0)).toBe(right);
    await page.close();
  });

  it("grows the network from its seed, by the keyboard too", async () => {
    const page = await open({ bypassCSP: true });
    const final = await barsOf(page);
    await page.waitForSelector("#stage-guesses .label");
    expect(await barsOf(page, "stage-guesses")).toEqual(final);
    await page.focus("#stage");
    await page.keyboard.press("Home");
    await page.waitForSelector('#stage-text:has-text("Nothing has been learned")');
    expect(await page.getAttribute("#stage", "aria-valuetext")).toBe("random weights");
    expect(await barsOf(page, "stage-guesses")).not.toEqual(final);
    await page.click("#mark-masked");
    await page.waitForSelector('#stage-text:has-text("488,443 of 697,776 weights are cut")');
    await page.click("#mark-signs");
    await page.waitForSelector('#stage-text:has-text("Finished")');
    expect(await barsOf(page, "stage-guesses")).toEqual(final);
    await page.click("#measure");
    await page.waitForSelector("svg.curve");
    await page.addScriptTag(AXE);
    expect(await page.evaluate(VIOLATIONS)).toEqual([]);
    expect(await page.getAttribute("svg.curve", "aria-label")).toMatch(/^Accuracy at 21 stages: .* with its signs\.$/);
    await page.close();
  });

  it("takes a network of one's own, and drawings where it reads them", async () => {
    const page = await open();
    expect(await page.isVisible("#draw")).toBe(false);
    await page.setInputFiles("#own-network", file("drawings.pab", drawingNetwork()));
    await page.waitForSelector('#status:has-text("drawings.pab: Drawings")');
    await page.click('#draw:has-text("Draw a digit")');
    await page.focus("#pad");
    for (let i = 0; i < 8; i++) await page.keyboard.press("Shift+ArrowDown");
    await page.waitForSelector("#guesses .label");
    expect(await page.locator("#guesses li").count()).toBe(5);
    await page.click("#pad-clear");
    const box = await page.locator("#pad").boundingBox();
    await page.mouse.move((box?.x ?? 0) + 80, (box?.y ?? 0) + 60);
    await page.mouse.down();
    await page.mouse.move((box?.x ?? 0) + 200, (box?.y ?? 0) + 220, { steps: 6 });
    await page.mouse.up();
    await page.waitForSelector("#verdict:not(:empty)");
    await choose(page);
    expect(await page.isVisible("#pad")).toBe(false);
    await page.close();
  });

  it("opens the network that its address asks for, from its own host alone", async () => {
    writeFileSync(join(folder, "beside.pab"), drawingNetwork());
    const page = await browser.newPage();
    const openedAt = (query: Readonly<Record<string, string>>) =>
      page.goto(`${host.address}?${new URLSearchParams(query)}`);
    await openedAt({ network: "beside.pab", name: "<b>mine</b>" });
    await page.waitForSelector('#status:has-text("<b>mine</b>: Drawings")');
    await openedAt({ network: "./beside.pab" });
    await page.waitForSelector('#status:has-text("beside.pab: Drawings")');
    for (const [network, reason] of [
      ["none.pab", "“none.pab” can't be opened: none.pab is missing from this page's host (status 404)."],
      ["//evil.example/x.pab", "“x.pab” can't be opened: it lies on another host, and this page asks only its own."],
      ["data:,x.pab", "“data:,x.pab” can't be opened: it lies on another host, and this page asks only its own."],
      ["http://[", "“[” can't be opened: "],
    ] as const) {
      await openedAt({ network });
      expect(await problemOf(page)).toContain(reason);
    }
    await page.selectOption("#networks", { label: DEMO });
    await page.waitForSelector(`#status:has-text("${DEMO}: PsgResNet18")`);
    await page.close();
  });

  it("tells in a sentence that a file is damaged or another, and goes on", async () => {
    const page = await open();
    const flipped = Buffer.from(demo);
    flipped[20_000] = (flipped[20_000] ?? 0) ^ 1;
    const bad = [
      file("cut.pab", demo.subarray(0, 20_000)),
      file("flipped.pab", flipped),
      file("picture.pab", readFileSync(join(folder, "samples/cifar10.png"))),
      file("empty.pab", Buffer.alloc(0)),
    ];
    for (const given of bad) {
      await page.setInputFiles("#own-network", given);
      await expect.poll(() => problemOf(page)).toMatch(new RegExp(`^“${given.name}” can't be opened: [^\\n]+\\.$`));
    }
    await page.setInputFiles("#own-image", file("notes.txt", Buffer.from("no image")));
    await expect.poll(() => problemOf(page)).toContain("“notes.txt” can't be opened: it is neither an image");
    await page.click("#next");
    await page.waitForSelector('#caption:has-text("Sample 2")');
    expect((await barsOf(page)).length).toBe(5);
    await page.close();
  });

  it.each(["light", "dark"] as const)("has nothing that axe finds, in %s", async (colorScheme) => {
    const page = await open({ colorScheme, bypassCSP: true, reducedMotion: "reduce" });
    await page.click("#run-test");
    await page.waitForSelector(".matrix");
    await page.click("summary");
    await page.setInputFiles("#own-image", file("notes.txt", Buffer.from("no image")));
    await problemOf(page);
    await page.addScriptTag(AXE);
    expect(await page.evaluate(VIOLATIONS)).toEqual([]);
    await page.setInputFiles("#own-network", file("drawings.pab", drawingNetwork()));
    await page.click("#draw");
    await page.waitForSelector("#pad");
    expect(await page.evaluate(VIOLATIONS)).toEqual([]);
    await page.close();
  });

  it("takes what is dropped and what is pasted", async () => {
    const page = await open();
    const give = (name: string, bytes: Buffer, event: string) =>
      page.evaluate(`{
        const data = new DataTransfer();
        const bytes = Uint8Array.from(atob("${bytes.toString("base64")}"), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], "${name}"));
        document.dispatchEvent(${event});
      }`);
    const png = await sharp(noise("pasted", 48), { raw: { width: 4, height: 4, channels: 3 } })
      .png()
      .toBuffer();
    await give("pasted.png", png, 'new ClipboardEvent("paste", { clipboardData: data })');
    await page.waitForSelector('#caption:has-text("pasted.png")');
    await give("dropped.pab", drawingNetwork(), 'new DragEvent("drop", { dataTransfer: data })');
    await page.waitForSelector('#status:has-text("dropped.pab: Drawings")');
    expect(await page.locator("#networks option:checked").textContent()).toBe("dropped.pab");
    await page.close();
  });

  it("fits a phone", async () => {
    const page = await open({ viewport: { width: 360, height: 740 } });
    await page.click("#run-test");
    await page.waitForSelector(".matrix");
    await page.click("summary");
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    await page.close();
  });

  it("asks nobody but its host, and had no fault in all that was tried", () => {
    expect(requested.size).toBeGreaterThan(6);
    expect([...requested].filter((url) => !url.startsWith(host.address))).toEqual([]);
    expect(faults).toEqual([]);
  });

  it("has at most 40 kB beside networks and samples", () => {
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
      /\.(html|js|css|svg)$/.test(name),
    );
    const size = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0);
    expect(files.length).toBeGreaterThan(3);
    expect(existsSync(join(folder, "samples/index.json"))).toBe(true);
    expect(size).toBeLessThan(45_000);
  });
});

/** Runs axe in the page; gives what it finds, in short. */
const VIOLATIONS = `axe.run().then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 120)).join(" | ")))`;
