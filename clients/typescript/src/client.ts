import createFetchClient, { type Client as FetchClient } from "openapi-fetch";
import { CounterfoilError } from "./errors.js";
import type { components, paths } from "./generated/schema.js";
import { newKey } from "./keys.js";
import { bodyText, Secret } from "./secret.js";
import { Tail, type Entry } from "./tail.js";
import { checkUrl, Token, Transport } from "./transport.js";

type Schemas = components["schemas"];

/** Bodies as in the document, but what is a secret is a `Secret`, which prints nothing. */
type Guarded<T, Names extends keyof T> = Omit<T, Names> & { [Name in Names]?: Secret };
export type LeaseRequest = Guarded<Schemas["LeaseRequest"], "secret">;
export type LeaseIssue = Guarded<Schemas["LeaseIssue"], "secret">;
export type LeaseConsume = Schemas["LeaseConsume"];
export type LeaseRenew = Schemas["LeaseRenew"];
export type LeaseRevoke = Schemas["LeaseRevoke"];
export type RevokeAll = Guarded<Schemas["RevokeAll"], "credential">;
export type ApprovalRequest = Schemas["ApprovalRequest"];
export type ApprovalDecide = Schemas["ApprovalDecide"];
export type Fact = Guarded<Schemas["Fact"], "secret" | "fingerprint" | "installKey" | "retires" | "value">;
/** Of a command: its `outcome`, of which `denied` is one, and the receipt. */
export type Answer = Schemas["Answer"];
export type Filters = NonNullable<paths["/v1/workspaces/{workspace}/entries"]["get"]["parameters"]["query"]>;
/** Of one fact of many: an answer, or why that one was not taken. */
export type FactResult = Answer | { error: Schemas["Problem"] };
export type LeaseHistory = Schemas["LeaseHistory"];
export type QueryAnswer = Schemas["QueryAnswer"];

export interface ClientOptions {
  /** Else `COUNTERFOIL_URL`. */
  url?: string;
  /** Else `tokenFile`, else `COUNTERFOIL_TOKEN_FILE`, else `COUNTERFOIL_TOKEN`. */
  token?: string;
  tokenFile?: string;
  /** PEM authorities that vouch for the server; else `COUNTERFOIL_CA`, else those that Node.js knows. */
  caFile?: string;
  /** How long one call may ask again, in all: 30. */
  retrySeconds?: number;
  /** How long one try waits for the server: 30. */
  timeoutSeconds?: number;
}

export interface CommandOptions {
  /** The idempotency key, for who wants to ask again after a restart of the program; without it each call has its own. */
  key?: string | undefined;
}

const factsARequest = 1_000;

/** One ledger. Connections are kept; `close` ends them. */
export class Client {
  /** Every route of the document, typed: `client.api.GET("/v1/workspaces/{workspace}/stats", ...)`. Errors are thrown here, too. */
  readonly api: FetchClient<paths>;
  readonly #transport: Transport;
  readonly #url: string;

