import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseStudy, planStudy } from "./study.js";
import { adoptFolder, readStudy } from "./study-folder.js";

const plan = (json: unknown) => planStudy("s", parseStudy("s", json));

const STUDY = {
  name: "s",
  about: "Why?",
  base: { bop: { arLayers: [{ pattern: "conv1.*", value: 0.5 }] }, "pruning.minKept": { fraction: 0.1 } },
  runs: [{ name: "a b" }, { name: "c", pruning: { pruner: "SNIP", density: 0.5 } }],
  grid: { seed: [0, 1] },
};

describe("a study's folder", () => {
  it("gives back the runs that it was made for, and takes them again", ({ folder }) => {
    const study = plan(STUDY);
    expect(readStudy(folder)).toBe(null);
    adoptFolder(folder, study);
    const before = readFileSync(join(folder, "study.json"), "utf8");
    expect(readStudy(folder)).toEqual(study);
    adoptFolder(folder, study);
    expect(readFileSync(join(folder, "study.json"), "utf8")).toBe(before);
  });

  it("lets only what changes no result be otherwise", ({ folder }) => {
    adoptFolder(folder, plan(STUDY));
    adoptFolder(folder, plan({ ...STUDY, base: { ...STUDY.base, threads: 3, keep: 1 } }));
    expect(() => adoptFolder(folder, plan({ ...STUDY, base: { ...STUDY.base, epochs: 7 } }))).toThrow(
      /^sweep: expected a new folder, .* received those of another, s, whose runs have other settings; .*`savedir`/,
    );
  });

  it.for([
    ["text", "x", "received text that is not JSON"],
    ["another object", "{}", "received another"],
    [
      "a name that leads elsewhere",
      '{"name":"","about":"","runs":[{"name":"..","method":null,"settings":{}}]}',
      "another",
    ],
  ] as const)("refuses a study.json that is %s", ([, text, words], { folder }) => {
    writeFileSync(join(folder, "study.json"), text);
    expect(() => readStudy(folder)).toThrow(words);
  });
});
