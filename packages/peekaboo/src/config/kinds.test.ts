import { describe, expect, it } from "vitest";
import {
  ascendingIntegers,
  choice,
  choices,
  device,
  flag,
  folderName,
  integer,
  magnitude,
  number,
  optional,
  patternValues,
  text,
} from "./kinds.js";

describe("numbers", () => {
  it.each([
    ["3e-1", 0.3],
    ["0.3", 0.3],
    [".3", 0.3],
    ["3.", 3],
    ["+3", 3],
    [" -5E-7 ", -5e-7],
    ["0", 0],
  ])("read %j as %d", (written, value) => expect(number().fromText(written)).toBe(value));

  it.each(["", " ", "abc", "1e", "1e+", ".", "-", "1,5", "0x10", "1_000", "1 2", "NaN", "Infinity", "1e999", "--lr"])(
    "refuse %j",
    (written) => {
      expect(number().fromText(written)).toBeUndefined();
      expect(magnitude().fromText(written)).toBeUndefined();
      expect(integer(0).fromText(written)).toBeUndefined();
    },
  );

  it("keep to their range, open and closed", () => {
    const density = number({ above: 0, atMost: 1 });
    expect(["0", "1e-9", "1", "1.0000001", "-1"].map((written) => density.fromText(written))).toEqual([
      undefined,
      1e-9,
      1,
      undefined,
      undefined,
    ]);
    const momentum = number({ atLeast: 0, below: 1 });
    expect(["-1e-9", "0", "1"].map((written) => momentum.fromText(written))).toEqual([undefined, 0, undefined]);
    expect(density.expected).toBe("a number above 0 and at most 1");
    expect(momentum.expected).toBe("a number of at least 0 and below 1");
    expect(number().expected).toBe("a number");
  });

  it("come from JSON as finite numbers only", () => {
    const values = [0.5, "0.5", Number.NaN, Number.POSITIVE_INFINITY, null, true, [0.5]];
    expect(values.map((value) => number().fromJson(value))).toEqual([0.5, ...Array(6).fill(undefined)]);
  });
});

describe("a magnitude", () => {
  it("ignores a minus sign on the command line and refuses it in JSON", () => {
    expect(magnitude().fromText("-5e-7")).toBe(5e-7);
    expect(magnitude().fromText(" -5e-7")).toBe(5e-7);
    expect(magnitude().fromText("1e-7")).toBe(1e-7);
    expect(magnitude().fromText("--5")).toBeUndefined();
    expect(magnitude().fromJson(-5e-7)).toBeUndefined();
  });
});

describe("several of a few names", () => {
  const kind = choices(["tensorboard", "csv"]);

  it("are each there once, in the names' order", () => {
    expect(["csv", "CSV, tensorboard", "csv,csv", "tensorboard,csv"].map((written) => kind.fromText(written))).toEqual([
      ["csv"],
      ["tensorboard", "csv"],
      ["csv"],
      ["tensorboard", "csv"],
    ]);
    expect(kind.fromJson(["csv", "tensorboard"])).toEqual(["tensorboard", "csv"]);
    expect(kind.fromJson([])).toEqual([]);
    expect(kind.joined?.(["csv"], ["tensorboard", "csv"])).toEqual(["tensorboard", "csv"]);
  });

  it("refuse any other, and name the nearest", () => {
    for (const written of ["", "csv,", "csv,wandb", "none"]) expect(kind.fromText(written)).toBeUndefined();
    for (const json of ["csv", null, ["csv", 1], [["csv"]]]) expect(kind.fromJson(json)).toBeUndefined();
    expect(kind.expected).toBe("any of tensorboard, csv, with commas between");
    expect(kind.remedy?.("csv,tensorbord")).toBe("did you mean tensorboard?");
  });
});

describe("integers", () => {
  it("are whole and within their bounds", () => {
    const bits = integer(1, 32);
    const written = ["0", "1", "32", "33", "4.5", "-4", "8.0", "1e1"];
    expect(written.map((bit) => bits.fromText(bit))).toEqual([
      undefined,
      1,
      32,
      undefined,
      undefined,
      undefined,
      8,
      10,
    ]);
    expect(bits.expected).toBe("an integer from 1 to 32");
    expect(integer(1).expected).toBe("an integer of at least 1");
  });

  it("stay within what a double keeps exact", () => {
    expect(integer(0).fromText("9007199254740991")).toBe(2 ** 53 - 1);
    expect(integer(0).fromText("9007199254740992")).toBeUndefined();
    expect(integer(0).fromJson(2 ** 53)).toBeUndefined();
    expect(integer(0).remedy?.("9007199254740992")).toBe("the largest is 9007199254740991, which is 2^53 - 1");
    expect(["-1", "1.5", "0x10", "abc", ""].map((written) => integer(0).remedy?.(written))).toEqual(
      Array(5).fill(undefined),
    );
    expect(ascendingIntegers().remedy?.("[1,1e17]")).toContain("9007199254740991");
    expect(number().remedy?.("1e999")).toBe("the largest magnitude is 1.7976931348623157e+308");
    expect(device().remedy?.("cuda:1000")).toBe("the largest N is 999");
  });
});

