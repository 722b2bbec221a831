// The studies that come along: each parses, and every run's settings are valid and go through a command line unchanged.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { configFromFlags, notesOn } from "../config/config.js";
import { flagsFrom, givenAsJson } from "../config/given.js";
import { trainOptions } from "../config/options.js";
import { loadStudy } from "../studies/load-study.js";
import { parseStudy, planStudy } from "../studies/study.js";
import { addFlags, givenFlags } from "./flags.js";

const root = fileURLToPath(new URL("../../../../studies", import.meta.url));
const filesOf = (...folders: string[]) =>
  folders.flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`));
const files = filesOf("small", "paper");

/** The settings that `peekaboo train` reads from a command line. */
function fromFlags(words: readonly string[]) {
  const command = new Command("train");
  addFlags(command, trainOptions);
  command.parse(words, { from: "user" });
  return givenFlags(command, trainOptions);
}

describe("the shipped study", () => {
  it.each([...files, ...filesOf("convolutions")])("%s has valid runs of as many seeds each", async (file) => {
    const study = planStudy(file, await loadStudy(join(root, file)));
    expect(study.name).toBe(file.replace(/(.*)\/(.*)\.json/, "$2-$1"));
    expect(study.about).not.toBe("");
    expect(new Set(study.runs.map(({ name }) => name)).size).toBe(study.runs.length);
    expect(study.runs.length).toBeGreaterThanOrEqual(6);
    const both = file.startsWith("convolutions");
    expect(new Set(study.runs.map(({ config }) => config.seed))).toEqual(new Set(both ? [0, 1, 2, 3, 4] : [0, 1, 2]));
    const small = file.startsWith("small") || file.endsWith("resnet18.json");
    expect(new Set(study.runs.map(({ config }) => config.width))).toEqual(new Set([small ? 0.25 : 1]));
    for (const { given, config } of study.runs) {
      const read = fromFlags(flagsFrom(given));
      expect(configFromFlags(read)).toEqual(config);
      // Nothing that a study varies goes unused.
      const idle = notesOn(config, given).filter((note) => !/not BOP|not a PSG network|nothing is pruned/.test(note));
      expect([givenAsJson(given), idle]).toEqual([givenAsJson(given), []]);
    }
  });

  it("in docs/studies.md is one", () => {
    const [, json = ""] = /^```json\n(.*?)^```$/ms.exec(readFileSync(join(root, "../docs/studies.md"), "utf8")) ?? [];
    expect(planStudy("docs", parseStudy("docs", JSON.parse(json))).runs).toHaveLength(18);
  });

  it("for either size asks the same questions", () => {
    expect(readdirSync(join(root, "small"))).toEqual(readdirSync(join(root, "paper")));
    expect(files).toHaveLength(12);
  });
});
