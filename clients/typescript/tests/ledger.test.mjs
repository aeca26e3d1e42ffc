// Against a running server: COUNTERFOIL_URL (https), COUNTERFOIL_TOKEN_FILE (an owner's), COUNTERFOIL_CA.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { rootCertificates } from "node:tls";
import { inspect } from "node:util";
import { Client, CounterfoilError, newKey, Secret } from "@counterfoil/client";
import { cuttingProxy } from "./cutting_proxy.mjs";

const policy = `
name = "starter"
[[rule]]
name = "git-read"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
scope = ["contents:read"]
resource = ["github.com/acme/*"]
maxTtlSeconds = 900
maxUses = 3
`;
const grant = {
  credential: "git_token",
  grantee: { kind: "agent", id: "fixer" },
  scope: ["contents:read"],
  resources: ["github.com/acme/shop"],
  ttlSeconds: 900,
  run: "run-7",
};

const client = new Client();
const workspace = client.workspace("ts-" + randomBytes(4).toString("hex"));

// An entry that never comes must fail its test.
const patient = { timeout: 30_000 };

/** The next `count` entries. */
async function take(tail, count) {
  const entries = [];
  while (entries.length < count) entries.push(await tail.next());
  return entries;
}
async function caught(promise) {
  const error = await promise.then(() => undefined, (failure) => failure);
  assert.ok(error instanceof CounterfoilError, inspect(error));
  return error;
}

before(async () => {
  assert.equal((await client.createWorkspace(workspace.id, "eu")).outcome, "created");
  const set = await workspace.setPolicy(policy);
  assert.deepEqual([set.outcome, set.version], ["set", 1]);
});
after(() => client.close());

test("a lease from grant to revocation, seen by who listened before", patient, async () => {
  const token = randomBytes(24).toString("base64url");
  const tail = await workspace.tail({ kinds: ["lease.*"] });
  const granted = await workspace.requestLease({ ...grant, leaseId: "fix-1" });
  assert.deepEqual([granted.outcome, granted.lease.state, granted.lease.maxUses], ["granted", "granted", 3]);
  const issued = await workspace.issued("fix-1", { secret: new Secret({ value: token }) });
  assert.deepEqual([issued.outcome, issued.lease.state], ["issued", "active"]);
  const used = await workspace.consume("fix-1", { operation: `git clone https://x:${token}@github.com/acme/shop \u2028 \u0085 done` });
  assert.deepEqual([used.outcome, used.lease.uses], ["consumed", 1]);
  const denied = await workspace.requestLease({ ...grant, scope: ["contents:write"] });
  assert.deepEqual([denied.outcome, denied.reasonCode], ["denied", "policy"]);
  assert.ok(denied.receipt.seq > used.receipt.seq);
  const revoked = await workspace.revoke("fix-1", { reason: "the run was cancelled" });
  assert.deepEqual([revoked.outcome, revoked.lease.state], ["revoked", "revoked"]);
  const again = await workspace.consume("fix-1");
  assert.deepEqual([again.outcome, again.reasonCode], ["denied", "revoked"]);
  const seen = await take(tail, 6);
  tail.close();
  assert.equal(await tail.next(), undefined);
  const kinds = ["lease.granted", "lease.issued", "lease.consumed", "lease.denied", "lease.revoked", "lease.denied"];
  assert.deepEqual(seen.map((entry) => entry.kind), kinds);
  assert.deepEqual([seen[4].leaseId, seen[4].seq], ["fix-1", revoked.receipt.seq]);
  assert.ok(seen[2].operation.endsWith(" \u2028 \u0085 done"));
  assert.ok(seen[2].operation.includes("known-secret"), "the ledger was given the very secret");
  assert.ok(!JSON.stringify(seen).includes(token));
  const { history } = await workspace.lease("fix-1", { wait: again.receipt.seq });
  assert.deepEqual(history.slice(0, 3).map((entry) => entry.kind), kinds.slice(0, 3));
  const pages = [];
  for await (const entry of workspace.entries({ lease: "fix-1", kind: ["lease.consumed", "lease.issued"], limit: 1 })) pages.push(entry.seq);
  assert.deepEqual(pages, [used.receipt.seq, issued.receipt.seq]);
});

test("the same key gets the first answer", async () => {
  const key = newKey();
  const first = await workspace.requestLease({ ...grant, leaseId: "key-1" }, { key });
  const second = await workspace.requestLease({ ...grant, leaseId: "key-1" }, { key });
  assert.deepEqual([second.receipt.seq, second.replayed, second.receipt.id], [first.receipt.seq, true, key]);
  const other = await workspace.requestLease({ ...grant, leaseId: "key-2" });
  assert.notEqual(other.receipt.seq, first.receipt.seq);
});

test("revokes all of a run", patient, async () => {
  for (const number of [0, 1, 2]) await workspace.requestLease({ ...grant, run: "run-all", leaseId: `all-${number}` });
  const killed = await workspace.revocations();
  const ordered = await workspace.revokeAll({ run: "run-all", reason: "stop" });
  assert.deepEqual([ordered.outcome, ordered.matched], ["ordered", 3]);
  const leases = new Set();
  for await (const entry of killed) {
    if (entry.kind === "lease.revoked") leases.add(entry.leaseId);
    if (leases.size === 3) break;
  }
  assert.deepEqual(leases, new Set(["all-0", "all-1", "all-2"]));
});

