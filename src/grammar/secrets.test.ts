import assert from "node:assert/strict";
import { test } from "node:test";
import { type DescMessage, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { ProxySchema } from "../../gen/haplane/config/v1/proxy_pb.js";
import { UserlistSchema } from "../../gen/haplane/config/v1/userlist_pb.js";
import { withSecretsOf } from "./secrets.ts";
import type { Fields } from "./slot.ts";

/** What a section holds, what is written over it, and what it then says. */
interface Case {
  readonly title: string;
  readonly desc: DescMessage;
  readonly old: JsonObject;
  readonly written: JsonObject;
  readonly restored: JsonObject;
}

const users = (...elements: JsonObject[]): JsonObject => ({ users: elements });
const userlist = (title: string, old: JsonObject, written: JsonObject, restored: JsonObject): Case => ({
  title,
  desc: UserlistSchema,
  old,
  written,
  restored,
});

const CASES: readonly Case[] = [
  userlist(
    "a secret that is left out stays",
    users({ name: "bob", insecurePassword: "old" }),
    users({ name: "bob" }),
    users({ name: "bob", insecurePassword: "old" }),
  ),
  userlist(
    "a hash takes the place of a clear password",
    users({ name: "bob", insecurePassword: "old" }),
    users({ name: "bob", password: "$5$new" }),
    users({ name: "bob", password: "$5$new" }),
  ),
  userlist(
    "a clear password takes the place of a hash",
    users({ name: "bob", password: "$5$old" }),
    users({ name: "bob", insecurePassword: "new" }),
    users({ name: "bob", insecurePassword: "new" }),
  ),
  userlist(
    "an empty secret of a choice is removed",
    users({ name: "bob", password: "$5$old" }),
    users({ name: "bob", password: "" }),
    users({ name: "bob" }),
  ),
  userlist(
    "an element that says something else now is known by its name",
    users({ name: "ann", password: "$5$ann" }, { name: "bob", password: "$5$bob" }),
    users({ name: "bob", groups: ["g"] }, { name: "ann", groups: ["g"] }),
    users(
      { name: "bob", password: "$5$bob", groups: ["g"] },
      { name: "ann", password: "$5$ann", groups: ["g"] },
    ),
  ),
  userlist(
    "a new element gets nobody's secret",
    users({ name: "ann", password: "$5$ann" }),
    users({ name: "eve" }, { name: "ann" }),
    users({ name: "eve" }, { name: "ann", password: "$5$ann" }),
  ),
  {
    title: "elements that only a user names",
    desc: ProxySchema,
    old: {
      statsAuth: [
        { user: "ann", password: "a" },
        { user: "bob", password: "b" },
      ],
    },
    written: { statsAuth: [{ user: "bob" }, { user: "ann", password: "new" }] },
    restored: {
      statsAuth: [
        { user: "bob", password: "b" },
        { user: "ann", password: "new" },
      ],
    },
  },
  {
    title: "a secret of its own that is empty is removed",
    desc: ProxySchema,
    old: { dynamicCookieKey: "old" },
    written: { dynamicCookieKey: "" },
    restored: {},
  },
];

for (const { title, desc, old, written, restored } of CASES)
  test(title, () => {
    const read = (json: JsonObject) => fromJson(desc, json) as Fields;
    assert.deepEqual(toJson(desc, withSecretsOf(desc, read(written), read(old))), restored);
  });
