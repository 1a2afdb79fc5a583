import assert from "node:assert/strict";
import { test } from "node:test";
import { checkImports } from "./imports.ts";

const check = (sources: Record<string, string>) =>
  checkImports(new Map(Object.entries(sources))).map(
    ({ file, message }) => `${file}: ${message.split(/[;,]/)[0]}`,
  );

const allowed: { name: string; sources: Record<string, string> }[] = [
  { name: "a lower layer", sources: { "src/store/a.ts": 'import { b } from "../config/b.ts";' } },
  {
    name: "generated code",
    sources: { "src/lib/a.ts": 'import { b } from "../../gen/haplane/v1/b_pb.js";' },
  },
  { name: "a package", sources: { "src/rpc/a.ts": 'import * as grpc from "@grpc/grpc-js";' } },
  {
    name: "anything, in a test",
    sources: { "src/lib/a.test.ts": 'import { b } from "../server.ts"; process.pid;' },
  },
  {
    name: "what only a comment imports",
    sources: { "src/lib/a.ts": '/*\nimport "../server.ts";\n*/\n// process.env' },
  },
  { name: "process in main.ts", sources: { "src/main.ts": "process.exitCode = 1;" } },
  {
    name: "a type of process",
    sources: { "src/lib/a.ts": "type Env = typeof process.env; let e: NodeJS.ProcessEnv;" },
  },
  {
    name: "the word process",
    sources: { "src/lib/a.ts": 'say("process.pid"); state.process.pid; subprocess.kill();' },
  },
  { name: "an address in a string", sources: { "src/lib/a.ts": 'const a = "http://b"; const c = 1;' } },
];
for (const { name, sources } of allowed) {
  test(`allowed: ${name}`, () => assert.deepEqual(check(sources), []));
}

const refused: { name: string; sources: Record<string, string>; says: string[] }[] = [
  {
    name: "a higher layer",
    sources: { "src/lib/a.ts": 'import { b } from "../text/b.ts";' },
    says: ["src/lib/a.ts: imports src/text/b.ts"],
  },
  {
    name: "a peer, in several lines and as a type",
    sources: { "src/haproxy/x/a.ts": 'import type {\n  B,\n  C as D,\n} from "../../discovery/b.ts";' },
    says: ["src/haproxy/x/a.ts: imports src/discovery/b.ts"],
  },
  {
    name: "a re-export",
    sources: { "src/events/a.ts": 'export * from "../rpc/b.ts";' },
    says: ["src/events/a.ts: imports src/rpc/b.ts"],
  },
  {
    name: "an import for its effect, and one in a type",
    sources: { "src/lib/a.ts": 'import "../store/b.ts";\nlet c: import("../config/c.ts").C;' },
    says: ["src/lib/a.ts: imports src/store/b.ts", "src/lib/a.ts: imports src/config/c.ts"],
  },
  {
    name: "the edge from below, the server from a service",
    sources: {
      "src/config/a.ts": 'import { b } from "../rpc/b.ts";',
      "src/service/a.ts": 'import "../server.ts";',
    },
    says: ["src/config/a.ts: imports src/rpc/b.ts", "src/service/a.ts: imports src/server.ts"],
  },
  {
    name: "an unknown folder",
    sources: { "src/utils/a.ts": "" },
    says: ["src/utils/a.ts: src/utils is no layer"],
  },
  {
    name: "process",
    sources: { "src/server.ts": "run(process.env);" },
    says: ["src/server.ts: touches process"],
  },
  {
    name: "process by other names",
    sources: {
      "src/lib/a.ts": 'import { env } from "node:process";',
      "src/lib/b.ts": "globalThis.process.exit(1);",
      "src/lib/c.ts": `const a = \`\${process.pid}\`;`,
    },
    says: ["src/lib/a.ts: touches process", "src/lib/b.ts: touches process", "src/lib/c.ts: touches process"],
  },
  {
    name: "a circle, once",
    sources: {
      "src/text/a.ts": 'import "./b.ts";',
      "src/text/b.ts": 'import "./c.ts";',
      "src/text/c.ts": 'import "./b.ts";',
    },
    says: ["src/text/b.ts: is in a circle of imports"],
  },
];
for (const { name, sources, says } of refused) {
  test(`refused: ${name}`, () => assert.deepEqual(check(sources), says));
}
