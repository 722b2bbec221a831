/** What Node hands to a hook that resolves names. */
interface ResolveContext {
  readonly parentURL?: string;
}

/** Resolves our packages' names as if we asked for them; Node runs it in a thread of its own. */
export function resolve<T>(
  specifier: string,
  context: ResolveContext,
  next: (specifier: string, context: ResolveContext) => T,
): T {
  const ours = /^(peekaboo|@peekaboo\/[\w-]+)(\/|$)/.test(specifier);
  return next(specifier, ours ? { ...context, parentURL: import.meta.url } : context);
}
