import { describe, expect, it } from "vitest";
import { mirror, type Pixels, resample } from "./resample.js";

/** A grey row as high as it is long, and as wide. */
function square(row: readonly number[]): Pixels {
  const data = Uint8Array.from(row.flatMap(() => row.flatMap((value) => [value, value, value])));
  return { data, width: row.length, height: row.length };
}

const whole = (size: number) => ({ left: 0, top: 0, width: size, height: size });
/** The first channel of row `y`. */
const rowOf = ({ data, width }: Pixels, y: number) =>
  Array.from({ length: width }, (_, x) => data[3 * (y * width + x)]);
const resized = (row: readonly number[], size: number) => {
  return rowOf(resample(square(row), { width: size, height: size }, whole(size)), size >> 1);
};

describe("resample", () => {
  it("enlarges about the pixels' centres", () => {
    // Pixel i of 8 lies at (i + ½)/2 - ½ = -¼, ¼, ¾, 1¼, …: weights of ¼ and ¾, the edges kept.
    expect(resized([0, 100, 40, 200], 8)).toEqual([0, 25, 75, 85, 55, 80, 160, 200]);
  });

  it("shrinks by a triangle two source pixels wide on either side for every factor", () => {
    // From 4 to 2: the first pixel's centre is 1, its triangle 1 - |j + ½ - 1| / 2, so that the weights are 3, 3, 1 and 0 sevenths.
    expect(resized([70, 140, 210, 0], 2)).toEqual([30 + 60 + 30, 20 + 90 + 0]);
    expect(resized([0, 0, 7, 14], 2)).toEqual([1, 3 + 6]);
  });

  it("leaves an image of the right size as it is", () => {
    const image = { data: Uint8Array.from({ length: 5 * 4 * 3 }, (_, i) => (i * 37) % 256), width: 5, height: 4 };
    expect(resample(image, { width: 5, height: 4 }, { left: 0, top: 0, width: 5, height: 4 })).toEqual(image);
  });

  it("keeps full brightness, and the channels apart", () => {
    const image = { data: new Uint8Array(7 * 7 * 3).map((_, i) => [255, 0, 128][i % 3] ?? 0), width: 7, height: 7 };
    for (const size of [3, 5, 11, 29]) {
      const { data } = resample(image, { width: size, height: size }, whole(size));
      expect(data).toEqual(new Uint8Array(size * size * 3).map((_, i) => [255, 0, 128][i % 3] ?? 0));
    }
  });

  it("gives of a window what the whole has there", () => {
    const image = { data: Uint8Array.from({ length: 9 * 6 * 3 }, (_, i) => (i * 89) % 256), width: 9, height: 6 };
    const all = resample(image, { width: 30, height: 4 }, { left: 0, top: 0, width: 30, height: 4 });
    const part = resample(image, { width: 30, height: 4 }, { left: 7, top: 1, width: 11, height: 2 });
    for (const y of [0, 1]) expect(rowOf(part, y)).toEqual(rowOf(all, y + 1).slice(7, 18));
    // However long the image would become.
    const strip = resample(image, { width: 90_000_000, height: 4 }, { left: 45_000_000, top: 0, width: 2, height: 4 });
    const narrow = resample(image, { width: 9, height: 4 }, { left: 4, top: 0, width: 1, height: 4 });
    expect([...strip.data.subarray(0, 6)]).toEqual([...narrow.data.subarray(0, 3), ...narrow.data.subarray(0, 3)]);
  });
});

describe("mirror", () => {
  it.each([
    [3, [1, 2, 3, 4, 5, 6, 7, 8, 9], [7, 8, 9, 4, 5, 6, 1, 2, 3]],
    [2, [1, 2, 3, 4, 5, 6], [4, 5, 6, 1, 2, 3]],
    [1, [1, 2, 3], [1, 2, 3]],
  ])("turns a row of %d around, each pixel's channels in order", (width, row, expected) => {
    const image = { data: Uint8Array.from([...row, ...row]), width, height: 2 };
    mirror(image);
    expect([...image.data]).toEqual([...expected, ...expected]);
  });
});
