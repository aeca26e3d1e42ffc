// Against answers that a healthy ledger does not give: what is asked again, when, and with which key.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { Client, CounterfoilError, newKey } from "@counterfoil/client";

const grant = { credential: "git_token", grantee: { kind: "agent", id: "fixer" }, scope: ["contents:read"], ttlSeconds: 900 };
const busy = { type: "about:blank", status: 503, code: "intake_full", detail: "full", hint: "wait", requestId: "r1" };
const done = [200, { outcome: "consumed" }, {}];
const keyForm = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * Gives the next of `answers` to each request and keeps what was asked. An answer of null: the connection is closed instead; "gone": so is
 * the server, and nobody answers from then on. The members of an answer may be a text or bytes.
 */
async function script(context, ...answers) {
  const asked = [];
  const kept = { asked, url: "", beforeAnswer: () => {} };
  const isText = (members) => typeof members === "string" || Buffer.isBuffer(members);
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      asked.push({ headers: request.headers, body, key: request.headers["idempotency-key"] });
      const answer = answers.shift();
      kept.beforeAnswer();
      if (answer === "gone") server.close();
      if (answer === null || answer === "gone") return request.socket.destroy();
      const [status, members, headers] = answer;
      const type = status < 400 ? "application/json" : "application/problem+json";
      response.writeHead(status, { "content-type": type, ...headers }).end(isText(members) ? members : JSON.stringify(members));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  kept.url = `http://127.0.0.1:${server.address().port}`;
  return kept;
}
async function withWorkspace(options, use) {
  const client = new Client({ token: "t0ken", ...options });
  try {
    return await use(client.workspace("w"), client);
  } finally {
    await client.close();
  }
}
async function caught(promise) {
  const error = await promise.then(() => undefined, (failure) => failure);
  assert.ok(error instanceof CounterfoilError, inspect(error));
  return error;
}

test("waits as told and asks again with the same key", async (context) => {
  const { asked, url } = await script(context, [503, busy, { "retry-after": "1" }], [429, busy, { "retry-after": "0" }], done, done);
  await withWorkspace({ url }, async (workspace) => {
    const began = performance.now();
    assert.equal((await workspace.consume("L")).outcome, "consumed");
    assert.ok(performance.now() - began >= 990);
    await workspace.consume("L");
  });
  const keys = asked.map(({ key }) => key);
  assert.match(keys[0], keyForm);
  assert.ok(Math.abs(parseInt(keys[0].replace("-", "").slice(0, 12), 16) - Date.now()) < 60_000);
  assert.deepEqual(keys.slice(1, 3), [keys[0], keys[0]]);
  assert.notEqual(keys[3], keys[0]);
  for (const { headers } of asked) assert.equal(headers.authorization, "Bearer t0ken");
});

test("a lost connection is asked again with the same key", async (context) => {
  const { asked, url } = await script(context, null, done);
  await withWorkspace({ url }, async (workspace) => assert.equal((await workspace.consume("L")).outcome, "consumed"));
  assert.equal(asked.length, 2);
  assert.match(asked[0].key, keyForm);
  assert.equal(asked[0].key, asked[1].key);
});

test("a key of one's own is kept, in the header or in the body", async (context) => {
  const granted = [201, { outcome: "granted" }, {}];
  const { asked, url } = await script(context, [503, busy, { "retry-after": "0" }], granted, granted, [201, { outcome: "created" }, {}]);
  const key = newKey();
  await withWorkspace({ url }, async (workspace, client) => {
    await workspace.requestLease(grant, { key });
    await workspace.requestLease({ ...grant, id: key });
    await client.createWorkspace("w");
  });
  assert.deepEqual(asked.slice(0, 3).map((one) => one.key), [key, key, undefined]);
  assert.equal(JSON.parse(asked[2].body).id, key);
  assert.match(asked[3].key, keyForm, "the id of a new workspace is no key");
});

test("gives up when the wait is longer than its time", async (context) => {
  const { asked, url } = await script(context, [503, busy, { "retry-after": "60" }]);
  const error = await withWorkspace({ url, retrySeconds: 5 }, (workspace) => caught(workspace.consume("L")));
  assert.deepEqual([error.status, error.code, error.requestId], [503, "intake_full", "r1"]);
  assert.equal(asked.length, 1);
});

