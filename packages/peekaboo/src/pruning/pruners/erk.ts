import type { Pruner } from "../pruner.js";
import { random } from "./random.js";

/** `Rand` with `erk` scope and shuffled masks, by the name that it had before there was such a scope. */
export const erk: Pruner = { ...random, name: "ERK", always: { scope: "erk", shuffle: true } };
