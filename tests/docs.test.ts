// What the documentation points at is there.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { exportOptions } from "../packages/peekaboo/src/config/options/export.js";
import { ignoredFlags, trainOptions } from "../packages/peekaboo/src/config/options.js";
import { longFlags, optionsOf } from "../packages/peekaboo/src/config/table.js";
import { peekaboo } from "./support/cli.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const pages = [
  "README.md",
  "packages/files/README.md",
  "packages/pth/README.md",
  "packages/runtime/README.md",
  "packages/seed/README.md",
  "packages/torch/README.md",
  ...readdirSync(join(root, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];
const text = (page: string) => readFileSync(join(root, page), "utf8");

describe("the documentation", () => {
  it.each(pages)("of %s links to files that exist", (page) => {
    const links = [...text(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target = ""]) => target);
    expect(links.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([]);
  });

  it("maps the paper to files that exist", () => {
    const named = text("docs/paper-map.md").matchAll(/`((?:src|native|packages)\/[\w./-]+)`/g);
    const paths = [...named].map(([, path = ""]) =>
      path.startsWith("packages/") ? path : `packages/peekaboo/${path}`,
    );
    expect(paths.length).toBeGreaterThan(40);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names no flag that doesn't exist", () => {
    const flagsIn = (help: string) => help.match(/--[a-z][\w-]*/g) ?? [];
    const flags = new Set([
      ...[trainOptions, exportOptions].flatMap(optionsOf).flatMap(longFlags),
      ...ignoredFlags.flatMap((ignored) => flagsIn(ignored.flags)),
      ...flagsIn(peekaboo("prune", "--help").stdout),
    ]);
    const named = [...text("docs/paper-map.md").matchAll(/`(--[a-z][\w-]*)/g)].map(([, flag = ""]) => flag);
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
  });
});