describe("a folder's name", () => {
  it.each(["demo", "cifar10_resnet18_pab-psg", "a b", "...", ".hidden", "grüße", "é".repeat(127)])("is %j", (name) => {
    expect(folderName().fromText(name)).toBe(name);
    expect(folderName().fromJson(name)).toBe(name);
  });

  it.each(["", " ", ".", "..", "a/b", "/a", "a/", "a\0b", "a\nb", "é".repeat(128), "--json"])("is not %j", (name) =>
    expect(folderName().fromText(name)).toBeUndefined(),
  );

  it("may be a path in the files of earlier versions, which only tell where a run was", () => {
    expect(folderName().fromJson("group/run")).toBe("group/run");
  });
});

describe("ascending integers", () => {
  it("read a list with commas, spaces allowed", () => {
    expect(ascendingIntegers().fromText("80,120")).toEqual([80, 120]);
    expect(ascendingIntegers().fromText("80, 120")).toEqual([80, 120]);
    expect(ascendingIntegers().fromText("7")).toEqual([7]);
  });

  it.each(["", ",", "80,", "120,80", "80,80", "0,80", "-1", "1.5", "80;120"])("refuse %j", (written) =>
    expect(ascendingIntegers().fromText(written)).toBeUndefined(),
  );

  it("come from a JSON array of ascending integers only", () => {
    expect(ascendingIntegers().fromJson([1, 2])).toEqual([1, 2]);
    expect([[2, 1], ["1"], [1, null], "1,2", 1].map((value) => ascendingIntegers().fromJson(value))).toEqual(
      Array(5).fill(undefined),
    );
  });
});

describe("values for patterns", () => {
  const rates = patternValues(number({ above: 0, below: 1 }));

  it("read NAME=VALUE with commas, spaces allowed, in their order", () => {
    expect(rates.fromText("layer1.*=1e-4,conv1.weight=5e-4")).toEqual([
      { pattern: "layer1.*", value: 1e-4 },
      { pattern: "conv1.weight", value: 5e-4 },
    ]);
    expect(rates.fromText(" * = .5 , a-b_c.0 = 0.25 ")).toEqual([
      { pattern: "*", value: 0.5 },
      { pattern: "a-b_c.0", value: 0.25 },
    ]);
    expect(rates.fromText("a=0.1,a=0.2")).toHaveLength(2);
  });

  it.each([
    "",
    ",",
    "a",
    "a=",
    "=0.1",
    "a=0.1,",
    "a=1",
    "a=0",
    "a=b",
    "a=0.1=0.2",
    "a b=0.1",
    "a?=0.1",
    `${"a".repeat(201)}=0.1`,
  ])("refuse %j", (written) => expect(rates.fromText(written)).toBeUndefined());

  it("come from a JSON list of {pattern, value} only, and go back to it", () => {
    const list = [{ pattern: "layer1.*", value: 0.1 }];
    expect(rates.fromJson(JSON.parse(JSON.stringify(list)))).toEqual(list);
    expect(rates.fromJson([])).toEqual([]);
    const refused = [
      [{ pattern: "a", value: 1 }],
      [{ pattern: "a", value: "0.1" }],
      [{ pattern: "a b", value: 0.1 }],
      [{ pattern: 1, value: 0.1 }],
      [{ pattern: "a", value: 0.1, more: 1 }],
      [{ pattern: "a" }],
      [null],
      [["pattern", "value"]],
      { pattern: "a", value: 0.1 },
      "a=0.1",
    ];
    expect(refused.map((value) => rates.fromJson(value))).toEqual(refused.map(() => undefined));
  });

  it("say how they are written, and in which range", () => {
    expect(rates.expected).toContain("NAME=VALUE with commas between");
    expect(rates.expected).toContain("a number above 0 and below 1");
  });
});

describe("a choice", () => {
  const optimizer = choice(["SGD", "BOP"]);

  it("may be written in any case and becomes the name itself", () => {
    expect(optimizer.fromText("bop")).toBe("BOP");
    expect(optimizer.fromText("Adam")).toBeUndefined();
    expect(optimizer.fromJson("bop")).toBeUndefined();
    expect(optimizer.fromJson("BOP")).toBe("BOP");
  });

  it("advises the nearest name", () => {
    expect(optimizer.remedy?.("SDG")).toBe("did you mean SGD?");
    expect(optimizer.remedy?.("Adam")).toBeUndefined();
  });
});

describe("text", () => {
  it("is anything but nothing, the next flag, or what a path can't hold", () => {
    expect(["run 1", "-x", "", "  ", "--json", "a\0b"].map((value) => text().fromText(value))).toEqual([
      "run 1",
      "-x",
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect([1, null, "", "run"].map((value) => text().fromJson(value))).toEqual([
      undefined,
      undefined,
      undefined,
      "run",
    ]);
  });
});

describe("a device", () => {
  it("is the CPU or a numbered GPU", () => {
    expect(["cpu", "cuda", "cuda:1", "cuda:", "cuda:01", "gpu", "CPU"].map((name) => device().fromText(name))).toEqual([
      "cpu",
      "cuda:0",
      "cuda:1",
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("what may be absent", () => {
  it("is null in JSON, and only there", () => {
    expect(optional(integer(1)).fromJson(null)).toBeNull();
    expect(optional(integer(1)).fromJson(0)).toBeUndefined();
    expect(optional(integer(1)).fromText("null")).toBeUndefined();
    expect(integer(1).fromJson(null)).toBeUndefined();
  });
});

describe("a flag", () => {
  it("is a JSON boolean", () => {
    expect([true, false, 1, "true"].map((value) => flag().fromJson(value))).toEqual([
      true,
      false,
      undefined,
      undefined,
    ]);
  });
});
