import { quoted, UserError } from "@peekaboo/files/errors";

/**
 * The first host of a Slurm node list: "gpu[03-05,07],login" gives "gpu03", "rack[1-2]n[4-5]" "rack1n4".
 *
 * @throws {UserError} for a list that is none.
 */
export function firstHostOf(list: string): string {
  let host = "";
  for (let i = 0; i < list.length && list[i] !== ","; ) {
    if (list[i] !== "[") {
      host += list[i++];
      continue;
    }
    const end = list.indexOf("]", i);
    const first = /^\d+/.exec(list.slice(i + 1, end === -1 ? undefined : end));
    if (end === -1 || first === null) throw malformed(list);
    host += first[0];
    i = end + 1;
  }
  if (/^[\w.-]+$/.test(host)) return host;
  throw malformed(list);
}

function malformed(list: string): UserError {
  return new UserError({
    operation: "read the launcher's environment",
    argument: "SLURM_JOB_NODELIST",
    expected: "a list of hosts such as node[01-04]",
    received: quoted(list),
  });
}
