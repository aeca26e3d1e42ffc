export { Client, Workspace } from "./client.js";
export type {
  Answer,
  ApprovalDecide,
  ApprovalRequest,
  ClientOptions,
  CommandOptions,
  Fact,
  FactResult,
  Filters,
  LeaseConsume,
  LeaseHistory,
  LeaseIssue,
  LeaseRenew,
  LeaseRequest,
  LeaseRevoke,
  QueryAnswer,
  RevokeAll,
} from "./client.js";
export { CounterfoilError } from "./errors.js";
export type { components, operations, paths } from "./generated/schema.js";
export { newKey } from "./keys.js";
export { Secret } from "./secret.js";
export { Tail } from "./tail.js";
export type { Entry } from "./tail.js";
