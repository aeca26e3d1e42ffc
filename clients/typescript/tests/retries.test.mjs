// Against answers that a healthy ledger does not give: what is asked again, when, and with which key.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { inspect } from "node:util";
import { Client, CounterfoilError, newKey } from "@counterfoil/client";

const grant = { credential: "git_token", grantee: { kind: "agent", id: "fixer" }, scope: ["contents:read"], ttlSeconds: 900 };
const busy = { type: "about:blank", status: 503, code: "intake_full", detail: "full", hint: "wait", requestId: "r1" };
const done = [200, { outcome: "consumed" }, {}];
const keyForm = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Gives the next of `answers` to each request and keeps what was asked. An answer of null: the connection is closed instead. */
async function script(context, ...answers) {
  const asked = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      asked.push({ headers: request.headers, body, key: request.headers["idempotency-key"] });
      const answer = answers.shift();
      if (answer === null) return request.socket.destroy();
      const [status, members, headers] = answer;
      const type = status < 400 ? "application/json" : "application/problem+json";
      response.writeHead(status, { "content-type": type, ...headers }).end(JSON.stringify(members));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  return { asked, url: `http://127.0.0.1:${server.address().port}` };
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
