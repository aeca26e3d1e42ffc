// Makes dist/: types from the OpenAPI document (src/generated), then JavaScript. Runs by itself at `npm ci` and `npm install`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const document = process.env.COUNTERFOIL_OPENAPI || join(here, "..", "..", "docs", "openapi.json");

function run(program, words) {
  const ended = spawnSync(program, words, { cwd: here, stdio: ["ignore", 2, 2] });
  if (ended.status !== 0) {
    console.error(`${program} ${words.join(" ")}: ${ended.error?.message ?? `exit status ${ended.status}`}`);
    process.exit(1);
  }
}

// Another project that installs this folder gets a link to it, and not its tools.
if (!existsSync(join(here, "node_modules", "typescript"))) run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
if (!existsSync(document)) {
  console.error(`the OpenAPI document is not there: ${document}`);
  process.exit(1);
}
const require = createRequire(import.meta.url);
const generated = join(here, "src", "generated");
mkdirSync(generated, { recursive: true });
rmSync(join(here, "dist"), { recursive: true, force: true });
const generator = join(dirname(require.resolve("openapi-typescript/package.json")), "bin", "cli.js");
run(process.execPath, [generator, document, "-o", join(generated, "schema.ts")]);
run(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", here]);
