import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { loadStudy } from "./load-study.js";

describe("loadStudy", () => {
  it("reads JSON, and a module's default export", async ({ folder }) => {
    const study = { name: "one", grid: { seed: [0, 1] } };
    writeFileSync(join(folder, "one.json"), JSON.stringify(study));
    writeFileSync(join(folder, "one.mjs"), `export default ${JSON.stringify(study)};`);
    const read = { ...study, about: "", base: {}, runs: [{}] };
    expect(await loadStudy(join(folder, "one.json"))).toEqual(read);
    expect(await loadStudy(join(folder, "one.mjs"))).toEqual(read);
  });

  it.for([
    ["none.json", null, /^read the study: expected an existing file/],
    ["none.mjs", null, /^read the study: expected an existing file/],
    ["text.json", "name: x", /expected JSON, or a module's name.*received text that is not JSON/],
    ["list.json", "[]", /^read the study: expected an object with name/],
    ["no-default.mjs", "export const a = 1;", /^read the study: expected an object with name/],
    [
      "throws.mjs",
      'throw new Error("so\\nnot");',
      /a module that Node can load.*received so\\nnot; correct the module\.$/,
    ],
    ["wrong.mjs", "export default {", /a module that Node can load/],
  ] as const)("refuses %s in one sentence", async ([name, text, words], { folder }) => {
    if (text !== null) writeFileSync(join(folder, name), text);
    const error = await loadStudy(join(folder, name)).catch((fault: unknown) => fault);
    expect(String((error as Error).message)).toMatch(words);
    expect(String((error as Error).message)).not.toContain("\n");
  });

  it("refuses a folder", async ({ folder }) => {
    mkdirSync(join(folder, "study.json"));
    await expect(loadStudy(join(folder, "study.json"))).rejects.toThrow("received a folder");
  });
});
