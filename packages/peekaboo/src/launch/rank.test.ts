import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { parseConfig } from "../config/config.js";
import { configOfRank, ioOfRank } from "./rank.js";
import { resuming } from "./restart.js";

function shareOf(settings: Record<string, unknown>, localRank: number, cudaDevices = 0) {
  return configOfRank(parseConfig(settings), { localRank }, { cudaDevices });
}

it("gives each rank of a machine a CUDA device of its own, counted from the one that is asked for", () => {
  expect(shareOf({ device: "cuda:0" }, 2, 4).device).toBe("cuda:2");
  expect(shareOf({ useCuda: 1 }, 2, 4).device).toBe("cuda:3");
  expect(shareOf({ distributed: { backend: "nccl" } }, 1, 4).device).toBe("cuda:1");
  // Slurm may show each process its own device alone.
  expect(shareOf({ device: "cuda:0" }, 2, 1).device).toBe("cuda:0");
  expect(shareOf({ useCuda: 0 }, 2, 0).device).toBeNull();
  expect(shareOf({}, 2, 4).device).toBeNull();
});

it("lets rank 0 alone write", () => {
  const written: string[] = [];
  const stream = new Writable({ write: (chunk, _, done) => done(void written.push(String(chunk))) });
  const io = { stdout: stream, stderr: stream };
  for (const rank of [0, 1]) {
    ioOfRank(rank, io).stdout.write(`out ${rank}`);
    ioOfRank(rank, io).stderr.write(`err ${rank}`);
  }
  expect(written).toEqual(["out 0", "err 0"]);
});

it("resumes whatever the command line says", () => {
  expect(resuming(["train", "-r", "never"])).toEqual(["train", "-r", "never", "--resume", "auto"]);
  expect(resuming(["train", "--bs", "4", "--"])).toEqual(["train", "--bs", "4", "--resume", "auto", "--"]);
});
