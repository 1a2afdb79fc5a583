import assert from "node:assert/strict";
import { test } from "node:test";
import { whyUnnameable } from "./service-name.ts";

test("a service can be asked for only when Consul takes all characters of its name for printable", () => {
  for (const name of ["web", "two words", "größe", "日本", "a/b?c#d", "e\u0301", "🎉"])
    assert.equal(whyUnnameable(name), undefined, name);
  // Consul answers such a path with 400: spaces but the ordinary one, controls, formats, private and lone surrogates.
  for (const character of [
    "\n",
    "\u007f",
    "\u0085",
    "\u00a0",
    "\u00ad",
    "\u200b",
    "\u2028",
    "\u3000",
    "\ue000",
    "\ud800",
  ])
    assert.match(whyUnnameable(`o${character}n`) ?? "", /cannot be printed/, JSON.stringify(character));
});