  constructor(options: ClientOptions = {}) {
    const surroundings = process.env;
    this.#url = checkUrl(options.url ?? surroundings["COUNTERFOIL_URL"] ?? "");
    let { token, tokenFile } = options;
    if (token === undefined) tokenFile ??= surroundings["COUNTERFOIL_TOKEN_FILE"];
    if (tokenFile === undefined) token ??= surroundings["COUNTERFOIL_TOKEN"];
    const caFile = options.caFile ?? (surroundings["COUNTERFOIL_CA"] || undefined);
    const transport = new Transport(
      new Token(token, token === undefined ? tokenFile : undefined),
      caFile,
      (options.retrySeconds ?? 30) * 1_000,
      (options.timeoutSeconds ?? 30) * 1_000,
    );
    this.#transport = transport;
    const fetch = async (request: Request): Promise<Response> => {
      const body = request.body === null ? {} : { body: await request.text() };
      const headers = Object.fromEntries(request.headers);
      const answer = await transport.send({ method: request.method, url: request.url, headers, signal: request.signal, ...body });
      return answer as unknown as Response;
    };
    const bodySerializer = (body: unknown): string => (typeof body === "string" ? body : bodyText(body));
    this.api = createFetchClient<paths>({ baseUrl: this.#url, fetch, bodySerializer });
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async createWorkspace(id: string, region?: string, options: CommandOptions = {}): Promise<Answer> {
    const body = { id, ...(region === undefined ? {} : { region }) };
    return answerOf(await this.api.POST("/v1/workspaces", { body, headers: keyHeader(options) }));
  }

  /** Asks nothing. */
  workspace(id: string): Workspace {
    return new Workspace(this.api, this.#transport, this.#url, id);
  }
}

/** One workspace. All throw CounterfoilError; a denial is an answer. */
export class Workspace {
  readonly #api: FetchClient<paths>;
  readonly #transport: Transport;
  readonly #base: string;

  constructor(
    api: FetchClient<paths>,
    transport: Transport,
    url: string,
    readonly id: string,
  ) {
    this.#api = api;
    this.#transport = transport;
    this.#base = `${url}/v1/workspaces/${encodeURIComponent(id)}`;
  }

  // ---- commands ----

  /** `document`: TOML. */
  async setPolicy(document: string, options: CommandOptions = {}): Promise<Answer> {
    const headers = { "content-type": "text/toml", ...keyHeader(options) };
    const sent = { params: { path: { workspace: this.id } }, body: document, headers };
    return answerOf(await this.#api.PUT("/v1/workspaces/{workspace}/policy", sent));
  }
  async requestLease(body: LeaseRequest, options: CommandOptions = {}): Promise<Answer> {
    const sent = { params: { path: { workspace: this.id } }, body: body as Schemas["LeaseRequest"], headers: keyHeader(options) };
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/leases", sent));
  }
  /** The credential was minted (`secret`), or could not be (`outcome: "failed"`). */
  async issued(lease: string, body: LeaseIssue = {}, options: CommandOptions = {}): Promise<Answer> {
    const sent = { ...this.#lease(lease, options), body: body as Schemas["LeaseIssue"] };
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/leases/{lease}/issued", sent));
  }
  async consume(lease: string, body: LeaseConsume = {}, options: CommandOptions = {}): Promise<Answer> {
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/leases/{lease}/consume", { ...this.#lease(lease, options), body }));
  }
  async renew(lease: string, body: LeaseRenew, options: CommandOptions = {}): Promise<Answer> {
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/leases/{lease}/renew", { ...this.#lease(lease, options), body }));
  }
  async revoke(lease: string, body: LeaseRevoke = {}, options: CommandOptions = {}): Promise<Answer> {
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/leases/{lease}/revoke", { ...this.#lease(lease, options), body }));
  }
  /** Everything of one run, host, principal, bundle, credential or lease. */
  async revokeAll(body: RevokeAll, options: CommandOptions = {}): Promise<Answer> {
    const sent = { params: { path: { workspace: this.id } }, body: body as Schemas["RevokeAll"], headers: keyHeader(options) };
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/revocations", sent));
  }
  async requestApproval(body: ApprovalRequest, options: CommandOptions = {}): Promise<Answer> {
    const sent = { params: { path: { workspace: this.id } }, body, headers: keyHeader(options) };
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/approvals", sent));
  }
  async decide(approval: string, body: ApprovalDecide, options: CommandOptions = {}): Promise<Answer> {
    const sent = { params: { path: { workspace: this.id, approval } }, body, headers: keyHeader(options) };
    return answerOf(await this.#api.POST("/v1/workspaces/{workspace}/approvals/{approval}/decide", sent));
  }

  // ---- facts ----

  /**
   * What happened elsewhere. One result for each, in order; a bad fact does not stop the others. A fact without id gets one, so that a lost
   * connection records nothing twice. Throws `indeterminate` if not every fact was answered: facts with ids of the caller's (`newKey`) can
   * be appended again, those that were recorded get their first answer.
   */
  async appendFacts(facts: Iterable<Fact>): Promise<FactResult[]> {
    const results: FactResult[] = [];
    const lines = Array.from(facts, (fact) => bodyText(fact.id === undefined ? { ...fact, id: newKey() } : fact));
    for (let at = 0; at < lines.length; at += factsARequest) {
      const some = lines.slice(at, at + factsARequest);
      const body = some.join("\n");
      const headers = { "content-type": "application/x-ndjson", accept: "application/json" };
      const response = await this.#transport.send({ method: "POST", url: `${this.#base}/facts`, headers, body, repeatable: true });
      results.push(...resultsOf(await response.text(), some.length));
    }
    return results;
  }

  // ---- readings ----

  /** A lease with its history, as the view has it; `wait`: not before the view holds that seq (read your own write). */
  async lease(lease: string, options: { wait?: number } = {}): Promise<LeaseHistory> {
    const params = { path: { workspace: this.id, lease }, query: options };
    return known(await this.#api.GET("/v1/workspaces/{workspace}/leases/{lease}", { params }));
  }
  /** All pages of `GET .../entries`. */
  async *entries(filters: Filters = {}): AsyncGenerator<Entry, void, undefined> {
    const query = { ...filters };
    for (;;) {
      const page = known(await this.#api.GET("/v1/workspaces/{workspace}/entries", { params: { path: { workspace: this.id }, query } }));
      yield* page.items as Entry[];
      if (page.next === null) return;
      query.after = page.next;
    }
  }
  /** One SELECT over the views. */
  async query(sql: string): Promise<QueryAnswer> {
    return known(await this.#api.POST("/v1/workspaces/{workspace}/query", { params: { path: { workspace: this.id } }, body: { sql } }));
  }
  /** The record from now on, or after the entry `after`: `tail({ kinds: ["lease.*"] })`. It listens when this resolves. */
  async tail(options: { kinds?: string[]; after?: number } = {}): Promise<Tail> {
    const query = new URLSearchParams((options.kinds ?? []).map((kind): [string, string] => ["kind", kind]));
    const after = options.after ?? (await this.#newest());
    return Tail.open(this.#transport, `${this.#base}/stream?${query.toString()}`, after);
  }
  /** What to kill upstream, as it is recorded. */
  async revocations(options: { after?: number } = {}): Promise<Tail> {
    return Tail.open(this.#transport, `${this.#base}/revocations/stream`, options.after ?? (await this.#newest()));
  }

  async #newest(): Promise<number> {
    // A stream without a position begins anew with each connection; one with a position can lose nothing, from its first connection on.
    return known(await this.#api.GET("/v1/workspaces/{workspace}", { params: { path: { workspace: this.id } } })).entries - 1;
  }
  #lease(lease: string, options: CommandOptions) {
    return { params: { path: { workspace: this.id, lease } }, headers: keyHeader(options) };
  }
}

function keyHeader(options: CommandOptions): Record<string, string> {
  return options.key === undefined ? {} : { "idempotency-key": options.key };
}

/** Of so many facts. */
function resultsOf(text: string, count: number): FactResult[] {
  let results: unknown[] = [];
  try {
    results = text.split("\n").filter((line) => line !== "").map((line): unknown => JSON.parse(line));
  } catch {
    // the last line was cut
  }
  const isResult = (result: unknown): boolean => typeof result === "object" && result !== null && !Array.isArray(result);
  if (results.length !== count || !results.every(isResult)) {
    const detail = `not every fact was answered: what became of the last ${count} is not known`;
    throw new CounterfoilError(0, "indeterminate", detail, { hint: "send them again with the same ids" });
  }
  return results as FactResult[];
}

function unexpected(): CounterfoilError {
  const hint = "are client and server of one version?";
  return new CounterfoilError(0, "unexpected_answer", "the answer is not of the documented form", { hint });
}

/** Errors were thrown before. */
function known<T>(result: { data?: T }): T {
  if (result.data === undefined) throw unexpected();
  return result.data;
}

/** Denials come with the status of an error. */
function answerOf(result: { data?: unknown; error?: unknown }): Answer {
  const answer = (result.data ?? result.error) as Answer | undefined;
  if (typeof answer?.outcome !== "string") throw unexpected();
  return answer;
}
