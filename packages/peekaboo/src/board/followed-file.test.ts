import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { FollowedFile } from "./followed-file.js";

let path: string;
let file: FollowedFile;
it.beforeEach(({ folder }) => {
  path = join(folder, "metrics.jsonl");
  file = new FollowedFile(path);
});

/** All that can be read now. */
function read(): string {
  let text = "";
  while (file.isBehind) text += file.next().bytes.toString("utf8");
  return text;
}

it("reads what is appended, a half-written line once it is whole", () => {
  expect(file.look()).toBe("gone");
  writeFileSync(path, "one\ntwo\nthr");
  expect(file.look()).toBe("grown");
  expect(read()).toBe("one\ntwo\n");
  expect(file.look()).toBe("same");
  appendFileSync(path, "ee");
  expect(file.look()).toBe("grown");
  expect(read()).toBe("");
  appendFileSync(path, "\nfour\n");
  expect(file.look()).toBe("grown");
  expect(file.next().place).toBe(8);
  expect(file.offset).toBe(19);
});

it("reads a long file in slices, no line cut, and long lines too", () => {
  const text = Array.from({ length: 300_000 }, (_, i) => `line ${i}\n`).join("");
  writeFileSync(path, text);
  file.look();
  expect(read()).toBe(text);
  appendFileSync(path, `${"x".repeat(3_000_000)}\nend\n`);
  file.look();
  expect(read().endsWith("xxx\nend\n")).toBe(true);
});

it("begins anew when the file is cut, cut and grown again, or replaced", ({ folder }) => {
  writeFileSync(path, "one\ntwo\nthree\n");
  file.look();
  read();
  truncateSync(path, 4);
  expect(file.look()).toBe("another");
  expect(read()).toBe("one\n");
  appendFileSync(path, "zwei\ndrei\nvier\n");
  expect(file.look()).toBe("grown");
  expect(read()).toBe("zwei\ndrei\nvier\n");
  truncateSync(path, 4);
  appendFileSync(path, "deux\ntrois\nquatre\ncinq\n");
  expect(file.look()).toBe("another");
  expect(read()).toBe("one\ndeux\ntrois\nquatre\ncinq\n");
  writeFileSync(join(folder, "new"), "one\ndeux\ntrois\nquatre\ncinq\nsix\n");
  renameSync(join(folder, "new"), path);
  expect(file.look()).toBe("another");
  expect(read()).toMatch(/six\n$/);
  rmSync(path);
  expect(file.look()).toBe("gone");
  expect(file.isBehind).toBe(false);
});

it("gives the end of a file, and what lies between two places, in whole lines", () => {
  writeFileSync(path, "one\ntwo\nthree\nfour\nfi");
  file.look();
  expect(file.tail(14).bytes.toString()).toBe("three\nfour\n");
  expect(file.tail(14).place).toBe(8);
  expect([...file.between(4, 14)].map(({ bytes }) => bytes.toString())).toEqual(["two\nthree\n"]);
});
