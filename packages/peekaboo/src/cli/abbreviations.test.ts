import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { writtenOut } from "./abbreviations.js";
import { UsageError } from "./usage.js";

function program(): Command {
  const root = new Command("tool").version("1", "-V, --version");
  root
    .command("train [folder]")
    .option("--prune-ratio, --density <d>")
    .option("--prune-iters <n>")
    .option("--pruner <name>")
    .option("--bs, --batch-size <n>")
    .option("-r, --resume [from]")
    .option("-j, --workers <n>")
    .option("--json")
    .option("--exp-name <name>");
  root.command("data [name]").option("--from <path>").option("--folder <path>").command("list");
  return root;
}

const expanded = (line: string) => writtenOut(program(), line.split(" ")).join(" ");

describe("the flags of a command line are written out", () => {
  it.each([
    ["train --prune-rat 0.3", "train --prune-ratio 0.3"],
    ["train --prune-rat=0.3", "train --prune-ratio=0.3"],
    ["train --prune-i=3 --js images", "train --prune-iters=3 --json images"],
    ["train --pruner Mag", "train --pruner Mag"],
    ["train --b 4 --ba 5", "train --bs 4 --batch-size 5"],
    ["train --res --js", "train --resume --json"],
    ["train --res never --js", "train --resume never --json"],
    ["train --he", "train --help"],
    ["--vers", "--version"],
    ["train --v", "train --version"],
    ["data list --fr x", "data list --from x"],
  ])("%s → %s", (line, whole) => expect(expanded(line)).toBe(whole));

  it.each([
    "train --exp-name --prune-rat 0.3",
    "train -j --js",
    "train --exp-name=--js",
    "train -- --js",
    "train --unknown --prune-ratio=--js",
    "train -js -1 - --",
    "train --=x",
  ])("but neither values nor what follows -- nor what begins no flag: %s", (line) => expect(expanded(line)).toBe(line));

  it("and a beginning of several is refused with their names", () => {
    expect(() => expanded("train --prune 3")).toThrow(UsageError);
    expect(() => expanded("train --prune- 3")).toThrow(
      "tool train: --prune- is the beginning of several flags: --prune-ratio, --prune-iters; write more of it.",
    );
    expect(() => expanded("data --f 3")).toThrow("--from, --folder");
  });
});