test("facts in bulk have a result each", async () => {
  const secret = randomBytes(24).toString("base64url");
  const facts = [
    { kind: "tool.invoked", tool: "git", operation: "clone", outcome: "ok" },
    { kind: "tool.invoked", colour: "red" },
    {
      kind: "lease.granted",
      leaseId: "known-1",
      credential: "git_token",
      grantee: { kind: "agent", id: "fixer" },
      scope: ["contents:read"],
      issuedAt: "2026-03-01T09:30:00Z",
      expiresAt: "2026-03-01T09:45:00Z",
      secret: new Secret({ value: secret }),
    },
    { kind: "tool.invoked", tool: "git", operation: "a\u2028b", outcome: "ok" },
  ];
  assert.ok(!inspect(facts, { depth: 9, showHidden: true }).includes(secret));
  const results = await workspace.appendFacts(facts);
  assert.equal(results.length, 4);
  assert.equal(results[1].error.code, "unknown_field");
  for (const number of [0, 2, 3]) assert.ok(results[number].receipt, inspect(results[number]));
});

test("an error is one exception that says what to do", async () => {
  const error = await caught(workspace.query("SELECT nothing FROM nowhere"));
  assert.deepEqual([error.status, error.code], [400, "bad_query"]);
  assert.ok(error.detail && error.hint && error.requestId);
  assert.ok(String(error).includes(error.requestId));
  const foreign = await caught(client.workspace("nobody-s").requestLease(grant));
  assert.deepEqual([foreign.status, foreign.code], [403, "not_allowed"]);
});

test("secrets are in no text", async () => {
  const secret = randomBytes(24).toString("base64url");
  const token = readFileSync(process.env.COUNTERFOIL_TOKEN_FILE, "utf8").trim();
  const named = new Client({ token });
  const request = { ...grant, scope: ["\u0001"], secret: new Secret({ value: secret }) };
  const error = await caught(named.workspace(workspace.id).requestLease(request));
  assert.equal(error.status, 400);
  const all = { depth: 9, showHidden: true };
  const texts = [JSON.stringify(request), `${request.secret}`, String(error), error.stack, JSON.stringify(error)];
  texts.push(...[request, error, named, named.workspace("w")].map((value) => inspect(value, all)));
  for (const text of texts) {
    assert.ok(!text.includes(secret), "the secret is shown");
    assert.ok(!text.includes(token), "the token is shown");
  }
  assert.equal(error.cause, undefined);
  await named.close();
});

test("a listener goes on where it was cut off", patient, async () => {
  const proxy = await cuttingProxy(Number(new URL(process.env.COUNTERFOIL_URL).port));
  const far = new Client({ url: `https://127.0.0.1:${proxy.port}` });
  const tail = await far.workspace(workspace.id).tail({ kinds: ["lease.granted"] });
  const expected = [];
  const seen = [];
  for (const round of [0, 1]) {
    proxy.cut();
    for (const number of [0, 1]) {
      expected.push((await workspace.requestLease({ ...grant, leaseId: `cut-${round}-${number}` })).receipt.seq);
    }
    seen.push(...(await take(tail, 2)).map((entry) => entry.seq));
  }
  assert.deepEqual(seen, expected);
  assert.equal(tail.last, expected[3]);
  assert.ok(proxy.accepted >= 3, `${proxy.accepted} connections`);
  tail.close();
  await far.close();
  proxy.close();
});

test("the key of an indeterminate error gets the first answer", patient, async () => {
  const proxy = await cuttingProxy(Number(new URL(process.env.COUNTERFOIL_URL).port));
  const far = new Client({ url: `https://127.0.0.1:${proxy.port}`, retrySeconds: 0.5 });
  const there = far.workspace(workspace.id);
  await there.query("SELECT 1");
  // The connection is taken again a turn of the event loop after its answer. A new one would lose its TLS handshake instead.
  for (const _ of [0, 1]) await new Promise(setImmediate);
  proxy.loseNextAnswer();
  const error = await caught(there.requestLease({ ...grant, leaseId: "lost-1" }));
  assert.deepEqual([error.status, error.code, proxy.accepted], [0, "indeterminate", 1]);
  await far.close();
  const again = await workspace.requestLease({ ...grant, leaseId: "lost-1" }, { key: error.key });
  assert.deepEqual([again.outcome, again.replayed, again.receipt.id], ["granted", true, error.key]);
});

test("the authority of the server counts, and a token file is read for each request", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "counterfoil-client-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const others = join(folder, "others.pem");
  writeFileSync(others, rootCertificates[0] + "\n");
  const stranger = new Client({ caFile: others });
  const error = await caught(stranger.workspace(workspace.id).query("SELECT 1"));
  assert.deepEqual([error.status, error.code], [0, "untrusted"]);
  await stranger.close();

  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, "not.a.token\n");
  const late = new Client({ tokenFile });
  const refused = await caught(late.workspace(workspace.id).query("SELECT 1"));
  assert.deepEqual([refused.status, refused.code], [401, "bad_token"]);
  writeFileSync(tokenFile, readFileSync(process.env.COUNTERFOIL_TOKEN_FILE));
  assert.deepEqual((await late.workspace(workspace.id).query("SELECT 1 AS one")).rows, [[1]]);
  await late.close();
});
