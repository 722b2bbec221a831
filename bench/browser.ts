// A network's file, loaded in Node and in Chromium: each time in a process or page of its own, then again in the same one.
// node bench/dist/browser.js [FILE.pab …] [REPETITIONS=8]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";
import { chromiumPath, launchChromium, serveFolder } from "./chromium.js";
import { machine, spread } from "./statistics.js";

const MS = { unit: "ms", digits: 1, times: 1000 };
const AGAIN = 4;

const given = process.argv.slice(2);
const named = given.filter((word) => !/^\d+$/.test(word));
const files = named.length > 0 ? named : ["models/cifar10-demo.pab"];
const repetitions = Number(given.find((word) => /^\d+$/.test(word)) ?? 8);

/** Loads a file `times` times and gives the seconds of each; runs in Node, and in a page's Worker. */
const MEASURE = `import { load } from "./runtime.js";
export async function measure(bytes, times) {
  const seconds = [];
  for (let i = 0; i < times; i++) {
    const begun = performance.now();
    await load(bytes);
    seconds.push((performance.now() - begun) / 1000);
  }
  return seconds;
}
`;
const WORKER = `import { measure } from "./measure.js";
addEventListener("message", async ({ data }) => postMessage(await measure(data.bytes, data.times)));
`;
/** Has a Worker of its own load a file: what a page does. */
const PAGE = `<!doctype html><title>bench</title><script>
async function askWorker(name, times) {
  const bytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
  const worker = new Worker("worker.js", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ bytes, times });
  });
}
</script>`;
const IN_NODE = `import { readFileSync } from "node:fs";
import { measure } from "./measure.js";
console.log(JSON.stringify(await measure(new Uint8Array(readFileSync(process.argv[2])), Number(process.argv[3]))));
`;

async function site(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "peekaboo-browser-"));
  await build({
    configFile: false,
    logLevel: "silent",
    build: {
      outDir: folder,
      target: "es2022",
      rolldownOptions: {
        input: "packages/runtime/dist/index.js",
        preserveEntrySignatures: "strict",
        output: { entryFileNames: "runtime.js" },
      },
      modulePreload: false,
    },
  });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "measure.js"), MEASURE);
  writeFileSync(join(folder, "worker.js"), WORKER);
  writeFileSync(join(folder, "node.js"), IN_NODE);
  writeFileSync(join(folder, "index.html"), PAGE);
  return folder;
}

const path = chromiumPath();
if (path === undefined) throw new Error("no Chromium in PATH; CHROMIUM names one elsewhere");
const folder = await site();
const host = await serveFolder(folder);
const browser = await launchChromium(path);

/** In a new page, in a Worker of its own. */
async function inChromium(name: string): Promise<number[]> {
  const page = await browser.newPage();
  try {
    await page.goto(host.address);
    return await page.evaluate<number[]>(`askWorker(${JSON.stringify(name)}, ${1 + AGAIN})`);
  } finally {
    await page.close();
  }
}

function inNode(file: string): number[] {
  const args = [join(folder, "node.js"), file, String(1 + AGAIN)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as number[];
}

try {
  for (const [i, file] of files.entries()) {
    writeFileSync(join(folder, `${i}.pab`), readFileSync(file));
    const [node, chromium]: [number[][], number[][]] = [[], []];
    for (let round = 0; round < repetitions; round++) {
      node.push(inNode(file));
      chromium.push(await inChromium(`${i}.pab`));
    }
    console.log(file);
    for (const [where, rounds] of Object.entries({ Node: node, Chromium: chromium })) {
      const first = rounds.map(([cold = 0]) => cold);
      const again = rounds.flatMap(([, ...warm]) => warm);
      console.log(`  ${where}: at first ${spread(first, MS)}; again ${spread(again, MS)}`);
    }
  }
} finally {
  await browser.close();
  host.close();
  rmSync(folder, { recursive: true });
}
console.log(machine());
