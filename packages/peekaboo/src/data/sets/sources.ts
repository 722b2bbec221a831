import { quoted, UserError } from "@peekaboo/files/errors";
import { nearest } from "../../nearest.js";
import type { DatasetSource } from "../source.js";
import { cifar10 } from "./cifar10.js";
import { cifar100 } from "./cifar100.js";
import { fashionMnist } from "./fashion-mnist.js";
import { mnist } from "./mnist.js";

/** Every data set that `openDataset` knows. */
export const SOURCES: readonly DatasetSource[] = [cifar10, cifar100, mnist, fashionMnist];

/** A data set's name as its source has it: "CIFAR-10" is "cifar10". */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** The source called `name` ("cifar10", "CIFAR-10", …); an unknown one is a UserError with the nearest name. */
export function findSource(name: string): DatasetSource {
  const wanted = plainName(name);
  const source = SOURCES.find((candidate) => candidate.name === wanted);
  if (source === undefined) {
    const names = SOURCES.map((known) => known.name);
    const near = nearest(name, names);
    throw new UserError({
      operation: "open data set",
      argument: "the data set's name",
      expected: names.length === 1 ? `"${names[0]}"` : `one of ${names.join(", ")}`,
      received: quoted(name),
      ...(near === undefined ? {} : { remedy: `did you mean ${near}?` }),
    });
  }
  return source;
}
