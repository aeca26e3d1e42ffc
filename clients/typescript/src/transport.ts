// What every request of the generated types passes through: token, idempotency key, retries, errors.
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Agent, fetch as undiciFetch, type Response as UndiciResponse } from "undici";
import { CounterfoilError, fromProblem } from "./errors.js";
import { newKey } from "./keys.js";

// The same request again may be answered; each try of a command carries the same key.
const again = new Set([429, 502, 503, 504]);
// What a proxy says that does not know what the ledger made of the request.
const lostBehindAProxy = new Set([502, 504]);
const pauseMsMax = 5_000;
// The server gives a sign of life on streams every 15 s.
const silenceMsMax = 45_000;

/** A bearer token, or the file it is read from for each request, so that a new one is used as soon as it is there. */
export class Token {
  readonly #text: string;
  readonly #file: string | undefined;

  constructor(text: string | undefined, file: string | undefined) {
    this.#text = text ?? "";
    this.#file = file;
  }
  read(): string {
    if (this.#file === undefined) return this.#text.trim();
    try {
      return readFileSync(this.#file, "latin1").trim();
    } catch {
      throw new CounterfoilError(0, "unreadable_input", "the token file cannot be read", { hint: "it holds one token", field: "tokenFile" });
    }
  }
}

/** Refuses what would send the token in clear to another machine. Without a slash at the end. */
export function checkUrl(text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // said below
  }
  const known = url?.protocol === "https:" || url?.protocol === "http:";
  if (url === undefined || !known || url.username !== "" || url.password !== "" || url.search !== "") {
    throw new CounterfoilError(0, "usage", "the URL is none of a server", { hint: "https://ledger.example.com:8780", field: "url" });
  }
  if (url.protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)) {
    const more = { hint: "use https", field: "url" };
    throw new CounterfoilError(0, "usage", "a plain connection to another machine shows the token to everybody", more);
  }
  return url.href.replace(/\/+$/, "");
}

export interface Ask {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
  /** A body of facts of which each has an id: asking twice is asking once. */
  repeatable?: boolean;
  signal?: AbortSignal;
}

type Tried = { answer: UndiciResponse } | { failure: CounterfoilError; waitMs?: number | undefined };

export class Transport {
  readonly #agent: Agent;
  readonly #token: Token;
  readonly #retryMs: number;
  readonly #timeoutMs: number;

  constructor(token: Token, caFile: string | undefined, retryMs: number, timeoutMs: number) {
    let ca: string | undefined;
    try {
      ca = caFile === undefined ? undefined : readFileSync(caFile, "utf8");
    } catch {
      ca = "";
    }
    if (ca !== undefined && !ca.includes("-----BEGIN CERTIFICATE-----")) {
      const more = { hint: "it holds PEM certificates", field: "caFile" };
      throw new CounterfoilError(0, "unreadable_input", "the file of authorities cannot be read", more);
    }
    // TLS 1.3 and nothing older, as the server has it.
    const connect = { ...(ca === undefined ? {} : { ca }), minVersion: "TLSv1.3" as const, timeout: 10_000 };
    this.#agent = new Agent({ connect, headersTimeout: timeoutMs, bodyTimeout: silenceMsMax });
    this.#token = token;
    this.#retryMs = retryMs;
    this.#timeoutMs = timeoutMs;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  /**
   * The answer, if it is one that was asked for or a denial. Throws CounterfoilError for everything else, after asking again as Retry-After
   * says. The answer's body is there as a whole, unless it is a stream of events.
   */
  async send(ask: Ask): Promise<UndiciResponse> {
    const headers = { ...ask.headers };
    const repeatable = makeRepeatable(ask, headers);
    const key = keyOf(ask, headers);
    const deadline = performance.now() + this.#retryMs;
    // What came of one of the tries: later ones that get no answer of the ledger's do not change that.
    let unknown = false;
    for (let attempt = 0; ; ++attempt) {
      const tried = await this.#once(ask, headers, key);
      if ("answer" in tried) return tried.answer;
      const { failure, waitMs } = tried;
      unknown ||= failure.code === "indeterminate" || lostBehindAProxy.has(failure.status);
      const wait = waitMs ?? Math.min(200 * 2 ** attempt, pauseMsMax);
      const hopeful = again.has(failure.status) || failure.code === "not_ready" || failure.code === "indeterminate";
      if (hopeful && repeatable && !ask.signal?.aborted && performance.now() + wait <= deadline) {
        await pause(wait, undefined, ask.signal ? { signal: ask.signal } : {}).catch(() => undefined);
        if (!ask.signal?.aborted) continue;
      }
      if (unknown && ask.method !== "GET" && failure.code !== "indeterminate" && !settles(failure)) throw lost(ask, key, failure.code);
      throw failure;
    }
  }

  async #once(ask: Ask, headers: Record<string, string>, key: string | undefined): Promise<Tried> {
    try {
      const token = this.#token.read();
      if (token !== "") headers["authorization"] = `Bearer ${token}`;
    } catch (error) {
      return { failure: error as CounterfoilError };
    }
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#timeoutMs);
    const stop = (): void => late.abort();
    ask.signal?.addEventListener("abort", stop);
    try {
      const response = await undiciFetch(ask.url, {
        method: ask.method,
        headers,
        body: ask.body ?? null,
        redirect: "manual",
        dispatcher: this.#agent,
        signal: late.signal,
      });
      // A stream is ended by silence, or by who reads it.
      if (mediaType(response) === "text/event-stream" && response.ok) return { answer: response };
      const text = await response.text();
      if (isAnswer(response)) {
        const { status, headers: answered } = response;
        return { answer: new (response.constructor as typeof UndiciResponse)(status === 204 ? null : text, { status, headers: answered }) };
      }
      const failure = fromProblem(response.status, parsed(text), response.headers.get("x-request-id") ?? "", key);
      return { failure, waitMs: retryAfterMs(response) };
    } catch (error) {
      // Made anew: the library's error is not its cause, so that nothing of the request hangs on it.
      return { failure: troubleOf(error, ask, key) };
    } finally {
      clearTimeout(timer);
    }
  }
}

