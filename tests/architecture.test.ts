// Imports go in one direction: between the packages, and between the folders of packages/peekaboo/src, in the order that
// docs/architecture.md gives.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const sourceOf = (name: string) => join(root, "packages", name, "src");

/** What a file imports, statically or when it runs, and the workers that it starts. */
const IMPORT = /(?:\bfrom|\bimport|\bimport\()\s*"([^"]+)"|new URL\("(\.[^"]+)"/g;

/** The product's files of a package. */
function filesOf(name: string): string[] {
  return readdirSync(sourceOf(name), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !/\.(test|support)\.ts$/.test(file))
    .map((file) => join(sourceOf(name), file));
}

/** A package's entrances: what its exports name, as sources. */
const entrances = new Map(
  readdirSync(join(root, "packages")).flatMap((folder) => {
    const { name, exports = {} } = JSON.parse(readFileSync(join(root, "packages", folder, "package.json"), "utf8"));
    return Object.entries<{ default: string }>(exports).map(([path, { default: built }]) => [
      join(name, path),
      join(sourceOf(folder), relative("dist", built).replace(/\.js$/, ".ts")),
    ]);
  }),
);

/** The source that an import leads to; its own name where that is a module of Node or of a package from elsewhere. */
function resolve(from: string, specifier: string): string {
  if (specifier.startsWith(".")) return join(dirname(from), specifier).replace(/\.js$/, ".ts");
  return entrances.get(specifier) ?? specifier;
}

function importsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(IMPORT)].map(([, module, url]) => resolve(file, module ?? url ?? ""));
}

/** All that is loaded with the files, themselves included. */
function reached(files: readonly string[]): string[] {
  const found = new Set(files);
  for (const file of found) {
    if (file.startsWith(root) && file.endsWith(".ts")) for (const next of importsOf(file)) found.add(next);
  }
  return [...found];
}

/** The packages that the files and modules belong to, Node's own modules as one. */
function packagesOf(files: readonly string[]): string[] {
  const names = files.map((file) => (file.startsWith(root) ? relative(root, file).split(sep)[1] : file.split(":")[0]));
  return [...new Set(names.map(String))].sort();
}

/** Files that only Node can load or run. */
function nodesOwn(files: readonly string[]): string[] {
  const globals = /\b(?:Buffer|process|require|setImmediate)\b *[.(]/;
  const nodes = (file: string) => file.startsWith(join(sourceOf("files"), "node"));
  return files.filter((file) => nodes(file) || globals.test(readFileSync(file, "utf8")));
}

describe("the packages", () => {
  it("of files and of PyTorch's files reach neither libtorch nor what stands on it", () => {
    expect(packagesOf(reached(filesOf("files")))).toEqual(["files", "node"]);
    expect(packagesOf(reached(filesOf("pth")))).toEqual(["files", "node", "pth", "yauzl", "yazl"]);
  });

  it("of the seed reaches nothing of Node", () => {
    const files = reached(filesOf("seed"));
    expect(packagesOf(files)).toEqual(["files", "seed"]);
    expect(nodesOwn(files)).toEqual([]);
  });

  it("of the runtime reaches nothing of Node", () => {
    const files = reached(filesOf("runtime"));
    expect(packagesOf(files)).toEqual(["files", "runtime", "seed"]);
    expect(nodesOwn(files)).toEqual([]);
  });

  it("of the page reaches nothing of Node, and of ours what runs in a browser", () => {
    const files = reached(filesOf("web"));
    expect(packagesOf(files)).toEqual(["files", "runtime", "seed", "web"]);
    expect(nodesOwn(files)).toEqual([]);
  });

  it("of libtorch reaches nothing of pruning", () => {
    expect(packagesOf(reached(filesOf("torch")))).toEqual(["files", "node", "torch"]);
  });

  it("of files has errors and safetensors that run in a browser: nothing of Node is reached", () => {
    const files = reached(["@peekaboo/files/errors", "@peekaboo/files/safetensors"].map((name) => resolve("", name)));
    expect(files.length).toBeGreaterThan(6);
    expect(packagesOf(files)).toEqual(["files"]);
    expect(nodesOwn(files)).toEqual([]);
  });
});

/** The folder of a path in packages/peekaboo/src, or the file's own name at its top; undefined outside of it. */
function roomOf(path: string): string | undefined {
  const [first = ""] = relative(sourceOf("peekaboo"), path).split(sep);
  return path.startsWith(root) && first !== ".." ? first : undefined;
}

/** The rooms from the lowest up. */
function documentedOrder(): string[] {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const [, list = ""] = /<!-- order -->\n([\s\S]*?)<!-- end -->/.exec(text) ?? [];
  return [...list.matchAll(/`([^`]+)`/g)].map(([, room = ""]) => room.replace(/\/$/, ""));
}

describe("packages/peekaboo/src", () => {
  const order = documentedOrder();
  const files = filesOf("peekaboo");
  const imports = files.flatMap((file) => {
    const from = roomOf(file) ?? "";
    return importsOf(file).flatMap((path) => {
      const to = roomOf(path);
      return to === undefined || to === from ? [] : [{ file, from, to }];
    });
  });

  it("has its rooms listed in docs/architecture.md, each once", () => {
    expect([...order].sort()).toEqual([...new Set(files.map(roomOf))].sort());
  });

  it("has a page of the board that reaches nothing of Node, and nothing but what its server gives", () => {
    const page = reached(files.filter((file) => roomOf(file) === "board-page"));
    expect(nodesOwn(page)).toEqual([]);
    const beside = page
      .filter((file) => roomOf(file) !== "board-page")
      .map((file) => relative(sourceOf("peekaboo"), file));
    expect(beside.sort()).toEqual(["board/protocol.ts", "console/format.ts"]);
  });

  it("imports only from rooms below", () => {
    expect(imports.length).toBeGreaterThan(300);
    const upward = imports.filter(({ from, to }) => order.indexOf(to) >= order.indexOf(from));
    expect(upward.map(({ file, to }) => `${relative(root, file)} imports from ${to}`)).toEqual([]);
  });
});
