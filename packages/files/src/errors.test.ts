import { expect, it } from "vitest";
import { UserError } from "./errors.js";

it("reads as one sentence, and its stack begins with its name", () => {
  const cause = new Error("deeper");
  const parts = { operation: "train", argument: "--epochs", expected: "a number from 1", received: "0" };
  const error = new UserError({ ...parts, remedy: "leave it out for 200", cause });
  expect(error.message).toBe("train: expected a number from 1 for --epochs, received 0; leave it out for 200.");
  expect(error.stack).toMatch(/^UserError: train: expected/);
  expect(error).toMatchObject({ name: "UserError", operation: "train", argument: "--epochs", cause });
  expect(new UserError(parts).message).toBe("train: expected a number from 1 for --epochs, received 0.");
});
