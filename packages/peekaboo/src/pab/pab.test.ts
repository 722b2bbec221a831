import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { entryOf, liveTensorCount, scope, type Tensor } from "@peekaboo/torch";
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

/** A tensor's bytes; in a Seed network without the signs of zeros, since the scores of cut weights aren't stored. */
function bytesOf(tensor: Tensor, { variant }: Network): Uint8Array {
  if (!variant.endsWith("seed")) return entryOf(tensor).data;
  return new Uint8Array(tensor.toFloat32Array().map((value) => value + 0).buffer);
}

function roundTrip(settings: object, folder: string) {
  const { network, config } = built(settings);
  const path = join(folder, "x.pab");
  try {
    disturb(network);
    const { bytes, stored } = encodeNetwork({ network, config, name: "x", classes, test: null }, { float32: true });
    writeFileSync(path, bytes);
    const again = networkOfPab("test", path).network;
    // As one checksum: a matcher would compare a million numbers one by one.
    const effective = (of: Network) => {
      const hash = createHash("sha256");
      scope(() => {
        for (const [name, tensor] of of.effectiveState())
          if (tensor.shape.length === 4) hash.update(`${name} ${tensor.shape}`).update(bytesOf(tensor, of));
      });
      return hash.digest("hex");
    };
    try {
      return {
        stored,
        bytes,
        before: logits(network),
        after: logits(again),
        weights: effective(network),
        same: effective(again),
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
    const { stored, before: expected, after, weights, same } = roundTrip(settingsOf(arch), folder);
    expect(stored).toEqual([]);
    expect(same).toEqual(weights);
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
