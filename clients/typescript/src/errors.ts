/**
 * A request that was not answered as asked. A denial is none: it is an answer, and on the record.
 *
 * `code` is stable: match on it. No member holds a value of the request, and the request itself is not attached. Codes without an answer
 * (`status` 0): `not_ready` (nobody answers there, and nothing was sent), `indeterminate` (one try was lost, and no later one was told what
 * came of it: it may be recorded; the same key gets the first answer), `untrusted` (no TLS connection to this server can be believed in),
 * `usage`, `unreadable_input`.
 */
export class CounterfoilError extends Error {
  override readonly name = "CounterfoilError";
  readonly hint: string;
  /** What is to blame, where one is. */
  readonly field: string;
  /** What the server's log knows the request by. */
  readonly requestId: string;
  /**
   * The idempotency key that a command was sent with, its own or the caller's: the same command with it (`{ key: error.key }`) is recorded
   * once. undefined for readings, facts in bulk, what was not sent, and `unexpected_answer`.
   */
  readonly key: string | undefined;

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    more: { hint?: string; field?: string; requestId?: string; key?: string | undefined } = {},
  ) {
    const text = `${code}: ${detail}` + (more.hint ? ` (${more.hint})` : "") + (more.requestId ? ` [request ${more.requestId}]` : "");
    super(text + (more.key && code === "indeterminate" ? ` [key ${more.key}]` : ""));
    this.key = more.key;
    this.hint = more.hint ?? "";
    this.field = more.field ?? "";
    this.requestId = more.requestId ?? "";
  }
}

/** `problem`: the body of an RFC 9457 answer, or anything else that came instead of one. */
export function fromProblem(status: number, problem: unknown, requestId: string, key: string | undefined): CounterfoilError {
  const members = typeof problem === "object" && problem !== null ? (problem as Record<string, unknown>) : {};
  const text = (name: string): string => (typeof members[name] === "string" ? (members[name] as string) : "");
  if (text("code") === "") {
    const hint = "is there a proxy in between?";
    return new CounterfoilError(status, `http_${status}`, "the answer is none of a ledger", { hint, requestId, key });
  }
  return new CounterfoilError(status, text("code"), text("detail"), {
    hint: text("hint"),
    field: text("field"),
    requestId: text("requestId") || requestId,
    key,
  });
}
