import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backendName, instanceName, nameInstances, retryName } from "./names.ts";

const named = (prefix: string) => (service: string) => `${prefix}-${service}`;

const LEGAL = /^[A-Za-z0-9_.:-]+$/;
const key = fc.record({ node: fc.string({ minLength: 1 }), id: fc.string({ minLength: 1 }) });

test("a name that HAProxy takes is left as it is", () => {
  const names = [...nameInstances([{ node: "web-1", id: "app:8080" }]).keys()];
  assert.deepEqual(names, ["web-1-app:8080"]);
  assert.equal(backendName(named("consul-backend-::1-8500"), "app"), "consul-backend-::1-8500-app");
});

test("what had to be replaced, cut, or looks like a second attempt carries a hash", () => {
  const cases = [
    { node: "web 1", id: "app/8080", begins: "web-1-app-8080-" },
    { node: "ж", id: "x", begins: "--x-" },
    { node: "n".repeat(300), id: "x", begins: "n".repeat(91) },
    { node: "n", id: "x::2", begins: "n-x::2-" },
  ];
  for (const { node, id, begins } of cases) {
    const [name] = nameInstances([{ node, id }]).keys();
    assert.match(name as string, /-[0-9a-f]{8}$/);
    assert.ok(name?.startsWith(begins), `${name} begins with ${begins}`);
    assert.ok((name as string).length <= 100);
  }
});

test("two instances whose plain names would be the same both keep one", () => {
  const a = { node: "a-b", id: "c" };
  const b = { node: "a", id: "b-c" };
  const named = nameInstances([a, b]);
  assert.equal(named.size, 2);
  assert.equal(named.get("a-b-c"), b);
});

test("names are legal and unique, whatever the registry holds, and do not depend on the order", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(key, { selector: ({ node, id }) => JSON.stringify([node, id]) }),
      (instances) => {
        const named = nameInstances(instances);
        assert.equal(named.size, instances.length);
        for (const name of named.keys()) {
          assert.match(name, LEGAL);
          assert.equal(instanceName(name), name, "is not taken for a second attempt");
          assert.equal(instanceName(retryName(name, 2)), name);
        }
        assert.deepEqual(nameInstances([...instances].reverse()), named);
      },
    ),
  );
});

test("backend names are legal, and different services have different ones", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
      fc.pre(a !== b);
      assert.match(backendName(named("p"), a), LEGAL);
      assert.notEqual(backendName(named("p"), a), backendName(named("p"), b));
      assert.notEqual(backendName(named("p"), a), backendName(named("p"), a, "other"));
    }),
  );
});
