import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { setting } from "../setting.js";
import { inWords } from "./in-words.js";

const SOURCE = fileURLToPath(new URL("..", import.meta.url));
/** The command line itself, its table, and what hands flags to another program or writes our own command line. */
const KNOWS_FLAGS =
  /^(cli\/|config\/options|generated\/|launch\/restart\.ts|data\/fetch\/npm\.ts|runs\/environment\.ts)/;

const sources = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .map((name) => ({ name, text: readFileSync(join(SOURCE, name), "utf8").replace(/^\s*(\/\*\*|\*|\/\/).*$/gm, "") }));

describe("inWords", () => {
  it.each([
    ["lower `sgd.lr`, or raise `bop.tau` (0 now)", "lower --lr, or raise --tau (0 now)"],
    ["`density` 0.3 and `batchSize` 8", "--prune-ratio 0.3 and --bs 8"],
    ["`pruning.batchSize`, `psg.threshold.mode`", "--prune-batch-size, --psg-threshold-mode"],
    ["`output`", "--output"],
    ["by `peekaboo data x`, `lr.sgd`, `constructor`, `sgd`", "by `peekaboo data x`, `lr.sgd`, `constructor`, `sgd`"],
    ['load "a `lr` \\" `lr`": lower `lr`', 'load "a `lr` \\" `lr`": lower --lr'],
  ])("%s", (text, expected) => expect(inWords(text)).toBe(expected));
});

describe("the library", () => {
  it("names settings that have a flag", () => {
    const named = sources.flatMap(({ name, text }) =>
      [...text.matchAll(/\bsetting\("([^"]*)"\)/g)].map(([, path = ""]) => ({ name, path })),
    );
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter(({ path }) => !inWords(setting(path)).startsWith("--"))).toEqual([]);
  });

  it("names no flag", () => {
    const flags = sources
      .filter(({ name }) => !KNOWS_FLAGS.test(name))
      .flatMap(({ name, text }) =>
        text
          .split("\n")
          .flatMap((line) =>
            /["'` ]--[a-z]/.test(line) && !line.includes("`peekaboo ") ? [`${name}: ${line.trim()}`] : [],
          ),
      );
    expect(flags).toEqual([]);
  });
});
