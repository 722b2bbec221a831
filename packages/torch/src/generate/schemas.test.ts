import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { OPERATORS } from "./list.js";
import { generateWrappers } from "./wrappers.js";

const folder = new URL("schemas/", import.meta.url);

/** The schemas that a libtorch printed (packages/torch/scripts/schemas.mjs), in the order of the list. */
function schemasOf(version: string): Map<string, string> {
  const lines = readFileSync(new URL(`${version}.txt`, folder), "utf8")
    .trim()
    .split("\n");
  return new Map(Object.keys(OPERATORS).map((name, i) => [name, lines[i] ?? ""]));
}

const versions = readdirSync(folder).map((file) => file.replace(/\.txt$/, ""));
/** A module's wrappers alone: without what it imports, and the schemas in its comments. */
const wrappersIn = (module: string) => module.slice(module.indexOf("\nconst ")).replaceAll(/^\/\*\*.*\*\/$/gm, "");

describe("schemas/", () => {
  it("holds a schema of each operator in use, for each version", () => {
    expect(versions).toEqual(["1.13", "2.13", "2.6"]);
    for (const version of versions) {
      const names = [...schemasOf(version).values()].map((schema) => schema.slice(0, schema.indexOf("(")));
      expect(names, version).toEqual(Object.values(OPERATORS));
    }
  });

  it.each(versions)("gives the same wrappers from libtorch %s's as from every other's, but for comments", (version) => {
    const checkedIn = readFileSync(new URL("../generated/ops.ts", import.meta.url), "utf8");
    const wrappers = wrappersIn(generateWrappers(schemasOf(version), { header: "" }));
    expect(wrappers.match(/^export function /gm)?.length).toBe(Object.keys(OPERATORS).length);
    expect(wrappers).toBe(wrappersIn(checkedIn));
  });

  it("differs between versions in symbolic integers and how a default is printed, and in nothing else", () => {
    const plain = (schema: string) => schema.replaceAll("SymInt", "int").replaceAll(/=\[(\d+), \1\]/g, "=$1");
    const [first, ...others] = versions.map((version) => [...schemasOf(version).values()].map(plain));
    for (const other of others) expect(other).toEqual(first);
  });
});
