// The real command line on archives and folders that the user already has.
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { peekabooIn } from "./support/cli.js";
import { type TarEntry, tarOf } from "./support/data.js";
import { sharedFolder } from "./support/folder.js";

/** Where Debian's package dataset-fashion-mnist puts its files. */
const DEBIAN = "/usr/share/datasets/fashion-mnist";

const folder = sharedFolder();
const data = join(folder, "data");

const peekaboo = (...args: string[]) => peekabooIn({ env: { PEEKABOO_DATA: data } }, ...args);

/** The sentence with which training on a data set from an archive is refused. */
function refusal(dataset: string, entries: readonly TarEntry[]): string {
  const file = join(folder, "mine.tgz");
  writeFileSync(file, tarOf(entries));
  const run = ["--savedir", folder, "--exp-name", "refused"];
  const { status, stdout, stderr } = peekaboo("train", "--dataset", dataset, "--data", file, ...run);
  expect([status, stdout]).toEqual([2, ""]);
  const told = stderr.trim().split("\n");
  expect(told.slice(0, -1).every((line) => /^\w+: (unpacking|verifying)$/.test(line))).toBe(true);
  return told.at(-1) ?? "";
}

/** An IDX file of zeros: [count] labels, or [count, 28, 28] images. */
function idx(count: number, item: readonly number[] = []): Uint8Array {
  const header = Buffer.alloc(8 + 4 * item.length);
  for (const [i, value] of [0x801 + item.length, count, ...item].entries()) header.writeUInt32BE(value, 4 * i);
  return Buffer.concat([header, Buffer.alloc(item.reduce((product, size) => product * size, count))]);
}

describe("--data", () => {
  it("refuses an archive that holds something else", () => {
    expect(refusal("mnist", [{ path: "x", content: "y" }])).toBe(
      `import MNIST: expected an archive or a folder that holds train-images-idx3-ubyte and 3 more for "${join(folder, "mine.tgz")}", received none of these files.`,
    );
  });

  it("refuses an archive where a file is missing", () => {
    const message = refusal("mnist", [{ path: "raw/t10k-labels-idx1-ubyte.gz", content: gzipSync(idx(10)) }]);
    expect(message).toContain("received only t10k-labels-idx1-ubyte.");
  });

  it("refuses another number of images", () => {
    const message = refusal("mnist", [
      { path: "train-images-idx3-ubyte", content: idx(20, [28, 28]) },
      { path: "train-labels-idx1-ubyte", content: idx(20) },
      { path: "t10k-images-idx3-ubyte.gz", content: gzipSync(idx(10, [28, 28])) },
      { path: "t10k-labels-idx1-ubyte.gz", content: gzipSync(idx(10)) },
    ]);
    expect(message).toContain("expected 60000 labels for the train labels, received 20 labels");
  });

  it("refuses CIFAR-100 files that aren't the published ones", () => {
    const record = new Uint8Array(2 + 3072);
    const message = refusal("CIFAR-100", [
      { path: "cifar-100-binary/train.bin", content: record },
      { path: "cifar-100-binary/test.bin", content: record },
    ]);
    expect(message).toContain(
      "expected the published file (SHA1 e207cd2e05b73b1393c74c7f5e7bea451d63e08e) for train.bin of",
    );
  });

  it("keeps nothing of what it refused", () => {
    expect(existsSync(data) ? readdirSync(data) : []).toEqual([]);
    expect(existsSync(join(folder, "refused", "config.json"))).toBe(false);
  });

  it.runIf(existsSync(DEBIAN))(
    "trains on the images of an installed package, and tests on them",
    { timeout: 300_000 },
    () => {
      const size = "--arch PsgResNet20 --width 0.25 --bs 32 --train-limit 96 --max-steps 3 --test-limit 100".split(" ");
      const run = ["--savedir", folder, "--exp-name", "fashion", "--json"];
      const trained = peekaboo("train", "--dataset", "Fashion-MNIST", "--data", DEBIAN, ...size, ...run);
      expect(trained.stderr).not.toContain("Error");
      expect(trained.status).toBe(0);
      const summary = JSON.parse(trained.stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
      expect(summary).toMatchObject({ dataset: "fashionmnist", steps: 3, testImages: 100 });
      const tested = peekaboo(
        "evaluate",
        String(summary.checkpoint),
        "--data",
        DEBIAN,
        "--test-limit",
        "100",
        "--json",
      );
      expect(tested.status).toBe(0);
      expect(JSON.parse(tested.stdout)).toMatchObject({ dataset: "fashionmnist", accuracy: summary.accuracy });
      const listed = JSON.parse(peekaboo("data", "list", "--json").stdout) as Record<string, unknown>[];
      expect(listed.filter(({ bytes }) => bytes !== undefined).map(({ name }) => name)).toEqual(["fashionmnist"]);
    },
  );
});
