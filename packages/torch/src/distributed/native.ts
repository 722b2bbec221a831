import type { Handle } from "../native.js";

declare const storeBrand: unique symbol;
declare const groupBrand: unique symbol;
declare const reducerBrand: unique symbol;
declare const collectiveBrand: unique symbol;

/** The addon's numbers for what it keeps. */
export type StoreNumber = number & { readonly [storeBrand]: true };
export type GroupNumber = number & { readonly [groupBrand]: true };
export type ReducerNumber = number & { readonly [reducerBrand]: true };
export type CollectiveNumber = number & { readonly [collectiveBrand]: true };

export type Backend = "gloo" | "nccl";
export type ReduceOp = "sum" | "avg" | "max" | "min";

/** A collective under way: its number, and a promise of its end. */
type Launched = [CollectiveNumber, Promise<void>];

/**
 * The addon's part of this folder (native/distributed*.cc). Without c10d it has only `distributedBackends`. A promise
 * rejects with an error that `typedError` makes one of this package's.
 */
export interface NativeDistributed {
  distributedBackends(): Backend[];

  /** The promise is of the port. */
  storeOpen(
    hosts: readonly string[],
    port: number,
    serve: boolean,
    timeoutMs: number,
    token: string,
    foreign: boolean,
  ): [StoreNumber, Promise<number>];
  storeSet(store: StoreNumber, key: string, value: string): Promise<void>;
  storeGet(store: StoreNumber, key: string): Promise<string | null>;
  storeAdd(store: StoreNumber, key: string, amount: number): Promise<number>;
  storeDelete(store: StoreNumber, key: string): Promise<boolean>;
  /** The places of the keys that are missing when they all are there, or `stopKey` is, or the time is up. */
  storeAwait(store: StoreNumber, keys: readonly string[], stopKey: string, timeoutMs: number): Promise<number[]>;
  /** Blocks; null when the store does not answer. */
  storeAwaitNow(store: StoreNumber, keys: readonly string[], timeoutMs: number): number[] | null;
  storeClose(store: StoreNumber): void;

  groupCreate(
    store: StoreNumber,
    backend: Backend,
    rank: number,
    size: number,
    timeoutMs: number,
    name: string,
    networkInterface: string,
    hostname: string,
  ): Promise<GroupNumber>;
  groupAddresses(group: GroupNumber, rank: number): string[];
  groupLearn(group: GroupNumber, rank: number, addresses: readonly string[]): void;
  groupClose(group: GroupNumber): void;

  allReduce(group: GroupNumber, tensor: Handle, op: ReduceOp): Launched;
  broadcast(group: GroupNumber, tensor: Handle, root: number): Launched;
  allGather(group: GroupNumber, tensor: Handle): [...Launched, Handle[]];
  barrier(group: GroupNumber): Launched;
  collectiveWait(collective: CollectiveNumber): void;

  reducerCreate(group: GroupNumber, parameters: readonly Handle[], bucketBytes: number): ReducerNumber;
  reducerPrepare(reducer: ReducerNumber): void;
  reducerFinish(reducer: ReducerNumber): void;
  reducerBuckets(reducer: ReducerNumber): number[][];
  reducerStartedEarly(reducer: ReducerNumber): number;
  reducerDispose(reducer: ReducerNumber): void;
}
