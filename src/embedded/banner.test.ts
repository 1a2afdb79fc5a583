import assert from "node:assert/strict";
import { test } from "node:test";
import type { Server } from "../server.ts";
import { readSettings } from "../settings/read-settings.ts";
import { banner } from "./banner.ts";

test("what listens on all addresses is shown at one that can be tried", () => {
  const settings = readSettings("start", ["--http=0.0.0.0:8080", "--no-consul"], {});
  const listening = {
    grpc: { kind: "tcp", host: "0.0.0.0", port: 5555 },
    connect: { kind: "tcp", host: "::", port: 5556 },
  } as const;
  const paths = { adminToken: "/s/admin.token", grpcSocket: "/s/g", connectSocket: "/s/c" };
  const text = banner({ paths, listening } as unknown as Server, settings, (path) => path);
  assert.doesNotMatch(text, /0\.0\.0\.0|\[::\]/);
  for (const place of ["127.0.0.1:5555", "http://[::1]:5556", "http://127.0.0.1:8080"])
    assert.ok(text.includes(place), place);
});
