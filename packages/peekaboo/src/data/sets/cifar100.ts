import { hex } from "../checksum.js";
import { urlArchive } from "../fetch/origins.js";
import { type CifarBinaryLayout, decodeCifarBinary } from "../formats/cifar-binary.js";
import { type CifarPythonLayout, decodeCifarPython } from "../formats/cifar-python.js";
import type { DatasetSource } from "../source.js";

/** A coarse label, a fine label and 3×32×32 pixels for each image. */
const layout: CifarBinaryLayout = {
  image: { height: 32, width: 32, channels: 3 },
  labelBytes: 2,
  batches: { train: ["train.bin"], test: ["test.bin"] },
};
const RECORD = 2 + 3 * 32 * 32;

const pythonLayout: CifarPythonLayout = {
  image: layout.image,
  batches: { train: ["train"], test: ["test"] },
  labelsKey: "fine_labels",
};
/** An image's bytes in a pickle, at most: pixels, labels and the name of its file. */
const PICKLED = RECORD + 100;

/** The fine labels' names in the archive's order, which is alphabetical. */
const CLASSES =
  "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm".split(
    " ",
  );

/**
 * CIFAR-100 (Krizhevsky 2009): 60,000 photographs in a hundred classes, the fine labels. MXNet's gluon publishes the
 * SHA-1 sums of the official files, by which any archive or folder that holds them is proven.
 */
export const cifar100: DatasetSource = {
  name: "cifar100",
  title: "CIFAR-100",
  image: layout.image,
  classes: CLASSES,
  normalisation: { mean: [0.507, 0.487, 0.441], std: [0.267, 0.256, 0.276] },
  augmentation: { padding: 4, flip: true },
  splits: {
    train: { count: 50_000, histogram: Array<number>(100).fill(500), firstLabels: [19, 29, 0, 11, 1] },
    test: { count: 10_000, histogram: Array<number>(100).fill(100), firstLabels: [] },
  },
  candidates: [
    {
      ...urlArchive({
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        bytes: 168_513_733,
        checksum: hex("md5", "03b5dce01913d631647c71ecec9e9cb8"),
        files: { "train.bin": 50_000 * RECORD, "test.bin": 10_000 * RECORD },
      }),
      checksums: {
        "train.bin": hex("sha1", "e207cd2e05b73b1393c74c7f5e7bea451d63e08e"),
        "test.bin": hex("sha1", "8fb6623e830365ff53cf14adec797474f5478006"),
      },
      decode: (files) => decodeCifarBinary(files, layout),
    },
    {
      ...urlArchive({
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        bytes: 169_001_437,
        checksum: hex("md5", "eb9058c3a382ffc7106e4002c42a8d85"),
        files: { train: 50_000 * PICKLED, test: 10_000 * PICKLED },
      }),
      checksums: {
        train: hex("md5", "16019d7e3df5f24257cddd939b257f8d"),
        test: hex("md5", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
      },
      decode: (files) => decodeCifarPython(files, pythonLayout),
    },
  ],
};
