import { hex } from "../checksum.js";
import { localFolder, urlFiles } from "../fetch/origins.js";
import { decodeIdx, idxSizes, MNIST_LAYOUT } from "../formats/idx.js";
import type { Candidate, DatasetSource } from "../source.js";

const files = idxSizes(MNIST_LAYOUT, { train: 60_000, test: 10_000 });
const decode: Candidate["decode"] = (found) => decodeIdx(found, MNIST_LAYOUT);

/** The publisher's gzipped files. */
const zipped = {
  "train-images-idx3-ubyte.gz": { bytes: 26_421_880, checksum: hex("md5", "8d4fb7e6c68d591d4c3dfef9ec88bf0d") },
  "train-labels-idx1-ubyte.gz": { bytes: 29_515, checksum: hex("md5", "25c81989df183df01b3e8a0aad5dffbe") },
  "t10k-images-idx3-ubyte.gz": { bytes: 4_422_102, checksum: hex("md5", "bef4ecab320f06d8554ea6380940ec79") },
  "t10k-labels-idx1-ubyte.gz": { bytes: 5148, checksum: hex("md5", "bb300cfdad3c16e7a12a480ee83cd310") },
};

/** The unzipped files; Debian zips them anew. */
const checksums = {
  "train-images-idx3-ubyte": hex("sha256", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
  "train-labels-idx1-ubyte": hex("sha256", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
  "t10k-images-idx3-ubyte": hex("sha256", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
  "t10k-labels-idx1-ubyte": hex("sha256", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
};

/**
 * Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 70,000 pictures of clothes in MNIST's format, from Debian's package, or
 * from the publisher. The package's files, unzipped, have the sums that are published for the publisher's.
 */
export const fashionMnist: DatasetSource = {
  name: "fashionmnist",
  title: "Fashion-MNIST",
  image: MNIST_LAYOUT.image,
  classes: ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"],
  normalisation: { mean: [0.286], std: [0.353] },
  augmentation: { padding: 4, flip: true },
  splits: {
    train: {
      count: 60_000,
      histogram: Array<number>(10).fill(6000),
      firstLabels: [9, 0, 0, 3, 0],
      channelMeans: [0.286],
      sha256: {
        images: "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        labels: "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
      },
    },
    test: {
      count: 10_000,
      histogram: Array<number>(10).fill(1000),
      firstLabels: [9, 2, 1, 1, 6],
      sha256: {
        images: "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        labels: "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
      },
    },
  },
  candidates: [
    {
      ...localFolder({
        folder: "/usr/share/datasets/fashion-mnist",
        remedy: "install Debian's package dataset-fashion-mnist (apt-get install dataset-fashion-mnist)",
        files,
        checksums,
      }),
      decode,
    },
    { ...urlFiles({ base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", zipped, files }), decode },
    { ...urlFiles({ base: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/", zipped, files }), decode },
  ],
};
