/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Tells a process that the supervisor started it; its end of the lifeline is then file descriptor {@link LIFELINE_FD}. */
const MARKER = "PEEKABOO_LAUNCHED";

/**
 * What the ranks of a job show to its store, which lets in nobody else. The supervisor makes it up where all ranks are its
 * own; with several machines it is the user's, the same on each, or none.
 */
export const TOKEN = "PEEKABOO_STORE_TOKEN";

/** What other launchers set, and what would contradict ours. */
const FOREIGN = /^(PET_|TORCHELASTIC_|(RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT)$)/;

export const LIFELINE_FD = 3;

/** A process's place among those of the job and of its machine, and where rank 0 listens. */
export interface Place {
  readonly rank: number;
  readonly worldSize: number;
  readonly localRank: number;
  readonly localSize: number;
  readonly host: string;
  readonly port: number;
  /** The store's {@link TOKEN}, if it is not the environment's. */
  readonly token?: string | undefined;
}

/** The environment of a process that the supervisor starts: its own, with that place in it. */
export function environmentFor(place: Place, env: Environment): Record<string, string | undefined> {
  return {
    ...environmentAlone(env),
    RANK: String(place.rank),
    WORLD_SIZE: String(place.worldSize),
    LOCAL_RANK: String(place.localRank),
    LOCAL_WORLD_SIZE: String(place.localSize),
    MASTER_ADDR: place.host,
    MASTER_PORT: String(place.port),
    ...(place.token === undefined ? {} : { [TOKEN]: place.token }),
  };
}

/** The environment of a process that is started, with a lifeline, to train by itself. */
export function environmentAlone(env: Environment): Record<string, string | undefined> {
  const inherited = Object.entries(env).filter(([name]) => !FOREIGN.test(name));
  return { ...Object.fromEntries(inherited), [MARKER]: "1" };
}

/** Whether the supervisor started the process of this environment. */
export function isLaunched(env: Environment): boolean {
  return env[MARKER] === "1";
}
