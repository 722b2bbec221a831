import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { sharedFolder } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { continued, type RunPart, type RunRecord, readRecord, recordIfWhole, writeRecord } from "./run-record.js";

const part = (settings: object, threads = 1, commandLine = ["train"]): RunPart => ({
  config: parseConfig(settings),
  environment: { threads, commandLine },
});
const first = (settings: object, threads = 1): RunRecord => ({ ...part(settings, threads), earlier: [] });
/** Where each earlier part ended, with how many epochs and threads. */
const told = ({ earlier }: RunRecord) =>
  earlier.map(({ steps, config, environment }) => [steps, config.epochs, environment.threads]);

describe("the record of a run that goes on", () => {
  it("has no earlier part where nothing changes but what is shown", () => {
    const next = continued(first({ epochs: 3 }), 6, part({ epochs: 3, printFreq: 10, json: true }));
    expect(next).toEqual({ ...part({ epochs: 3, printFreq: 10, json: true }), earlier: [] });
  });

  it("tells how it went before, up to which step, and how it goes now", () => {
    const second = continued(first({ epochs: 3 }), 6, part({ epochs: 5 }));
    const third = continued(second, 8, part({ epochs: 5 }, 2));
    expect([third.config.epochs, third.environment.threads]).toEqual([5, 2]);
    expect(told(third)).toEqual([
      [6, 3, 1],
      [8, 5, 1],
    ]);
    expect(told(continued(third, 10, part({ epochs: 5 }, 2))), "the same again").toEqual(told(third));
  });

  it("forgets what happened after the checkpoint that it goes on from", () => {
    const second = continued(first({ epochs: 3 }), 6, part({ epochs: 5 }));
    expect(told(continued(second, 4, part({ epochs: 7 })))).toEqual([[4, 3, 1]]);
    expect(told(continued(second, 6, part({ epochs: 7 })))).toEqual([[6, 3, 1]]);
    expect(told(continued(second, 0, part({ epochs: 7 }))), "pruning came before the first step").toEqual([[0, 3, 1]]);
  });

  it("keeps what it began from", () => {
    const next = continued(first({ resume: "pruned.safetensors", loadPretrained: "a.pth" }), 6, part({}));
    expect([next.config.resume, next.config.loadPretrained]).toEqual(["pruned.safetensors", "a.pth"]);
    expect(next.earlier).toEqual([]);
  });
});

describe("config.json", () => {
  const folder = sharedFolder();

  it("is read as it was written, with and without earlier parts", () => {
    const path = join(folder, "config.json");
    const record = continued(first({ epochs: 3 }), 6, part({ epochs: 5 }));
    for (const one of [record, first({ epochs: 2 })]) {
      writeRecord(path, one);
      expect(readRecord(path)).toEqual(one);
    }
    expect(JSON.parse(readFileSync(path, "utf8"))).not.toHaveProperty("earlier");
  });

  it("that was written before there was a choice of convolutions had exact ones", () => {
    const path = join(folder, "old.json");
    writeFileSync(path, '{"epochs": 3, "earlier": [{"steps": 1, "settings": {"epochs": 2}, "environment": {}}]}');
    const { config, earlier } = readRecord(path);
    expect([config.conv, earlier[0]?.config.conv, parseConfig({}).conv]).toEqual(["exact", "exact", "fast"]);
  });

  it.each([
    ["text", "hello"],
    ["a number", "3"],
    ["another environment", '{"environment": {"threads": "many"}}'],
    ["earlier parts that are none", '{"earlier": [{"steps": -1}]}'],
    ["an earlier part of unknown settings", '{"earlier": [{"steps": 1, "settings": {"speed": 9}, "environment": {}}]}'],
  ])("that is %s is refused, and counts as none where a run goes on", (_, text) => {
    const path = join(folder, "damaged.json");
    writeFileSync(path, text);
    expect(() => readRecord(path)).toThrow(UserError);
    expect(recordIfWhole(path)).toBeNull();
  });
});