test("what is wrong is asked once", async (context) => {
  const { asked, url } = await script(context, [409, { ...busy, status: 409, code: "idempotency_conflict" }, {}]);
  const error = await withWorkspace({ url }, (workspace) => caught(workspace.consume("L")));
  assert.equal(error.code, "idempotency_conflict");
  assert.equal(asked.length, 1);
});

/** What one command came to that was answered like this. */
async function consume(context, answers, options = {}) {
  const { asked, url } = await script(context, ...answers);
  const error = await withWorkspace({ url, retrySeconds: 0.5, ...options }, (workspace) => caught(workspace.consume("L")));
  assert.equal(asked.length, answers.length);
  return { asked, error };
}

test("what came to an unknown end is indeterminate, whatever fails later", async (context) => {
  const full = [503, busy, { "retry-after": "60" }];
  const cases = {
    "lost, then gone": [null, "gone"],
    gone: ["gone"],
    "lost, then full": [null, full],
    "lost, then not authenticated": [null, [401, { ...busy, status: 401, code: "expired_token" }, {}]],
    "unknown to the ledger, then full": [[503, { ...busy, code: "indeterminate" }, { "retry-after": "0" }], full],
    "unknown to a proxy": [[504, {}, { "retry-after": "60" }]],
  };
  for (const [name, answers] of Object.entries(cases)) {
    await context.test(name, async (inner) => {
      const { asked, error } = await consume(inner, answers);
      assert.deepEqual([error.status, error.code], [0, "indeterminate"]);
      assert.match(error.key, keyForm);
      for (const { key } of asked) assert.equal(key, error.key);
      assert.ok(String(error).includes(error.key));
    });
  }
});

test("the hint names what the last try came to", async (context) => {
  const { error } = await consume(context, [null, [401, { ...busy, status: 401, code: "expired_token" }, {}]]);
  assert.ok(error.hint.includes("expired_token"));
});

test("an answer to the same key settles what was unknown", async (context) => {
  const { asked, error } = await consume(context, [null, [409, { ...busy, status: 409, code: "workspace_closed" }, {}]]);
  assert.deepEqual([error.status, error.code, error.key], [409, "workspace_closed", asked[0].key]);
});

test("what surely reached nobody is not indeterminate", async (context) => {
  const { error } = await consume(context, [[503, busy, { "retry-after": "0" }], [503, busy, { "retry-after": "60" }]]);
  assert.deepEqual([error.status, error.code, error.requestId], [503, "intake_full", "r1"]);
});

test("a reading is never indeterminate for long", async (context) => {
  const { url } = await script(context, "gone");
  const error = await withWorkspace({ url, retrySeconds: 0.5 }, (workspace) => caught(workspace.lease("L")));
  assert.deepEqual([error.code, error.key], ["not_ready", undefined]);
});

test("a token file that is gone, or an order to stop, settles nothing", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "counterfoil-client-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, "t");
  const first = await script(context, null);
  first.beforeAnswer = () => unlinkSync(tokenFile);
  const unread = await withWorkspace({ url: first.url, token: undefined, tokenFile }, (workspace) => caught(workspace.consume("L")));
  assert.deepEqual([unread.code, unread.key], ["indeterminate", first.asked[0].key]);
  assert.ok(unread.hint.includes("unreadable_input"));

  const second = await script(context, [503, { ...busy, code: "indeterminate" }, { "retry-after": "20" }]);
  const stop = new AbortController();
  const params = { path: { workspace: "w", lease: "L" } };
  const route = "/v1/workspaces/{workspace}/leases/{lease}/consume";
  const stopped = await withWorkspace({ url: second.url }, (_, client) => {
    second.beforeAnswer = () => setTimeout(() => stop.abort(), 200);
    return caught(client.api.POST(route, { params, body: {}, signal: stop.signal }));
  });
  assert.deepEqual([stopped.code, stopped.key, second.asked.length], ["indeterminate", second.asked[0].key, 1]);
});

