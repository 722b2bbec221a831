import { RandomStream } from "@peekaboo/seed";

/** A rectangle of pixels. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What training makes of an image: the part that is resized to the network's input, and whether it is mirrored. */
export interface RandomCrop {
  box: Box;
  flip: boolean;
}

/** Four random words, each an integer in [0, 2^32): the area, the aspect ratio, the row and the column of an attempt. */
export type AttemptWords = ArrayLike<number>;

const TWO_32 = 0x1_0000_0000;
const ATTEMPTS = 10;
/** The fraction of the image's area that a crop covers. */
const SCALE = { least: 0.08, most: 1 };
/** Width / height of a crop. */
const RATIO = { least: 3 / 4, most: 4 / 3 };
/** An image's blocks of four words: one an attempt, one for the flip, and the rest of a dozen to spare. */
const BLOCKS_PER_IMAGE = 12;

/**
 * The random crop and flip (probability ½) of image `index` in epoch `epoch`: a function of these arguments alone.
 * Source: torchvision.transforms.RandomResizedCrop and RandomHorizontalFlip, with their defaults.
 */
export function drawCrop(seed: number, epoch: number, index: number, width: number, height: number): RandomCrop {
  const stream = new RandomStream(seed, `random-resized-crop/${epoch}`);
  const words = new Uint32Array(4);
  const block = (number: number): Uint32Array => {
    stream.fillUint32(words, words.length * (BLOCKS_PER_IMAGE * index + number));
    return words;
  };
  const box = randomResizedCrop(width, height, block);
  const [mirror = 0] = block(ATTEMPTS);
  return { box, flip: mirror >>> 31 === 1 };
}

/**
 * A crop of 8 to 100 % of a width × height image's area, uniformly, and an aspect ratio from 3:4 to 4:3, log-uniformly; after
 * ten attempts that don't fit, the largest central crop within these ratios. `words` gives each attempt's.
 * Source: torchvision.transforms.RandomResizedCrop.get_params.
 */
export function randomResizedCrop(width: number, height: number, words: (attempt: number) => AttemptWords): Box {
  const logRatio = { least: Math.log(RATIO.least), most: Math.log(RATIO.most) };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { 0: areaWord = 0, 1: ratioWord = 0, 2: row = 0, 3: column = 0 } = words(attempt);
    const area = width * height * between(SCALE, areaWord);
    const ratio = Math.exp(between(logRatio, ratioWord));
    const w = roundHalfEven(Math.sqrt(area * ratio));
    const h = roundHalfEven(Math.sqrt(area / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const top = Math.floor((row * (height - h + 1)) / TWO_32);
      const left = Math.floor((column * (width - w + 1)) / TWO_32);
      return { left, top, width: w, height: h };
    }
  }
  return centralCrop(width, height);
}

function centralCrop(width: number, height: number): Box {
  const ratio = width / height;
  const w = ratio > RATIO.most ? roundHalfEven(height * RATIO.most) : width;
  const h = ratio < RATIO.least ? roundHalfEven(width / RATIO.least) : height;
  return { left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h };
}

/** The short side to which a test image is resized before the central crop of `size`: 256 for 224. */
export function resizedShortSide(size: number): number {
  return Math.floor((size * 256) / 224);
}

/** The size of a width × height image when its short side becomes `short`. Source: torchvision.transforms.Resize. */
export function resizedSize(width: number, height: number, short: number): { width: number; height: number } {
  const long = Math.trunc((short * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: short, height: long } : { width: long, height: short };
}

/** The central square of side `size`, which the image is no smaller than. Source: torchvision.transforms.CenterCrop. */
export function centerCrop(width: number, height: number, size: number): Box {
  const left = roundHalfEven((width - size) / 2);
  const top = roundHalfEven((height - size) / 2);
  return { left, top, width: size, height: size };
}

/** The nearest integer, of two the even one, as Python's round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

function between({ least, most }: { least: number; most: number }, word: number): number {
  return least + (most - least) * (word / TWO_32);
}
