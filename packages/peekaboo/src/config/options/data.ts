import { plainName, SOURCES } from "../../data/sets/sources.js";
import { choice, integer, optional, text } from "../kinds.js";
import { option } from "../table.js";
import { listed } from "./listed.js";

/** The data set that is a folder of images, as torchvision's ImageFolder has it. */
export const IMAGE_FOLDER = "imagefolder";

const datasets = [...SOURCES.map(({ name }) => name), IMAGE_FOLDER];

/** The images, and how they are read. */
export const data = {
  dataset: option({
    flags: "--dataset <name>",
    kind: { ...choice(datasets), fromText: (text) => datasets.find((name) => name === plainName(text)) },
    default: "cifar10",
    help: `Images to learn: ${listed(datasets)}; \`peekaboo data list\` tells what is here.`,
  }),
  data: option({
    flags: "--data <path>",
    kind: optional(text("an archive or a folder")),
    default: null,
    defaultText: "the data folder, else the network",
    help: "Takes the images from this archive, or folder of unpacked files, checks and stores them; for imagefolder, the folder.",
  }),
  dataFolder: option({
    flags: "--data-folder <folder>",
    kind: optional(text("a folder")),
    default: null,
    defaultText: "PEEKABOO_DATA, else the user's cache",
    help: "Folder where data sets are kept.",
  }),
  imageSize: option({
    flags: "--image-size <pixels>",
    kind: integer(8, 4096),
    default: 224,
    help: "Height and width to which an image folder's images are cropped.",
  }),
  workers: option({
    flags: "-j, --workers <n>",
    kind: optional(integer(0, 256)),
    default: null,
    defaultText: "the processors, at most 4",
    help: "Threads that read and decode an image folder's images; the result doesn't depend on it.",
  }),
  onBadImage: option({
    flags: "--on-bad-image <skip|fail>",
    kind: choice(["skip", "fail"]),
    default: "fail",
    help: "What to do about an image that can't be decoded: skip it and count it, or stop.",
  }),
  trainLimit: option({
    flags: "--train-limit <n>",
    kind: optional(integer(1)),
    default: null,
    defaultText: "all",
    help: "Trains on the first n training images only.",
  }),
  testLimit: option({
    flags: "--test-limit <n>",
    kind: optional(integer(1)),
    default: null,
    defaultText: "all",
    help: "Tests on the first n test images only.",
  }),
  grey: option({
    flags: "--grey <rgb|single>",
    kind: choice(["rgb", "single"]),
    default: "rgb",
    help: "Grey images: rgb repeats their channel to three, single gives the network one input channel.",
  }),
};
