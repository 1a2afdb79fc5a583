import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANSWERING, answerOf } from "../../test/support/answers.ts";
import { parseErrors } from "./captured-errors.ts";
import {
  parseCertificates,
  parseCrls,
  parseCrtList,
  parseOcspDetails,
  parseOcspResponses,
  parseStatus,
} from "./loaded-tls.ts";
import { parseResolvers } from "./resolver-counters.ts";
import { parseSessions } from "./sessions.ts";
import { parseEntries, parseTables } from "./stick-tables.ts";
import { parseActivity, parseThreads } from "./threads.ts";

for (const version of ANSWERING) {
  const answer = (command: string) => answerOf(version, command);

  describe(`answers of HAProxy ${version}`, () => {
    test("show sess", () => {
      const [held, own, ...more] = parseSessions(answer("show sess"));
      assert.ok(held && own && more.length === 0);
      const { protocol, frontend, backend, server, calls } = held;
      assert.deepEqual([protocol, frontend, backend, server, calls], ["tcpv4", "t", "slow", "x", 2]);
      assert.match(held.source, /^127\.0\.0\.1:\d+$/);
      assert.deepEqual([own.frontend, own.backend, own.server], ["GLOBAL", "", ""]);
    });

    test("show errors", () => {
      const [error, ...more] = parseErrors(answer("show errors"));
      assert.ok(error && more.length === 0);
      const { response, proxy, backend, server, event, length, position, capture } = error;
      assert.deepEqual([response, proxy, backend, server, event], [false, "web", "", "", 0]);
      assert.deepEqual([length, position], [43, 29]);
      assert.equal(capture.split("\n")[2], "  00026  Bad Header: x\\r\\n");
      assert.match(error.time, /^24\/Nov\/2026:/);
      assert.match(error.source, /^127\.0\.0\.1:/);
    });

    test("show table", () => {
      assert.deepEqual(parseTables(answer("show table")), [
        { name: "paths", type: "string", size: 1_048_576n, used: 5n },
        { name: "st", type: "ip", size: 1_048_576n, used: 1n },
        { name: "app", type: "string", size: 1_024n, used: 1n },
      ]);
      const [byAddress] = parseEntries(answer("show table st"));
      assert.deepEqual([byAddress?.key, byAddress?.use, byAddress?.shard], ["127.0.0.1", 0, 0]);
      assert.ok(byAddress?.expiresMs !== undefined && byAddress.expiresMs > 3_500_000);
      assert.deepEqual(byAddress.data.slice(0, 3), [
        { type: "gpt0", periodMs: undefined, value: 0n },
        { type: "gpc0", periodMs: undefined, value: 6n },
        { type: "gpc0_rate", periodMs: 10_000, value: 6n },
      ]);
      const [stuck] = parseEntries(answer("show table app"));
      assert.deepEqual(stuck?.data.at(-1), { type: "server_key", periodMs: undefined, value: "s1" });
      const paths = [...parseEntries(answer("show table paths"))].map(({ key }) => key);
      assert.deepEqual(paths.sort(), ["/a/x", "/b", "/deny", "/ok", "/plain"]);
    });

    test("show threads, show activity", () => {
      const threads = parseThreads(answer("show threads"));
      assert.deepEqual(
        threads.map(({ number, active, stuck }) => [number, active, stuck]),
        [
          [1, false, false],
          [2, true, false],
        ],
      );
      assert.ok(Number(threads[0]?.fields.poll) > 0 && threads[1]?.text.includes("curr_task"));
      const { counters, other } = parseActivity(answer("show activity"));
      const accepted = counters.find(({ name }) => name === "accepted");
      assert.equal(accepted?.threads.length, 2);
      assert.equal(accepted?.total, (accepted?.threads[0] ?? 0n) + (accepted?.threads[1] ?? 0n));
      assert.ok("date_now" in other && counters.length >= 24);
    });

    test("show resolvers", () => {
      const resolvers = parseResolvers(answer("show resolvers"));
      assert.deepEqual(
        resolvers.map(({ name }) => name),
        ["dns", "default"],
      );
      const counters = resolvers[0]?.nameservers[0]?.counters ?? {};
      assert.deepEqual([counters.sent, Object.keys(counters).length], [4n, 15]);
    });

    test("show ssl …", () => {
      const leaf = answer("show ssl cert leaf.pem");
      const [certificate] = parseCertificates(leaf);
      assert.equal(parseStatus(leaf), "Used");
      assert.deepEqual(certificate, {
        serial: "21316756BA8DD48112718427F8609109C71E0491",
        notBefore: Date.UTC(2026, 10, 24, 13, 2, 22),
        notAfter: Date.UTC(2036, 10, 21, 13, 2, 22),
        subjectAlternativeNames: [],
        algorithm: "RSA2048",
        sha1Fingerprint: "AE103A2883D125AF8AD8B9E46D8F89BFD0594E1C",
        subject: "/CN=leaf.example",
        issuer: "/CN=site.example/O=Haplane",
        chainSubjects: ["/CN=site.example/O=Haplane"],
        ocspResponseId: certificate?.ocspResponseId,
      });
      const [site] = parseCertificates(answer("show ssl cert site.pem"));
      assert.deepEqual(site?.subjectAlternativeNames, ["DNS:site.example", "DNS:*.site.example"]);
      assert.equal(parseCertificates(answer("show ssl ca-file ca.pem")).length, 1);
      const [crl] = parseCrls(answer("show ssl crl-file crl.pem"));
      assert.deepEqual([crl?.issuer, crl?.revokedSerials], ["/CN=site.example/O=Haplane", []]);
      assert.equal(crl?.nextUpdate, Date.UTC(2036, 10, 21, 13, 2, 21));
      assert.deepEqual(parseCrtList(answer("show ssl crt-list list.txt")), [
        {
          certificate: "/etc/haproxy/ssl/site.pem",
          line: 1,
          options: "alpn h2,http/1.1",
          filters: ["site.example", "!no.site.example"],
        },
        { certificate: "/etc/haproxy/ssl/site.pem", line: 2, options: "", filters: [] },
      ]);
      const [ocsp] = parseOcspResponses(answer("show ssl ocsp-response"));
      assert.equal(ocsp?.id, certificate?.ocspResponseId);
      assert.deepEqual(
        [ocsp?.serial, ocsp?.certificate],
        [certificate?.serial, version === "2.6" ? "" : "/etc/haproxy/ssl/leaf.pem"],
      );
      if (version === "2.6") return;
      const details = parseOcspDetails(answer("show ssl ocsp-response leaf.pem"));
      assert.deepEqual(details, {
        certificateStatus: "good",
        producedAt: Date.UTC(2026, 10, 24, 13, 2, 22),
        thisUpdate: Date.UTC(2026, 10, 24, 13, 2, 22),
        nextUpdate: Date.UTC(2035, 1, 10, 13, 2, 22),
      });
    });
  });
}

test("a key of a stick table may hold anything", () => {
  const line = (key: string) => `0x1: key=${key} use=1 exp=0 gpc0=3`;
  const cases: readonly (readonly [string, string])[] = [
    ["a\\ b\\=c\\\\d", "a b=c\\d"],
    ["\\xC3\\xA4\\t", "ä\t"],
    ["\\xFF", "\\xFF"],
    ["", ""],
  ];
  for (const [printed, key] of cases) {
    const [entry] = parseEntries(line(printed));
    assert.deepEqual([entry?.key, entry?.use, entry?.data[0]?.value], [key, 1, 3n], printed);
  }
});
