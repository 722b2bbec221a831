/** The exit statuses of the command line. */
export const EXIT = { ok: 0, bug: 1, lost: 1, different: 1, usage: 2 } as const;
