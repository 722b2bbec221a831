/** A folder of a controller in one of the two file systems. */
export interface CgroupFolder {
  readonly folder: string;
  readonly version: 1 | 2;
}

/** A mounted hierarchy: the cgroup `root` of it is seen as the folder `point`. */
interface Mount {
  readonly root: string;
  readonly point: string;
  readonly version: 1 | 2;
  /** Of version 1. */
  readonly controllers: readonly string[];
}

type Read = (path: string) => string | undefined;

/**
 * The folders of the cgroup that this process is in and of all its parents, as far as they are mounted here: own first. Which
 * controllers a folder has shows in its files. In a container the path may be the host's, which the mount begins at or doesn't
 * show: then what is mounted is its own.
 */
export function cgroupFolders(controller: string, read: Read): CgroupFolder[] {
  const own = ownPaths(controller, read);
  const mounts = mountsOf(read).filter(({ version, controllers }) => version === 2 || controllers.includes(controller));
  return ([1, 2] as const).flatMap((version) => {
    const path = own[version];
    if (path === undefined) return [];
    const hierarchy = mounts.filter((mount) => mount.version === version);
    const seen = hierarchy.flatMap(({ root, point }) => upwards(point, below(root, path)));
    const all = seen.length > 0 ? seen : hierarchy.map(({ point }) => point);
    return all.map((folder) => ({ folder, version }));
  });
}

/** The process's cgroup in either version: lines of `number:controllers:path`, without controllers in version 2. */
function ownPaths(controller: string, read: Read): { 1?: string; 2?: string } {
  const own: { 1?: string; 2?: string } = {};
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers === "") own[2] = path;
    else if (controllers.split(",").includes(controller)) own[1] = path;
  }
  return own;
}

/** Lines of `id parent device root point options… - type source options`. */
function mountsOf(read: Read): Mount[] {
  return (read("/proc/self/mountinfo") ?? "").split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root, point] = before.split(" ").map(unescaped);
    const [type, , options = ""] = after.split(" ");
    if (root === undefined || point === undefined || (type !== "cgroup" && type !== "cgroup2")) return [];
    return [{ root, point, version: type === "cgroup2" ? 2 : 1, controllers: options.split(",") }];
  });
}

/** Spaces and the like are written in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** A cgroup's names under the mount's root; undefined where it isn't under it, as one of the host is not in a container. */
function below(root: string, path: string): string[] | undefined {
  const names = (text: string) => text.split("/").filter((name) => name !== "");
  const [above, all] = [names(root), names(path)];
  if (all.includes("..") || above.some((name, i) => all[i] !== name)) return undefined;
  return all.slice(above.length);
}

/** `point/a/b`, `point/a`, `point`. */
function upwards(point: string, names: readonly string[] | undefined): string[] {
  if (names === undefined) return [];
  const base = point === "/" ? "" : point;
  return Array.from({ length: names.length + 1 }, (_, i) => [base, ...names.slice(0, names.length - i)].join("/"));
}
