import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readWhole } from "@peekaboo/files";
import { entriesOf } from "./find-runs.js";
import { type PageFile, TYPES } from "./page-files.js";

/** Where `npm run web:build` puts a copy of packages/web for the board. */
const BUILT = fileURLToPath(new URL("../../static/predict/", import.meta.url));
const MAX_BYTES = 64e6;

/** It computes in threads, by WebAssembly; for the rest it is as strict as the board's. */
export const PREDICTING_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; " +
  "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The page that runs networks, where it has been built. */
export class PredictingPage {
  readonly #folder: string;
  /** Those there are, by their path below the page's address: nothing else is ever read. */
  #files: ReadonlyMap<string, string> = new Map();

  constructor(folder = BUILT) {
    this.#folder = folder;
  }

  /** @param path below the page's address, as it was asked for */
  file(path: string): PageFile | null {
    // It may have been built since, or anew with other names.
    if (path === "") this.#files = filesBelow(this.#folder);
    const place = this.#files.get(path === "" ? "index.html" : path);
    const { [extname(place ?? "").slice(1)]: type } = TYPES;
    if (place === undefined || type === undefined) return null;
    try {
      return { type, bytes: Buffer.from(readWhole("board", place, MAX_BYTES)) };
    } catch {
      return null;
    }
  }
}

/** Its files, by their paths; links aren't followed, as Node's own recursive reading does from 24 on. */
function filesBelow(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  const look = (path: string, before: string) => {
    for (const entry of entriesOf(path)) {
      const place = join(path, entry.name);
      if (entry.isFile()) files.set(before + entry.name, place);
      else if (entry.isDirectory()) look(place, `${before}${entry.name}/`);
    }
  };
  look(folder, "");
  return files;
}
