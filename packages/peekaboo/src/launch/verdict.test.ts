import { expect, it } from "vitest";
import type { Ending } from "./rank-process.js";
import { type Endings, outcomeOf } from "./verdict.js";

const ended = (rank: number, how: number | NodeJS.Signals): Ending =>
  typeof how === "number" ? { rank, status: how, signal: null } : { rank, status: null, signal: how };

const outcome = (own: Ending[], more: Partial<Endings> = {}) =>
  outcomeOf({ own, killed: [], signal: null, forced: false, ...more });

it("is done when every rank came to its end, even after a signal", () => {
  expect(outcome([ended(1, 0), ended(0, 0)])).toEqual({ kind: "done" });
  expect(outcome([ended(1, 0), ended(0, 0)], { signal: "SIGINT" })).toEqual({ kind: "done" });
});

it("blames the first rank that failed, not those that suffer from it", () => {
  expect(outcome([ended(2, 0), ended(1, "SIGSEGV"), ended(0, 1)])).toEqual({
    kind: "failed",
    clause: "rank 1 was killed by SIGSEGV",
    mistake: false,
  });
  expect(outcome([ended(0, 2), ended(1, 1)])).toEqual({
    kind: "failed",
    clause: "rank 0 ended with exit status 2",
    mistake: true,
  });
  expect(outcome([ended(0, "SIGKILL"), ended(1, 2)])).toMatchObject({ mistake: false });
  expect(outcome([{ rank: 3, status: null, signal: null, error: "spawn EAGAIN" }])).toMatchObject({
    clause: "rank 3 could not be started (spawn EAGAIN)",
  });
});

it("names the ranks that hang, too", () => {
  expect(outcome([ended(0, 1)], { killed: [1] })).toMatchObject({
    clause: "rank 0 ended with exit status 1, and rank 1 did not stop and had to be killed",
  });
  expect(outcome([ended(0, 1)], { killed: [1, 2, 3] })).toMatchObject({
    clause: "rank 0 ended with exit status 1, and ranks 1, 2 and 3 did not stop and had to be killed",
  });
});

it("is interrupted when a rank heard of the signal from another, before its own came", () => {
  expect(outcome([ended(0, 129), ended(1, 143)], { signal: "SIGHUP" })).toEqual({ kind: "interrupted", status: 129 });
});

it("is interrupted when the ranks followed the user's signal, and failed when one did otherwise", () => {
  expect(outcome([ended(0, 130), ended(1, "SIGINT")], { signal: "SIGINT" })).toEqual({
    kind: "interrupted",
    status: 130,
  });
  expect(outcome([ended(0, 143), ended(1, 0)], { signal: "SIGTERM" })).toEqual({ kind: "interrupted", status: 143 });
  expect(outcome([], { signal: "SIGTERM", forced: true })).toEqual({ kind: "interrupted", status: 143 });
  expect(outcome([ended(1, 143), ended(0, 1)], { signal: "SIGTERM" })).toMatchObject({
    clause: "rank 0 ended with exit status 1",
  });
  expect(outcome([ended(0, 143)])).toMatchObject({ clause: "rank 0 ended with exit status 143" });
});

it("names the ranks that stayed when another had come to its end, and those that outlasted a signal", () => {
  expect(outcome([ended(1, 0)], { late: [0, 2], killed: [2] })).toEqual({
    kind: "failed",
    clause: "ranks 0 and 2 did not end when another rank had, and had to be stopped",
    mistake: false,
  });
  expect(outcome([ended(0, 0)], { signal: "SIGTERM", killed: [1] })).toEqual({
    kind: "interrupted",
    status: 143,
    clause: "rank 1 did not stop and had to be killed",
  });
});
