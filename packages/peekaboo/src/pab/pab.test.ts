import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { liveTensorCount, scope } from "@peekaboo/torch";
import { beforeEach, describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import type { Network } from "../models/network.js";
import { architectureNames } from "../models/registry.js";
import { networkOfPab } from "./network-of-pab.js";
import { built, classes, difference, disturb, logits, settingsOf } from "./networks.support.js";
import { encodeNetwork } from "./write-pab.js";

let before = 0;
beforeEach(() => {
  before = liveTensorCount();
});

/** The convolutions as they take effect. A weight that is cut is 0 or -0 by the sign that it had, which isn't stored. */
function effective(network: Network): Map<string, Float32Array> {
  return scope(() => {
    const convolutions = [...network.effectiveState()].filter(([, { shape }]) => shape.length === 4);
    return new Map(convolutions.map(([name, tensor]) => [name, tensor.toFloat32Array().map((value) => value + 0)]));
  });
}

/** The names of what isn't equal in every bit: a test that shows a million numbers takes minutes to fail. */
function changed(one: Map<string, Float32Array>, other: Map<string, Float32Array>): string[] {
  const bits = (data: Float32Array | undefined) => Buffer.from(data?.slice().buffer ?? new ArrayBuffer());
  return [...one].filter(([name, data]) => !bits(data).equals(bits(other.get(name)))).map(([name]) => name);
}

function roundTrip(settings: object, folder: string) {
  const { network, config } = built(settings);
  const path = join(folder, "x.pab");
  try {
    disturb(network);
    const { bytes, stored } = encodeNetwork({ network, config, name: "x", classes, test: null }, { float32: true });
    writeFileSync(path, bytes);
    const again = networkOfPab("test", path).network;
    try {
      return {
        stored,
        bytes,
        before: logits(network),
        after: logits(again),
        changed: changed(effective(network), effective(again)),
      };
    } finally {
      again.dispose();
    }
  } finally {
    network.dispose();
  }
}

describe("a network, written and read again", () => {
  it.for([...architectureNames])("%s computes the same, with convolutions equal in every bit", (arch, { folder }) => {
    const { stored, before: expected, after, changed: names } = roundTrip(settingsOf(arch), folder);
    expect(stored).toEqual([]);
    expect(names).toEqual([]);
    expect(difference(after, expected)).toBeLessThan(1e-5);
    expect(liveTensorCount()).toBe(before);
  });

  it.for(["pruning", "flipping", "ternary", "none", "edge-popup"])(
    "SeedResNet20 with %s scores and input scales",
    (hiddenAct, { folder }) => {
      const settings = {
        ...settingsOf("SeedResNet20"),
        hiddenAct,
        scalingInput: true,
        ...(hiddenAct === "edge-popup" ? { hiddenDensity: 0.4 } : {}),
      };
      const { stored, before: expected, after } = roundTrip(settings, folder);
      expect(stored).toEqual([]);
      expect(difference(after, expected)).toBeLessThan(1e-5);
    },
  );
});
