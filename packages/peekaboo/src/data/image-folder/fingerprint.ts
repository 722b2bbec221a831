import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { IMAGE_SPLITS, type ImageFolderScan, type ImageSplit, imagePath } from "./scan.js";

/** Files that are looked at together: more than Node's thread pool serves at a time keeps it busy. */
const BATCH = 1024;

/**
 * A SHA-256, in hexadecimal, of each split's sorted list of classes, names and sizes in bytes: it tells that images are
 * missing, renamed, others or of another encoding, without reading millions of files. A file that can't be looked at has no size.
 */
export async function fingerprints(scan: ImageFolderScan): Promise<Record<string, string>> {
  const sums: [string, string][] = [];
  for (const split of IMAGE_SPLITS) sums.push([`${split}.files.sha256`, await fingerprint(scan, split)]);
  return Object.fromEntries(sums);
}

async function fingerprint(scan: ImageFolderScan, split: ImageSplit): Promise<string> {
  const { names, labels } = scan[split];
  const hash = createHash("sha256");
  for (let start = 0; start < names.length; start += BATCH) {
    const indices = Array.from({ length: Math.min(BATCH, names.length - start) }, (_, i) => start + i);
    const sizes = await Promise.all(indices.map((index) => sizeOf(imagePath(scan, split, index))));
    for (const [i, index] of indices.entries()) {
      hash.update(`${JSON.stringify([scan.classes[labels[index] ?? -1], names[index], sizes[i]])}\n`);
    }
  }
  return hash.digest("hex");
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    return null;
  }
}
