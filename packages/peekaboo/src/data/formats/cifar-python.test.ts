import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { decodeCifarPython } from "./cifar-python.js";

const image = { height: 1, width: 2, channels: 3 };
const layout = { image, batches: { train: ["a", "b"], test: ["t"] }, labelsKey: "labels" };

const latin1 = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const uint32 = (value: number) =>
  String.fromCharCode(value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24);

interface Parts {
  dtype?: string;
  rows?: number;
  columns?: number;
  fortran?: boolean;
  labels?: string;
  order?: string;
}

/**
 * A batch as Python 2's cPickle wrote CIFAR's (protocol 2, strings of bytes): six pixels a row, and labels as opcodes.
 */
function python2Batch(pixels: readonly number[], parts: Parts = {}): Uint8Array {
  const { rows = pixels.length / 6, columns = 6, dtype = "u1", fortran = false, order = "|", labels } = parts;
  const bytes = String.fromCharCode(...pixels);
  const data =
    "cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\0\x85U\x01b\x87Rq\x04" +
    `(K\x01K${String.fromCharCode(rows)}K${String.fromCharCode(columns)}\x86` +
    `cnumpy\ndtype\nq\x05U${String.fromCharCode(dtype.length)}${dtype}K\0K\x01\x87Rq\x06` +
    `(K\x03U${String.fromCharCode(order.length)}${order}NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb` +
    `${fortran ? "\x88" : "\x89"}T${uint32(bytes.length)}${bytes}tb`;
  const list = labels ?? Array.from({ length: rows }, (_, i) => `K${String.fromCharCode(i + 7)}`).join("");
  return latin1(
    `\x80\x02}q\x01(U\x0bbatch_labelU\x15training batch 1 of 5U\x06labels](${list}eU\x04data${data}` +
      "U\x09filenames]U\x09a_b_c.pngau.",
  );
}

/** The red plane, the green, the blue. */
const planes = [10, 20, 30, 40, 50, 60];
const interleaved = [10, 30, 50, 20, 40, 60];

const files = (a: Uint8Array) =>
  new Map([
    ["a", a],
    ["b", python2Batch([1, 2, 3, 4, 5, 6])],
    ["t", python2Batch(planes)],
  ]);

describe("decodeCifarPython", () => {
  it("reads Python 2's pickles: channels last, batches one after another", async () => {
    const second = planes.map((pixel) => pixel + 1);
    const { train, test } = await decodeCifarPython(files(python2Batch([...planes, ...second])), layout);
    expect([...train.labels]).toEqual([7, 8, 7]);
    expect([...train.images]).toEqual([...interleaved, ...interleaved.map((pixel) => pixel + 1), 1, 3, 5, 2, 4, 6]);
    expect([...test.labels]).toEqual([7]);
    expect([...test.images]).toEqual(interleaved);
  });

  it("reads an array in Fortran's order", async () => {
    const columns = planes.flatMap((pixel) => [pixel, pixel + 100]);
    const { train } = await decodeCifarPython(files(python2Batch(columns, { rows: 2, fortran: true })), layout);
    expect([...train.images.subarray(0, 12)]).toEqual([...interleaved, ...interleaved.map((pixel) => pixel + 100)]);
  });

  it.each([
    // What Python 3's pickle.dumps({b"data": …, b"fine_labels": [3, 99]}, protocol) wrote, with numpy 1.24.
    [
      2,
      "gAJ9cQAoY19jb2RlY3MKZW5jb2RlCnEBWAQAAABkYXRhcQJYBgAAAGxhdGluMXEDhnEEUnEFY251bXB5LmNvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQZjbnVtcHkKbmRhcnJheQpxB0sAhXEIaAFYAQAAAGJxCWgDhnEKUnELh3EMUnENKEsBSwJLBoZxDmNudW1weQpkdHlwZQpxD1gCAAAAdTFxEImIh3ERUnESKEsDWAEAAAB8cRNOTk5K/////0r/////SwB0cRRiiWgBWBIAAAAAAQIDBAXDusO7w7zDvcO+w79xFWgDhnEWUnEXdHEYYmgBWAsAAABmaW5lX2xhYmVsc3EZaAOGcRpScRtdcRwoSwNLY2V1Lg==",
    ],
    [
      4,
      "gASVtwAAAAAAAAB9lChDBGRhdGGUjBVudW1weS5jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsAhZRDAWKUh5RSlChLAUsCSwaGlGgFjAVkdHlwZZSTlIwCdTGUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LAHSUYolDDAABAgMEBfr7/P3+/5R0lGJDC2ZpbmVfbGFiZWxzlF2UKEsDS2NldS4=",
    ],
  ])("reads Python 3's pickles of protocol %d, under CIFAR-100's key", async (_, base64) => {
    const file = new Uint8Array(Buffer.from(base64, "base64"));
    const python3 = { image, batches: { train: ["x"], test: ["x"] }, labelsKey: "fine_labels" };
    const { train } = await decodeCifarPython(new Map([["x", file]]), python3);
    expect([...train.labels]).toEqual([3, 99]);
    expect([...train.images]).toEqual([0, 2, 4, 1, 3, 5, 250, 252, 254, 251, 253, 255]);
  });

  it.each([
    ["another dtype", { dtype: "i8" }, 'u1 [N, 6] under "data" for a, received i8 [1, 6]'],
    ["images of another size", { columns: 5 }, "u1 [N, 6]"],
    ["fewer pixels than its shape", { rows: 2 }, "12 bytes of pixels for a, received 6"],
    ["fewer labels than images", { labels: "" }, "1 labels, one an image for a, received 0"],
    ["a label that is none", { labels: "M\0\x01" }, "integers in 0…255"],
    ["a label that is text", { labels: "U\x01x" }, "integers in 0…255"],
    ["big-endian elements", { order: ">" }, "a plain little-endian dtype"],
  ])("refuses %s", async (_, parts, words) => {
    const decoding = decodeCifarPython(files(python2Batch(planes, parts)), layout);
    await expect(decoding).rejects.toThrow(UserError);
    await expect(decodeCifarPython(files(python2Batch(planes, parts)), layout)).rejects.toThrow(words);
  });

  it("refuses a missing or damaged batch, and a class other than numpy's array", async () => {
    await expect(decodeCifarPython(new Map(), layout)).rejects.toThrow("a file of this name for a, received none");
    await expect(decodeCifarPython(files(python2Batch(planes).subarray(0, 90)), layout)).rejects.toThrow(
      "the file is damaged or not CIFAR's",
    );
    await expect(decodeCifarPython(files(latin1("cposix\nsystem\n(U\x02lstR.")), layout)).rejects.toThrow(
      'the class or function "posix.system"',
    );
    await expect(decodeCifarPython(files(latin1("].")), layout)).rejects.toThrow("a dictionary for a");
    await expect(decodeCifarPython(files(latin1("}.")), layout)).rejects.toThrow('an array under "data" for a');
  });
});
