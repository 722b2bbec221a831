import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** A file of the page. */
export interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
}

/** By the end of a file's name. */
export const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  pab: "application/octet-stream",
};
const built = new URL("../", import.meta.url);
const written = new URL("../../static/board/", import.meta.url);
const { resolve } = createRequire(import.meta.url);

/** What the page's modules load beside each other. */
const SHARED = ["board/protocol.js", "console/format.js"];

/** All that the page consists of, by its path below the page's address. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const modules = readdirSync(new URL("board-page/", built)).filter((name) => name.endsWith(".js"));
  return new Map([
    ["", file("html", fileURLToPath(new URL("index.html", written)))],
    ["board.css", file("css", fileURLToPath(new URL("board.css", written)))],
    ["uplot.css", file("css", resolve("uplot/dist/uPlot.min.css"))],
    ["uplot.js", file("js", resolve("uplot/dist/uPlot.iife.min.js"))],
    ...[...modules.map((name) => `board-page/${name}`), ...SHARED].map(
      (path) => [path, file("js", fileURLToPath(new URL(path, built)))] as const,
    ),
  ]);
}

/** What takes the predicting page's place where that hasn't been built, and says how to. */
export function unbuiltPage(): PageFile {
  return file("html", fileURLToPath(new URL("unbuilt.html", written)));
}

function file(type: string, path: string): PageFile {
  return { type: TYPES[type] ?? "", bytes: readFileSync(path) };
}
