import { inspect } from "node:util";

const withheld = "Secret(withheld)";

/** A secret on its way to the ledger, which keeps only its fingerprint. Not shown by `console.log`, in JSON or in templates. */
export class Secret {
  readonly #members: { value: string } | { sha256: string };

  /** Its value, or the SHA-256 of it as hex. */
  constructor(members: { value: string } | { sha256: string }) {
    this.#members = { ...members };
  }
  toString(): string {
    return withheld;
  }
  toJSON(): string {
    return withheld;
  }
  [inspect.custom](): string {
    return withheld;
  }
  /** For the body of a request, and nothing else. */
  static reveal(secret: Secret): { value: string } | { sha256: string } {
    return secret.#members;
  }
}

/** The one JSON text that holds secrets: the body of a request. */
export function bodyText(body: unknown): string {
  return JSON.stringify(body, function (this: Record<string, unknown>, name: string, shown: unknown): unknown {
    const member = this[name];
    return member instanceof Secret ? Secret.reveal(member) : shown;
  });
}