test("the key of an error asks again", async (context) => {
  const { asked, url } = await script(context, null, done);
  await withWorkspace({ url, retrySeconds: 0 }, async (workspace) => {
    const error = await caught(workspace.consume("L"));
    assert.equal(error.code, "indeterminate");
    await workspace.consume("L", {}, { key: error.key });
  });
  assert.match(asked[0].key, keyForm);
  assert.equal(asked[1].key, asked[0].key);
});

test("a key of one's own is in the error too, and no other id is", async (context) => {
  const refused = [409, { ...busy, status: 409, code: "already_exists" }, {}];
  const { asked, url } = await script(context, refused, refused, refused);
  const key = newKey();
  await withWorkspace({ url }, async (workspace, client) => {
    assert.equal((await caught(workspace.requestLease({ ...grant, id: key }))).key, key);
    assert.equal((await caught(client.createWorkspace("w", "eu", { key }))).key, key);
    assert.equal((await caught(workspace.requestLease({ ...grant, id: "a text of somebody" }))).key, undefined);
  });
  assert.deepEqual(asked.map((one) => one.key), [undefined, key, undefined]);
});

test("facts with fewer or broken results came to an unknown end", async (context) => {
  const result = '{"outcome":"recorded"}';
  const cut = Buffer.concat([Buffer.from(result + '\n{"error":"'), Buffer.from([0xc3])]);
  for (const answer of ["", result, `${result}\n${result.slice(0, 7)}`, `${result}\n[]`, cut, [result, result, result].join("\n")]) {
    await context.test(JSON.stringify(String(answer)), async (inner) => {
      const { asked, url } = await script(inner, [200, answer, {}]);
      const facts = [{ kind: "tool.invoked" }, { kind: "tool.invoked" }];
      const error = await withWorkspace({ url }, (workspace) => caught(workspace.appendFacts(facts)));
      assert.deepEqual([error.status, error.code, error.cause], [0, "indeterminate", undefined]);
      assert.equal(asked.length, 1);
    });
  }
});

test("facts in bulk carry no key", async (context) => {
  const { asked, url } = await script(context, null, [200, { outcome: "recorded" }, {}]);
  await withWorkspace({ url }, async (workspace, client) => {
    await workspace.appendFacts([{ kind: "tool.invoked" }]);
    const headers = { "content-type": "Application/X-NDJSON; charset=utf-8", "idempotency-key": newKey() };
    const sent = { params: { path: { workspace: "w" } }, body: "{}", headers };
    assert.equal((await caught(client.api.POST("/v1/workspaces/{workspace}/facts", sent))).code, "usage");
  });
  assert.deepEqual(asked.map((one) => one.key), [undefined, undefined]);
});

test("facts that are asked again carry the same ids", async (context) => {
  const { asked, url } = await script(context, null, [200, { outcome: "recorded" }, {}]);
  await withWorkspace({ url }, async (workspace) => assert.equal((await workspace.appendFacts([{ kind: "tool.invoked" }])).length, 1));
  assert.equal(asked[0].body, asked[1].body);
  assert.match(JSON.parse(asked[0].body).id, keyForm);
});

test("an answer that is not documented is an error too", async (context) => {
  const { url } = await script(context, [200, { result: "fine" }, {}]);
  assert.equal((await withWorkspace({ url }, (workspace) => caught(workspace.consume("L")))).code, "unexpected_answer");
});

test("nobody there", async () => {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  await new Promise((resolve) => server.close(resolve));
  const error = await withWorkspace({ url, retrySeconds: 0.3 }, (workspace) => caught(workspace.consume("L")));
  assert.deepEqual([error.status, error.code, error.cause], [0, "not_ready", undefined]);
});

test("no token goes in clear to another machine", () => {
  for (const url of ["http://192.0.2.1:8780", "http://ledger.example.com", "https://user:word@ledger.example.com", "ftp://localhost", ""]) {
    assert.throws(() => new Client({ url, token: "t" }), (error) => error.code === "usage" && !String(error).includes("word"), url);
  }
});