function troubleOf(error: unknown, ask: Ask, key: string | undefined): CounterfoilError {
  const codes: string[] = [];
  for (let at: unknown = error; typeof at === "object" && at !== null; at = (at as { cause?: unknown }).cause) {
    codes.push(String((at as { code?: unknown }).code ?? ""));
  }
  if (codes.some((code) => /CERT|SELF_SIGNED|UNABLE_TO|^ERR_TLS|^ERR_SSL/.test(code))) {
    const hint = "name its authority with caFile or COUNTERFOIL_CA, and the server by the name in its certificate";
    return new CounterfoilError(0, "untrusted", "the server's certificate is not to be trusted", { hint, key });
  }
  if (codes.some((code) => /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(code))) {
    return new CounterfoilError(0, "not_ready", "nobody answers there", { hint: "is the server running, and the URL its own?", key });
  }
  return lost(ask, key);
}

/** `last`: the code that the last of several tries came to. */
function lost(ask: Ask, key: string | undefined, last?: string): CounterfoilError {
  let hint = key === undefined ? "ask again" : "ask again with the same key";
  if (isFactsInBulk(ask.headers)) hint = "send them again with the same ids";
  if (last !== undefined) hint += `; the last try came to ${last}`;
  return new CounterfoilError(0, "indeterminate", "the connection was lost before the answer", { hint, key });
}

/** The ledger refused, and would have given an earlier answer to the same key instead. Who is not let in is told nothing of it. */
function settles({ status }: CounterfoilError): boolean {
  return status >= 400 && status < 500 && ![401, 403, 408, 429].includes(status);
}

function isAnswer(response: UndiciResponse): boolean {
  return response.ok || (response.status === 403 && mediaType(response) === "application/json");
}

function mediaType(response: UndiciResponse): string {
  return (response.headers.get("content-type") ?? "").split(";")[0]!.trim();
}

function retryAfterMs(response: UndiciResponse): number | undefined {
  const text = response.headers.get("retry-after") ?? "";
  return /^\d+$/.test(text) ? Number(text) * 1000 : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Gives a command its key, and says whether asking twice is asking once. Facts in bulk have an id in each line, or none; one key for all of
 * them would say nothing, and the server refuses it.
 */
function makeRepeatable(ask: Ask, headers: Record<string, string>): boolean {
  if (isFactsInBulk(headers)) {
    if ("idempotency-key" in headers) {
      const more = { hint: "each line has an id of its own", field: "idempotency-key" };
      throw new CounterfoilError(0, "usage", "facts in bulk take no key", more);
    }
    return ask.repeatable === true;
  }
  if (ask.method === "GET" || "idempotency-key" in headers) return true;
  if (!hasOwnId(ask)) headers["idempotency-key"] = newKey();
  return true;
}

function isFactsInBulk(headers: Record<string, string>): boolean {
  return (headers["content-type"] ?? "").split(";")[0]!.trim().toLowerCase() === "application/x-ndjson";
}

/** What the server knows the command by. Nothing that is no UUID: it could be any text of the caller's. */
function keyOf(ask: Ask, headers: Record<string, string>): string | undefined {
  if (ask.method === "GET" || isFactsInBulk(headers)) return undefined;
  const key = headers["idempotency-key"] ?? (parsed(ask.body ?? "") as { id?: unknown }).id;
  return typeof key === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(key) ? key : undefined;
}

/** The body of a command names its id. (A new workspace's "id" is the workspace's.) */
function hasOwnId(ask: Ask): boolean {
  if (new URL(ask.url).pathname === "/v1/workspaces" || !ask.body?.includes('"id"')) return false;
  const body = parsed(ask.body);
  return typeof body === "object" && body !== null && "id" in body;
}
