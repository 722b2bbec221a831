import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodePngSheets } from "./png-sheets.js";

const layout = {
  image: { height: 1, width: 2, channels: 3 },
  sheets: {
    train: { images: ["a.png", "b.png"], labels: "train.json" },
    test: { images: ["t.png"], labels: "test.json" },
  },
};

const png = (values: readonly number[], width: number, channels: 3 | 4 = 3) =>
  sharp(Uint8Array.from(values), { raw: { width, height: values.length / width / channels, channels } })
    .png()
    .toBuffer();

const text = (value: string) => new TextEncoder().encode(value);

async function sheets(): Promise<Map<string, Uint8Array>> {
  return new Map([
    ["a.png", await png([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 2)],
    ["b.png", await png([21, 22, 23, 24, 25, 26], 2)],
    ["t.png", await png([255, 0, 255, 0, 255, 0], 2)],
    ["train.json", text("[2,0,1]")],
    ["test.json", text("[5]")],
  ]);
}

describe("decodePngSheets", () => {
  it("takes one image from each row, sheet after sheet", async () => {
    const { train, test } = await decodePngSheets(await sheets(), layout);
    expect([...train.images]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 21, 22, 23, 24, 25, 26]);
    expect([...train.labels]).toEqual([2, 0, 1]);
    expect([...test.images]).toEqual([255, 0, 255, 0, 255, 0]);
    expect([...test.labels]).toEqual([5]);
  });

  it("refuses a sheet of another width or with transparency, by name", async () => {
    const files = await sheets();
    const narrow = new Map(files).set("b.png", await png([1, 2, 3], 1));
    await expect(decodePngSheets(narrow, layout)).rejects.toThrow("for b.png, received 1 pixels of 3 channels");
    const transparent = new Map(files).set("t.png", await png([1, 2, 3, 4, 5, 6, 7, 8], 2, 4));
    await expect(decodePngSheets(transparent, layout)).rejects.toThrow("for t.png, received 2 pixels of 4 channels");
  });

  it("refuses a damaged or missing sheet, by name", async () => {
    const files = await sheets();
    const whole = files.get("a.png") ?? new Uint8Array();
    const cut = new Map(files).set("a.png", whole.subarray(0, whole.length - 20));
    await expect(decodePngSheets(cut, layout)).rejects.toThrow("a whole PNG image for a.png");
    const missing = new Map(files);
    missing.delete("t.png");
    await expect(decodePngSheets(missing, layout)).rejects.toThrow("a file of this name for t.png");
  });

  it.each(["[1,2", '{"0":1}', "[1,256]", "[1,-1]", "[0.5]", '["1"]', "[null]"])(
    "refuses the labels %s",
    async (json) => {
      const files = (await sheets()).set("test.json", text(json));
      await expect(decodePngSheets(files, layout)).rejects.toThrow("a JSON array of integers in 0…255 for test.json");
    },
  );
});
