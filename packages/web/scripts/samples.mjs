// The page's sample images: 500 test images of each data set that a network of models/ was trained on, as one PNG sheet a data
// set, and an index with their true classes. They come from the data cache, or are fetched as `peekaboo data NAME` fetches.
//
// Usage: node packages/web/scripts/samples.mjs [--offline]     --offline: take what the cache has
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describePab } from "@peekaboo/seed";
import sharp from "sharp";
// Not the library's front, which loads libtorch.
import { datasetStatus, openDataset } from "../../peekaboo/dist/data/dataset.js";

const COUNT = 500;
const COLUMNS = 25;
/** A change of what is written makes the samples of before stale. */
const FORMAT = 1;

const models = fileURLToPath(new URL("../../../models/", import.meta.url));
const folder = fileURLToPath(new URL("../build/public/samples/", import.meta.url));
const indexPath = join(folder, "index.json");
const offline = process.argv.includes("--offline");

/** The data sets of the bundled networks, by what the networks say. */
function wantedNames() {
  const files = readdirSync(models).filter((name) => name.endsWith(".pab"));
  const named = files.map((name) => describePab(new Uint8Array(readFileSync(join(models, name)))).provenance.dataset);
  return [...new Set(named)].filter((name) => datasetStatus().some((known) => known.name === name)).sort();
}

/** The first images of each class, the same number of each, in the test set's order. */
function chosen(labels, classes) {
  const each = Math.floor(COUNT / classes);
  const taken = new Array(classes).fill(0);
  return [...labels.keys()].filter((i) => taken[labels[i]]++ < each);
}

/** One image beside the other, in rows of COLUMNS. */
async function writeSheet(path, { images, width, height, channels }, picked) {
  const rows = Math.ceil(picked.length / COLUMNS);
  const sheet = Buffer.alloc(rows * height * COLUMNS * width * channels);
  picked.forEach((image, n) => {
    const [left, top] = [(n % COLUMNS) * width, Math.floor(n / COLUMNS) * height];
    for (let y = 0; y < height; y++) {
      const from = (image * height + y) * width * channels;
      sheet.set(images.subarray(from, from + width * channels), ((top + y) * COLUMNS * width + left) * channels);
    }
  });
  const raw = { width: COLUMNS * width, height: rows * height, channels };
  await sharp(sheet, { raw }).png({ compressionLevel: 9 }).toFile(path);
}

async function samplesOf(name) {
  const { title, classes, test } = await openDataset(name, {
    offline,
    onProgress: ({ stage }) => tellStage(`samples: ${name}: ${stage}`),
  });
  const picked = chosen(test.labels, classes.length);
  const sheet = `${name}.png`;
  await writeSheet(join(folder, sheet), test, picked);
  return {
    name,
    title,
    classes,
    sheet,
    width: test.width,
    height: test.height,
    columns: COLUMNS,
    labels: picked.map((image) => test.labels[image]),
  };
}

let told = "";

/** Says each stage once. */
function tellStage(stage) {
  if (stage !== told) console.log(stage);
  told = stage;
}

/** The samples that were made before, as far as they are whole. */
function before() {
  try {
    const { format, sets } = JSON.parse(readFileSync(indexPath, "utf8"));
    return format === FORMAT ? sets.filter(({ sheet }) => existsSync(join(folder, sheet))) : [];
  } catch {
    return [];
  }
}

const there = before();
const index = { format: FORMAT, sets: [], missing: [] };
mkdirSync(folder, { recursive: true });
for (const name of wantedNames()) {
  const made = there.find((set) => set.name === name);
  try {
    index.sets.push(made ?? (await samplesOf(name)));
  } catch (error) {
    console.log(`samples: the page is built without images of ${name}: ${error.message}`);
    index.missing.push(name);
  }
}
for (const file of readdirSync(folder))
  if (!index.sets.some(({ sheet }) => sheet === file)) rmSync(join(folder, file), { recursive: true });
writeFileSync(indexPath, JSON.stringify(index));
const counts = index.sets.map(({ name, labels }) => `${labels.length} of ${name}`);
console.log(`samples: ${counts.join(", ") || "none"}`);
