// The folders of packages/peekaboo/src import in one direction: the order that docs/architecture.md gives.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = join(root, "packages/peekaboo/src");

/** What a file imports, statically or when it runs, and the workers that it starts. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"|new URL\("(\.[^"]+)"/g;

const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
);

/** The folder of a path in src, or the file's own name at its top; undefined outside of it. */
function roomOf(path: string): string | undefined {
  const [first = ""] = relative(source, path).split(sep);
  return first === ".." ? undefined : first;
}

const imports = files.flatMap((file) => {
  const path = join(source, file);
  return [...readFileSync(path, "utf8").matchAll(IMPORT)].flatMap(([, module, url]) => {
    const to = roomOf(join(dirname(path), module ?? url ?? "").replace(/\.js$/, ".ts"));
    const from = roomOf(path);
    return to === undefined || from === undefined || to === from ? [] : [{ file, from, to }];
  });
});

/** The rooms from the lowest up. */
function documentedOrder(): string[] {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const [, list = ""] = /<!-- order -->\n([\s\S]*?)<!-- end -->/.exec(text) ?? [];
  return [...list.matchAll(/`([^`]+)`/g)].map(([, room = ""]) => room.replace(/\/$/, ""));
}

describe("packages/peekaboo/src", () => {
  const order = documentedOrder();

  it("has its rooms listed in docs/architecture.md, each once", () => {
    expect([...order].sort()).toEqual([...new Set(files.map((file) => file.split(sep)[0]))].sort());
  });

  it("imports only from rooms below", () => {
    expect(imports.length).toBeGreaterThan(300);
    const upward = imports.filter(({ from, to }) => order.indexOf(to) >= order.indexOf(from));
    expect(upward.map(({ file, to }) => `${file} imports from ${to}`)).toEqual([]);
  });
});
