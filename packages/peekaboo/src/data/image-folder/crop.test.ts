import { describe, expect, it } from "vitest";
import { centerCrop, drawCrop, randomResizedCrop, resizedShortSide, resizedSize, roundHalfEven } from "./crop.js";

const TWO_32 = 2 ** 32;
/** The words of attempts given as fractions of 2^32. */
const words = (...attempts: number[][]) => {
  return (attempt: number) => (attempts[Math.min(attempt, attempts.length - 1)] ?? []).map((part) => part * TWO_32);
};

describe("roundHalfEven", () => {
  it.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [2.5000001, 3],
    [2.4999999, 2],
    [58.5, 58],
    [59.5, 60],
    [7, 7],
  ])("rounds %s to %s, as Python does", (value, expected) => {
    expect(roundHalfEven(value)).toBe(expected);
  });
});

describe("randomResizedCrop", () => {
  it("takes area, ratio, row and column from an attempt's words", () => {
    // Area 0.08 + 0.92/2 = 0.54 of 500 × 375 = 101,250; ratio √(3/4 · 4/3) = 1; side √101,250 = 318.2.
    // Row ⌊0.25 · (375 - 318 + 1)⌋ = ⌊14.5⌋; column ⌊0.75 · (500 - 318 + 1)⌋ = ⌊137.25⌋.
    const box = randomResizedCrop(500, 375, words([0.5, 0.5, 0.25, 0.75]));
    expect(box).toEqual({ left: 137, top: 14, width: 318, height: 318 });
  });

  it("draws the ratio log-uniformly, from 3:4", () => {
    // Area 0.08 · 187,500 = 15,000; ratio 3/4: √11,250 = 106.07 by √20,000 = 141.4.
    expect(randomResizedCrop(500, 375, words([0, 0, 0, 0]))).toEqual({ left: 0, top: 0, width: 106, height: 141 });
    // Ratio (3/4)·(16/9)^¼ = 0.8660: √12,990 = 113.98 by √17,320 = 131.6.
    const quarter = randomResizedCrop(500, 375, words([0, 0.25, 0, 0]));
    expect(quarter).toEqual({ left: 0, top: 0, width: 114, height: 132 });
  });

  it("never leaves the image", () => {
    const last = 1 - 2 ** -32;
    // Ratio 1 and all but all of the area: √187,500 = 433 is higher than the image, so the second attempt counts.
    const box = randomResizedCrop(500, 375, words([last, 0.5, 0, 0], [0, last, last, last]));
    // √(15,000 · 4/3) = 141.4 by 106.07, at the far corner.
    expect(box).toEqual({ left: 500 - 141, top: 375 - 106, width: 141, height: 106 });
  });

  it.each([
    // The whole area at ratio 1 never fits.
    [500, 375, { left: 0, top: 0, width: 500, height: 375 }],
    // 1000/200 > 4/3: round(266.67) = 267 wide, (1000 - 267) // 2 = 366 in.
    [1000, 200, { left: 366, top: 0, width: 267, height: 200 }],
    // 90/1001 < 3/4: 90 / 0.75 = 120 high, (1001 - 120) // 2 = 440 down.
    [90, 1001, { left: 0, top: 440, width: 90, height: 120 }],
    // 6 / 0.75 = 8, and 6 · 4/3 = 8.
    [6, 9, { left: 0, top: 0, width: 6, height: 8 }],
    [9, 6, { left: 0, top: 0, width: 8, height: 6 }],
  ])("takes the central part of a %d × %d image after ten attempts", (width, height, expected) => {
    let attempts = 0;
    const box = randomResizedCrop(width, height, () => {
      attempts += 1;
      return [TWO_32 - 1, TWO_32 / 2, 0, 0];
    });
    expect(attempts).toBe(10);
    expect(box).toEqual(expected);
  });

  it("takes a single pixel whole", () => {
    expect(randomResizedCrop(1, 1, words([0.5, 0.5, 0, 0]))).toEqual({ left: 0, top: 0, width: 1, height: 1 });
    expect(randomResizedCrop(1, 1, words([0, 0, 0, 0]))).toEqual({ left: 0, top: 0, width: 1, height: 1 });
  });
});

describe("drawCrop", () => {
  const crops = Array.from({ length: 4000 }, (_, index) => drawCrop(7, 3, index, 640, 480));

  it("depends on seed, epoch and index, and on nothing else", () => {
    expect(drawCrop(7, 3, 12, 640, 480)).toEqual(crops[12]);
    const others = [drawCrop(8, 3, 12, 640, 480), drawCrop(7, 4, 12, 640, 480), drawCrop(7, 3, 13, 640, 480)];
    for (const other of others) expect(other.box).not.toEqual(crops[12]?.box);
  });

  it("covers 8 to 100 % of the area at ratios from 3:4 to 4:3, within the image", () => {
    for (const { box } of crops) {
      expect(box.left).toBeGreaterThanOrEqual(0);
      expect(box.top).toBeGreaterThanOrEqual(0);
      expect(box.left + box.width).toBeLessThanOrEqual(640);
      expect(box.top + box.height).toBeLessThanOrEqual(480);
      expect(box.width / box.height).toBeGreaterThan(0.74);
      expect(box.width / box.height).toBeLessThan(1.35);
      expect((box.width * box.height) / (640 * 480)).toBeGreaterThan(0.079);
    }
  });

  it("mirrors one image in two", () => {
    const flips = crops.filter(({ flip }) => flip).length;
    // Five standard errors of 4000 fair coins.
    expect(Math.abs(flips - 2000)).toBeLessThan(5 * Math.sqrt(1000));
  });
});

describe("resizedSize", () => {
  it.each([
    [500, 375, 256, 341, 256], // 341.33
    [375, 500, 256, 256, 341],
    [300, 299, 256, 256, 256], // 256.86, cut, not rounded
    [256, 700, 256, 256, 700],
    [30, 10, 256, 768, 256],
    [64, 64, 36, 36, 36],
  ])("resizes %d × %d so that the short side is %d to %d × %d", (width, height, short, toWidth, toHeight) => {
    expect(resizedSize(width, height, short)).toEqual({ width: toWidth, height: toHeight });
  });
});

describe("centerCrop", () => {
  it("rounds a half to even, as torchvision does", () => {
    // (341 - 224) / 2 = 58.5 → 58; (343 - 224) / 2 = 59.5 → 60; (256 - 224) / 2 = 16.
    expect(centerCrop(341, 256, 224)).toEqual({ left: 58, top: 16, width: 224, height: 224 });
    expect(centerCrop(256, 343, 224)).toEqual({ left: 16, top: 60, width: 224, height: 224 });
  });
});

describe("resizedShortSide", () => {
  it("is 256 for 224, and in proportion for other sizes", () => {
    expect([224, 112, 32, 448, 1].map(resizedShortSide)).toEqual([256, 128, 36, 512, 1]);
  });
});
